#include "inference/edge/runtime/regional_model.hpp"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>

#include "core/config/table.hpp"
#include "core/error.hpp"
#include "core/wind_axes.hpp"
#include "model/forecast_state/regional_rollout.hpp"

namespace zonda::edge {

namespace {

using inference::Bundle;
using inference::Verify;

model::ForecastLayout layout_of(const Bundle& bundle) {
  model::ForecastLayout layout = model::ForecastLayout::from_json(bundle.manifest().layout);
  if (!layout.static_channels.empty()) {
    layout.static_fields = bundle.numbers("static/fields");
    if (layout.static_fields.size() != layout.static_channels.size() * layout.points())
      fail(ErrorKind::data, "{}: static/fields holds {} numbers, the layout asks for {}", bundle.directory().string(),
           layout.static_fields.size(), layout.static_channels.size() * layout.points());
  }
  if (const auto expected = bundle.manifest().layout.at("static_hash").get<std::string>();
      layout.static_hash() != expected)
    fail(ErrorKind::data, "{}: static fields have hash {}, the layout says {}", bundle.directory().string(),
         layout.static_hash(), expected);
  return layout;
}

model::NetworkConfig network_of(const Bundle& bundle) {
  model::NetworkConfig config;
  config::read(config::parse_yaml(bundle.manifest().network.dump(), bundle.directory().string()), config);
  config.precision = bundle.manifest().precision;
  return config;
}

/// Measured RMSE of a level over that of all tokens, mean over the channels; 1 where nothing was measured.
double skill_ratio(const inference::BundleManifest& manifest, const inference::TokenLevel& level) {
  double sum = 0;
  std::size_t count = 0;
  for (const inference::MeasuredSkill& exact : manifest.levels.front().skill)
    for (const inference::MeasuredSkill& found : level.skill) {
      if (found.channel != exact.channel || found.lead_hours != exact.lead_hours || !(exact.rmse > 0)) continue;
      sum += found.rmse / exact.rmse;
      ++count;
    }
  return count > 0 ? sum / static_cast<double>(count) : 1;
}

/// Whether both keep the weights in the same types: what a network computes with, and the memory it plans, follow them.
bool same_types(const inference::BundleManifest& a, const inference::BundleManifest& b) {
  return std::all_of(b.tensors.begin(), b.tensors.end(), [&](const inference::BundleTensor& tensor) {
    // Mostly in the same order.
    const auto at = static_cast<std::size_t>(&tensor - b.tensors.data());
    const bool there = at < a.tensors.size() && a.tensors[at].name == tensor.name;
    const inference::BundleTensor* other = there ? &a.tensors[at] : a.find_tensor(tensor.name);
    return !tensor.name.starts_with(inference::weights_prefix) || (other && other->dtype == tensor.dtype);
  });
}

std::string words(const std::vector<Channel>& channels) {
  std::string text;
  for (const Channel& channel : channels) text += (text.empty() ? "" : ", ") + channel.name();
  return text;
}

/// A bundle from outside may ask for anything: whatever is wrong with it is its data's fault.
template <class Read>
auto reading(const std::filesystem::path& path, Read&& read) {
  try {
    return read();
  } catch (const nlohmann::json::exception& error) {
    fail(ErrorKind::data, "{}: {}", path.string(), error.what());
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::usage) throw;
    fail(ErrorKind::data, "{}: {}", path.string(), error.what());
  }
}

}  // namespace

std::shared_ptr<RegionalModel> RegionalModel::open(const std::filesystem::path& path, const RuntimeOptions& options) {
  return reading(path, [&] {
    return std::shared_ptr<RegionalModel>(new RegionalModel(
        Bundle::open(path, Verify::contents), options.shared ? options.shared : std::make_shared<SharedTensors>(),
        options.threads, nullptr));
  });
}

std::shared_ptr<RegionalModel> RegionalModel::sibling(const std::filesystem::path& path) const {
  return reading(path, [&] { return sibling(Bundle::open(path, Verify::lengths)); });
}

Bundle RegionalModel::prepare(const std::filesystem::path& path) const {
  Bundle bundle = Bundle::open(path, Verify::lengths);
  for (const inference::BundleTensor& tensor : bundle.manifest().tensors)
    if (tensor.name.starts_with(inference::weights_prefix) && !shared_->has(tensor)) bundle.verify_ahead(tensor);
  return bundle;
}

std::shared_ptr<RegionalModel> RegionalModel::sibling(Bundle bundle) const {
  const std::filesystem::path path = bundle.directory();
  return reading(path, [&] {
    return std::shared_ptr<RegionalModel>(new RegionalModel(std::move(bundle), shared_, threads_, this));
  });
}

RegionalModel::RegionalModel(Bundle bundle, std::shared_ptr<SharedTensors> shared, int threads,
                             const RegionalModel* relative)
    : bundle_(std::move(bundle)),
      layout_(layout_of(bundle_)),
      shared_(std::move(shared)),
      threads_(threads),
      weights_(std::make_shared<const ModelWeights>(bundle_, *shared_)) {
  const bool same_shape = relative && relative->manifest().network == manifest().network &&
                          relative->manifest().precision == manifest().precision &&
                          relative->layout_.grid == layout_.grid && same_types(relative->manifest(), manifest()) &&
                          relative->layout_.input_channels() == layout_.input_channels() &&
                          relative->layout_.output_channels() == layout_.output_channels();
  engine_ = same_shape ? relative->engine_ : std::make_shared<StepEngine>(network_of(bundle_), layout_, threads);
  if (!same_shape) engine_->take(weights_);
}

const inference::TokenLevel& RegionalModel::token_level(int level) const {
  if (level < 0 || level >= static_cast<int>(manifest().levels.size()))
    fail(ErrorKind::usage, "level {}: the bundle {} has levels 0 to {}", level, manifest().name,
         static_cast<int>(manifest().levels.size()) - 1);
  return manifest().levels[static_cast<std::size_t>(level)];
}

void RegionalModel::pass(std::span<const float> u, std::span<const float> condition, std::span<float> y, int level,
                         Duration lead) {
  std::optional<model::TokenMerging> merging;
  if (const inference::TokenLevel& chosen = token_level(level); chosen.first_block < chosen.last_block)
    merging = {chosen.first_block, chosen.last_block, chosen.tokens};
  engine_->pass(weights_, u, condition, y, lead, merging);
}

SelfTest RegionalModel::self_test() {
  for (const char* name : {"golden/input", "golden/condition", "golden/output"}) bundle_.verify(bundle_.entry(name));
  const std::vector<float> input = bundle_.numbers("golden/input"), condition = bundle_.numbers("golden/condition"),
                           expected = bundle_.numbers("golden/output");
  for (const char* name : {"golden/input", "golden/output"}) bundle_.tensor(name).file->forget_pages();
  if (input.size() != layout_.input_channels() * layout_.points() ||
      condition.size() != model::ForecastLayout::condition_size ||
      expected.size() != layout_.output_channels() * layout_.points())
    fail(ErrorKind::data, "{}: the self-test's fields are not of the model's size", bundle_.directory().string());
  std::vector<float> output(expected.size());
  pass(input, condition, output);
  SelfTest test{0, manifest().golden_tolerance};
  if (const float step = inference::golden_step(manifest().precision); step > 0)
    for (float& value : output) value = std::nearbyint(value / step) * step;
  for (std::size_t i = 0; i < output.size(); ++i) {
    const double difference = std::abs(double(output[i]) - double(expected[i]));
    if (!(difference <= test.largest))
      test.largest = std::isnan(difference) ? std::numeric_limits<double>::infinity() : difference;
  }
  return test;
}

std::vector<CoastSegment> RegionalModel::coast() const {
  if (const inference::BundleTensor* tensor = manifest().find_tensor("static/coast")) {
    if (tensor->dtype != model::DType::f32 || tensor->shape.size() != 2 || tensor->shape[1] != 4)
      fail(ErrorKind::data, "{}: static/coast: expected [pieces, 4] in f32", bundle_.directory().string());
    const std::vector<float> ends = bundle_.numbers("static/coast");
    std::vector<CoastSegment> segments;
    for (std::size_t i = 0; i + 3 < ends.size(); i += 4) {
      if (!std::all_of(&ends[i], &ends[i] + 4, [](float x) { return std::abs(x) <= 360; }))
        fail(ErrorKind::data, "{}: static/coast: piece {} is nowhere", bundle_.directory().string(), i / 4);
      segments.push_back({{ends[i], ends[i + 1]}, {ends[i + 2], ends[i + 3]}});
    }
    return segments;
  }
  for (std::size_t c = 0; c < layout_.static_channels.size(); ++c)
    if (layout_.static_channels[c].name() == "lsm")
      return coastline(layout_.grid, std::span(layout_.static_fields).subspan(c * layout_.points(), layout_.points()));
  return {};
}

void RegionalModel::require_feed(const BoundaryFeed& feed) const {
  if (!layout_.boundary)
    fail(ErrorKind::usage, "{}: a model on {} has no lateral boundary: stations run regional models", manifest().name,
         layout_.grid.to_string());
  const auto refuse = [&](const std::string& what, const std::string& found, const std::string& expected) {
    fail(ErrorKind::data, "feed of {} for {}: {} {}, the model {} expects {}", to_string(feed.cycle), feed.region, what,
         found, manifest().name, expected);
  };
  if (!(feed.grid == layout_.grid)) refuse("grid", feed.grid.to_string(), layout_.grid.to_string());
  if (feed.channels != layout_.channels) refuse("channels", words(feed.channels), words(layout_.channels));
  if (feed.ring_width != layout_.boundary->width)
    refuse("ring width", std::to_string(feed.ring_width), std::to_string(layout_.boundary->width));
  if (std::find(layout_.steps.begin(), layout_.steps.end(), feed.step) == layout_.steps.end())
    refuse("step", to_string(feed.step), "one it was trained on, " + to_string(layout_.steps.front()) + " or longer");
  const std::size_t state = layout_.channels.size() * layout_.points();
  for (const auto* field : {&feed.previous, &feed.current})
    if (field->size() != state) refuse("a state of", std::to_string(field->size()), std::to_string(state));
  if (feed.strips.size() != feed.leads.size() * layout_.channels.size() * feed.ring())
    refuse("strips of", std::to_string(feed.strips.size()),
           std::to_string(feed.leads.size() * layout_.channels.size() * feed.ring()));
}

RegionalForecast RegionalModel::run(const BoundaryFeed& feed, int level, const RunProgress& progress,
                                    const RunCancelled& cancelled) {
  require_feed(feed);
  const inference::TokenLevel& chosen = token_level(level);
  model::RegionalRollout rollout(layout_, feed.cycle,
                                 [&](std::span<const float> u, std::span<const float> condition, std::span<float> y,
                                     Duration lead) { pass(u, condition, y, level, lead); });
  const Grid& grid = layout_.grid;
  const std::vector<WindPair> winds = grid.projection() ? wind_pairs(layout_.channels) : std::vector<WindPair>{};
  const auto normalised = [&](std::vector<float> fields) {
    turn_to_axes(grid, winds, fields);
    if (const int bad = layout_.normalisation.normalise(fields); bad >= 0)
      fail(ErrorKind::data, "feed of {} for {}: {} has a value that is not finite", to_string(feed.cycle), feed.region,
           layout_.channels[static_cast<std::size_t>(bad)].name());
    return fields;
  };
  rollout.give_state(-feed.step, normalised(feed.previous));
  rollout.give_state(Duration{0}, normalised(feed.current));
  const std::size_t cells = feed.ring();
  const std::vector<std::size_t> ring = ring_cells(grid.nlat(), grid.nlon(), feed.ring_width);
  for (std::size_t lead = 0; lead < feed.leads.size(); ++lead) {
    std::vector<float> strip, host(feed.strip(lead).begin(), feed.strip(lead).end());
    for (const auto& [u, v] : winds)
      turn_to_axes(grid, ring, std::span(host).subspan(u * cells, cells), std::span(host).subspan(v * cells, cells));
    for (const std::size_t channel : rollout.step().prognostic()) {
      const auto part = std::span(host).subspan(channel * cells, cells);
      strip.insert(strip.end(), part.begin(), part.end());
    }
    model::normalise_strip(rollout.step(), strip);
    rollout.give_boundary(feed.leads[lead], std::move(strip));
  }

  RegionalForecast forecast(layout_.grid);
  forecast.channels = layout_.channels;
  forecast.initial = feed.cycle;
  forecast.leads = {Duration{0}};
  forecast.model = manifest().name + ' ' + identity();
  forecast.feed = feed.region + ' ' + to_string(feed.cycle) + ' ' + feed.host;
  forecast.level = level;
  forecast.level_skill = skill_ratio(manifest(), chosen);
  std::vector<float> values = feed.current;
  const std::size_t steps = feed.leads.size(), state = values.size();
  values.reserve((steps + 1) * state);
  for (std::size_t step = 0; step < steps; ++step) {
    if (cancelled && cancelled())
      fail(ErrorKind::temporary, "forecast of {} for {}: cancelled after {} of {} steps", to_string(feed.cycle),
           feed.region, step, steps);
    rollout.advance(feed.step);
    const auto next = rollout.state();
    values.insert(values.end(), next.begin(), next.end());
    layout_.normalisation.restore(std::span(values).last(state));
    turn_to_true(grid, winds, std::span(values).last(state));
    forecast.leads.push_back(rollout.lead());
    if (progress) progress(step + 1, steps);
  }
  engine_->rest();
  forecast.values = ForecastValues(std::move(values));
  forecast.computed = std::chrono::floor<std::chrono::seconds>(std::chrono::system_clock::now());
  forecast.check();
  return forecast;
}

}  // namespace zonda::edge
