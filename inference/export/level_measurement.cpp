#include "inference/export/level_measurement.hpp"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <fstream>
#include <optional>
#include <thread>

#include "core/error.hpp"
#include "ingest/archive/archive_reader.hpp"
#include "ingest/regrid/region_regridder.hpp"
#include "model/forecast_state/regional_rollout.hpp"
#include "model/network/token_merging.hpp"

namespace zonda::inference {

namespace {

using Fields = std::vector<float>;

/// States of an archive on the model's grid, a part of the archive's perhaps.
class States {
 public:
  States(const std::filesystem::path& path, const model::ForecastLayout& layout)
      : archive_(path), layout_(layout), whole_(archive_.grid()) {
    if (archive_.channels() != layout.channels)
      fail(ErrorKind::data, "{}: holds other channels than the model", path.string());
    if (!(layout.grid == whole_)) regridder_.emplace(whole_, layout.grid, path.string());
    if (layout.grid.projection()) winds_ = wind_pairs(layout.channels);
  }
  const std::vector<Time>& times() const { return archive_.times(); }
  bool holds(Time time) const { return archive_.find_time(time).has_value(); }
  Fields at(Time time) const {
    const auto index = archive_.find_time(time);
    if (!index) fail(ErrorKind::data, "the archive holds no {}", to_string(time));
    Fields fields(layout_.channels.size() * whole_.size());
    archive_.read(*index, 0, whole_.nlat(), fields);
    if (regridder_) {
      Fields part(layout_.channels.size() * layout_.points());
      regridder_->state(winds_, fields, part);
      turn_to_axes(layout_.grid, winds_, part);
      fields = std::move(part);
    }
    if (layout_.normalisation.normalise(fields) >= 0)
      fail(ErrorKind::data, "the archive has values that are not finite at {}", to_string(time));
    return fields;
  }

 private:
  ingest::ArchiveReader archive_;
  const model::ForecastLayout& layout_;
  Grid whole_;
  std::optional<ingest::RegionRegridder> regridder_;
  std::vector<WindPair> winds_;
};

/// x(start + lead), normalised.
Fields forecast(const model::ForecastLayout& layout, const States& states, Time start, Duration lead,
                const model::NetworkPass& pass) {
  const Duration d = layout.steps.front();
  if (layout.boundary) {
    model::RegionalRollout rollout(layout, start, pass);
    rollout.give_state(-d, states.at(start - d));
    rollout.give_state(Duration{0}, states.at(start));
    for (Duration next = d; next <= lead; next += d) {
      Fields strip(rollout.step().strip_size());
      rollout.step().gather_strip(states.at(start + next), strip);
      rollout.give_boundary(next, std::move(strip));
      rollout.advance(d);
    }
    return {rollout.state().begin(), rollout.state().end()};
  }
  const model::ForecastStep step(layout);
  Fields previous = states.at(start - d), current = states.at(start), next(current.size()), y(current.size()),
         u(layout.input_channels() * layout.points()), now(layout.forcings.size() * layout.points()), then(now.size()),
         condition(model::ForecastLayout::condition_size);
  for (Duration at{0}; at < lead; at += d) {
    model::normalised_forcing(layout, start + at, now);
    model::normalised_forcing(layout, start + at + d, then);
    step.assemble(previous, current, now, then, u);
    step.condition(start + at, d, at, condition);
    pass(u, condition, y, at);
    step.advance(y, current, d, next);
    previous.swap(current);
    current.swap(next);
  }
  return current;
}

/// Sums of weighted squares of a channel's error, and of the weights.
struct SquaredError {
  double squares = 0, weights = 0;
};

void add_errors(const model::ForecastLayout& layout, const Fields& found, const Fields& truth,
                std::vector<SquaredError>& errors) {
  std::optional<model::BoundaryRing> ring;
  if (layout.boundary) ring.emplace(layout.grid, layout.boundary->width);
  const std::size_t points = layout.points();
  for (std::size_t c = 0; c < errors.size(); ++c)
    for (std::size_t i = 0; i < points; ++i) {
      if (ring && !ring->interior(i)) continue;
      const double weight = layout.grid.area(i), off = double(found[c * points + i]) - truth[c * points + i];
      errors[c].squares += weight * off * off;
      errors[c].weights += weight;
    }
}

std::string this_machine() {
  std::ifstream information("/proc/cpuinfo");
  for (std::string line; std::getline(information, line);)
    if (line.starts_with("model name")) return line.substr(line.find(':') + 2);
  return "unknown processor";
}

std::optional<model::TokenMerging> merging_of(const TokenLevel& level) {
  if (level.first_block == level.last_block) return std::nullopt;
  return model::TokenMerging{level.first_block, level.last_block, level.tokens};
}

double pass_milliseconds(const model::ForecastLayout& layout, const model::NetworkPass& pass, int repeats) {
  Fields u(layout.input_channels() * layout.points()), condition(model::ForecastLayout::condition_size, 0.1F),
      y(layout.output_channels() * layout.points());
  for (std::size_t i = 0; i < u.size(); ++i) u[i] = static_cast<float>(std::sin(0.01 * double(i)));
  pass(u, condition, y, {});
  double shortest = 1e300;
  for (int i = 0; i < repeats; ++i) {
    const auto begin = std::chrono::steady_clock::now();
    pass(u, condition, y, {});
    shortest =
        std::min(shortest, std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - begin).count());
  }
  return shortest;
}

std::vector<Time> starts_of(const model::ForecastModel& model, const States& states, const LevelTrial& trial) {
  const Duration d = model.layout.steps.front();
  std::vector<Time> possible, chosen;
  for (const Time time : states.times()) {
    bool complete = time > model.origin.training_end && states.holds(time - d);
    for (Duration lead = d; lead <= trial.lead && complete; lead += d) complete = states.holds(time + lead);
    if (complete) possible.push_back(time);
  }
  if (possible.empty())
    fail(ErrorKind::data, "the archive holds no {} of states after the training period, which ends {}",
         to_string(trial.lead + d), to_string(model.origin.training_end));
  const auto wanted = std::min<std::size_t>(possible.size(), static_cast<std::size_t>(trial.starts));
  for (std::size_t i = 0; i < wanted; ++i) chosen.push_back(possible[i * possible.size() / wanted]);
  return chosen;
}

}  // namespace

std::vector<TokenLevel> candidate_levels(const model::ForecastNetwork& network,
                                         std::span<const model::TokenMerging> learnt) {
  const model::TokenGrid grid(network.grid(), network.shape().patch);
  const int blocks = network.shape().layers();
  std::vector<TokenLevel> levels{{0, grid.count(), 0, 0, 0, "", {}}};
  for (const model::TokenMerging& level : learnt)
    levels.push_back({static_cast<int>(levels.size()), level.tokens, level.first, level.last, 0, "", {}});
  if (!learnt.empty() || blocks < 3) return levels;
  levels.push_back({1, std::max(grid.count() / 2, model::fewest_groups(grid)), 1, blocks - 1, 0, "", {}});
  levels.push_back({2, model::fewest_groups(grid), 1, blocks, 0, "", {}});
  return levels;
}

std::vector<TokenLevel> measure_levels(model::ForecastModel& model, std::vector<TokenLevel> levels,
                                       const std::filesystem::path& archive, const LevelTrial& trial) {
  const model::ForecastLayout& layout = model.layout;
  const States states(archive, layout);
  const std::vector<Time> starts = starts_of(model, states, trial);
  std::vector<double> exact;
  for (TokenLevel& level : levels) {
    model.network.set_merging(merging_of(level));
    const model::NetworkPass pass = model::pass_of(model.network);
    std::vector<SquaredError> errors(layout.channels.size());
    for (const Time start : starts)
      add_errors(layout, forecast(layout, states, start, trial.lead, pass), states.at(start + trial.lead), errors);
    level.milliseconds = pass_milliseconds(layout, pass, trial.repeats);
    level.measured_on = this_machine() + ", " + std::to_string(std::thread::hardware_concurrency()) + " threads";
    level.skill.clear();
    for (std::size_t c = 0; c < errors.size(); ++c) {
      const double normalised = std::sqrt(errors[c].squares / errors[c].weights);
      if (level.level == 0) exact.push_back(normalised);
      level.skill.push_back({layout.channels[c].name(),
                             std::chrono::duration_cast<std::chrono::hours>(trial.lead).count(),
                             normalised * layout.normalisation.stddev[c], normalised - exact.at(c)});
    }
  }
  model.network.set_merging(std::nullopt);
  return levels;
}

}  // namespace zonda::inference
