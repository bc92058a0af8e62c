#include "model/forecast_state/forecast_layout.hpp"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "core/checksum.hpp"
#include "core/constants.hpp"
#include "core/error.hpp"
#include "ingest/forcing/forcing.hpp"

namespace zonda::model {

using nlohmann::json;

std::size_t ForecastLayout::prognostic_channels() const {
  return static_cast<std::size_t>(
      std::count_if(channels.begin(), channels.end(), [](const Channel& c) { return !c.info().accumulated; }));
}

std::size_t ForecastLayout::input_channels() const {
  const std::size_t of_boundary = boundary ? 2 * prognostic_channels() + 1 : 0;
  return 2 * prognostic_channels() + static_channels.size() + 2 * forcings.size() + of_boundary;
}

std::string ForecastLayout::static_hash() const {
  if (static_rows) return static_rows->hash();
  std::string text;
  for (const Channel& channel : static_channels) text += channel.name() + '\n';
  text.append(reinterpret_cast<const char*>(static_fields.data()), static_fields.size() * sizeof(float));
  return sha256(text);
}

json ForecastLayout::to_json() const {
  json list = json::array(), statics = json::array(), seconds = json::array(), tendencies = json::object();
  for (const Channel& c : channels)
    list.push_back({{"name", c.name()}, {"unit", c.info().unit}, {"accumulated", c.info().accumulated}});
  for (const Channel& c : static_channels) statics.push_back(c.name());
  for (const Duration step : steps) seconds.push_back(step.count());
  for (const auto& [step, stddev] : normalisation.tendency_stddev) tendencies[std::to_string(step.count())] = stddev;
  json layout = {{"grid", grid.to_string()},
                 {"first_latitude", grid.centre(0).latitude},
                 {"first_longitude", grid.centre(0).longitude},
                 {"rows", "north first"},
                 {"channels", list},
                 {"static_channels", statics},
                 {"static_hash", static_hash()},
                 {"forcings", forcings},
                 {"steps_seconds", seconds},
                 {"target", target == Target::tendency ? "tendency" : "state"},
                 {"mean", normalisation.mean},
                 {"stddev", normalisation.stddev},
                 {"tendency_stddev", tendencies},
                 {"trained_lead_seconds", trained_lead.count()}};
  if (boundary) layout["boundary"] = {{"width", boundary->width}};
  if (!static_mean.empty()) {
    layout["static_mean"] = static_mean;
    layout["static_stddev"] = static_stddev;
  }
  return layout;
}

ForecastLayout ForecastLayout::from_json(const json& j) {
  try {
    ForecastLayout layout{.grid = Grid::parse(j.at("grid").get<std::string>()),
                          .channels = {},
                          .static_channels = {},
                          .static_fields = {},
                          .forcings = j.at("forcings").get<std::vector<std::string>>(),
                          .steps = {},
                          .target = j.at("target") == "state" ? Target::state : Target::tendency,
                          .normalisation = {},
                          .trained_lead = Duration{j.at("trained_lead_seconds").get<std::int64_t>()}};
    for (const json& c : j.at("channels")) {
      layout.channels.push_back(parse_channel(c.at("name").get<std::string>()));
      if (layout.channels.back().info().unit != c.at("unit").get<std::string>())
        fail(ErrorKind::data, "model: channel {} in {}, this program uses {}", layout.channels.back().name(),
             c.at("unit").get<std::string>(), layout.channels.back().info().unit);
    }
    for (const json& c : j.at("static_channels")) layout.static_channels.push_back(parse_channel(c.get<std::string>()));
    for (const json& s : j.at("steps_seconds")) layout.steps.emplace_back(s.get<std::int64_t>());
    layout.normalisation.mean = j.at("mean").get<std::vector<double>>();
    layout.normalisation.stddev = j.at("stddev").get<std::vector<double>>();
    for (const auto& [key, value] : j.at("tendency_stddev").items())
      layout.normalisation.tendency_stddev[Duration{std::stoll(key)}] = value.get<std::vector<double>>();
    if (j.contains("boundary")) layout.boundary = LateralBoundary{j.at("boundary").at("width").get<int>()};
    layout.static_mean = j.value("static_mean", std::vector<double>{});
    layout.static_stddev = j.value("static_stddev", std::vector<double>{});
    return layout;
  } catch (const json::exception& error) {
    fail(ErrorKind::data, "not the description of a forecast model: {}", error.what());
  }
}

void normalised_forcing(const ForecastLayout& layout, Time time, std::span<float> out) {
  normalised_forcing(layout, time, {0, layout.grid.nlat()}, out);
}

void normalised_forcing(const ForecastLayout& layout, Time time, parallel::Range rows, std::span<float> out) {
  ingest::compute_forcing(layout.grid, time, layout.forcings, rows.begin, rows.end, out);
  const std::size_t points = rows.size() * layout.grid.nlon();
  for (std::size_t f = 0; f < layout.forcings.size(); ++f) {
    if (layout.forcings[f] != "insolation") continue;  // sines and cosines are of order 1 already
    // The globe's mean is a quarter of the solar constant, the spread about a third of it.
    constexpr float mean = constants::solar_constant / 4, spread = constants::solar_constant / 3;
    for (std::size_t i = f * points; i < (f + 1) * points; ++i) out[i] = (out[i] - mean) / spread;
  }
}

ForecastStep::ForecastStep(const ForecastLayout& layout) : ForecastStep(layout, {0, layout.grid.nlat()}) {}

ForecastStep::ForecastStep(const ForecastLayout& layout, parallel::Range rows)
    : layout_(layout), rows_(rows), bounds_(layout.channels, layout.normalisation) {
  if (rows.begin > rows.end || rows.end > layout.grid.nlat())
    fail(ErrorKind::failure, "forecast step of rows {} to {} of a grid of {}", rows.begin, rows.end,
         layout.grid.nlat());
  for (std::size_t c = 0; c < layout.channels.size(); ++c)
    if (!layout.channels[c].info().accumulated) prognostic_.push_back(c);
  if (layout.boundary) {
    if (rows.size() != layout.grid.nlat())
      fail(ErrorKind::usage, "a regional model steps on whole fields, not on rows {} to {}", rows.begin, rows.end);
    ring_.emplace(layout.grid, layout.boundary->width);
  }
  normalise_statics();
}

void ForecastStep::normalise_statics() {
  const std::size_t points = layout_.points(), columns = layout_.grid.nlon(), fields = layout_.static_channels.size();
  const bool given = layout_.static_mean.size() == fields && layout_.static_stddev.size() == fields;
  const auto held = [&](std::size_t s) { return std::span(layout_.static_fields).subspan(s * points, points); };
  std::vector<double> mean = layout_.static_mean, squares(fields);
  const auto add_squares = [&](std::size_t s, std::size_t, std::span<const float> values) {
    for (const float value : values) squares[s] += (value - mean[s]) * (value - mean[s]);
  };
  if (!given) {
    mean.assign(fields, 0);
    for (std::size_t s = 0; s < fields; ++s) {
      if (layout_.static_rows) {
        mean[s] = layout_.static_rows->mean(s);
        continue;
      }
      for (const float value : held(s)) mean[s] += value;
      mean[s] /= static_cast<double>(points);
      add_squares(s, 0, held(s));
    }
    if (layout_.static_rows) layout_.static_rows->for_all(add_squares);
  }
  static_normalised_.resize(fields * this->points());
  for (std::size_t s = 0; s < fields; ++s) {
    const std::span<float> mine = std::span(static_normalised_).subspan(s * this->points(), this->points());
    if (layout_.static_rows)
      layout_.static_rows->read(s, rows_, mine);
    else
      std::ranges::copy(held(s).subspan(rows_.begin * columns, mine.size()), mine.begin());
    const double stddev = given ? layout_.static_stddev[s] : std::sqrt(squares[s] / static_cast<double>(points));
    const double scale = stddev > 0 ? 1 / stddev : 1;
    for (float& value : mine) value = static_cast<float>((value - mean[s]) * scale);
  }
}

bool ForecastStep::is_carried(std::size_t channel) const {
  return layout_.target == Target::tendency && !layout_.channels[channel].info().accumulated;
}

ForecastStep::Terms ForecastStep::input_terms(InputPart part, std::int32_t first) const {
  const auto p = static_cast<std::int32_t>(prognostic_.size()),
             s = static_cast<std::int32_t>(layout_.static_channels.size()),
             f = static_cast<std::int32_t>(layout_.forcings.size());
  Terms terms;
  const auto block = [&](std::int32_t to, std::int32_t n) {
    for (std::int32_t i = 0; i < n; ++i) terms.push_back({first + i, to + i, 1.0F});
  };
  switch (part) {
    case InputPart::previous:
    case InputPart::current:
      for (std::int32_t i = 0; i < p; ++i)
        terms.push_back({first + static_cast<std::int32_t>(prognostic_[static_cast<std::size_t>(i)]),
                         part == InputPart::previous ? i : p + i, 1.0F});
      break;
    case InputPart::statics:
      block(2 * p, s);
      break;
    case InputPart::forcing_now:
      block(2 * p + s, f);
      break;
    case InputPart::forcing_next:
      block(2 * p + s + f, f);
      break;
    case InputPart::host_now:
      block(2 * (p + f) + s, p);
      break;
    case InputPart::host_next:
      block(2 * (p + f) + s + p, p);
      break;
    case InputPart::boundary_distance:
      block(2 * (p + f) + s + 2 * p, 1);
      break;
  }
  return terms;
}

ForecastStep::Terms ForecastStep::increments(Duration step) const {
  Terms terms;
  for (std::size_t c = 0; c < layout_.channels.size(); ++c)
    terms.push_back({static_cast<std::int32_t>(c), static_cast<std::int32_t>(c),
                     is_carried(c) ? static_cast<float>(layout_.normalisation.tendency_ratio(step, c)) : 1.0F});
  return terms;
}

ForecastStep::Terms ForecastStep::carried(std::int32_t first) const {
  Terms terms;
  for (std::size_t c = 0; c < layout_.channels.size(); ++c)
    if (is_carried(c)) terms.push_back({first + static_cast<std::int32_t>(c), static_cast<std::int32_t>(c), 1.0F});
  return terms;
}

ForecastStep::Terms ForecastStep::tendencies(Duration step, std::int32_t first) const {
  Terms terms;
  for (std::size_t c = 0; c < layout_.channels.size(); ++c)
    terms.push_back({first + static_cast<std::int32_t>(c), static_cast<std::int32_t>(c),
                     is_carried(c) ? static_cast<float>(1 / layout_.normalisation.tendency_ratio(step, c)) : 1.0F});
  return terms;
}

ForecastStep::Terms ForecastStep::departures(Duration step, std::int32_t first) const {
  Terms terms = carried(first);
  for (ChannelTerm& term : terms)
    term.factor =
        static_cast<float>(-1 / layout_.normalisation.tendency_ratio(step, static_cast<std::size_t>(term.to)));
  return terms;
}

ForecastStep::Terms ForecastStep::adjoint(Terms terms) {
  for (ChannelTerm& term : terms) std::swap(term.from, term.to);
  return terms;
}

void ForecastStep::map(const Terms& terms, std::span<const float> from, std::span<float> to) const {
  const std::size_t points = this->points();
  for (const ChannelTerm& term : terms) {
    const float* x = from.data() + static_cast<std::size_t>(term.from) * points;
    float* y = to.data() + static_cast<std::size_t>(term.to) * points;
    for (std::size_t i = 0; i < points; ++i) y[i] += term.factor * x[i];
  }
}

void ForecastStep::assemble(std::span<const float> previous, std::span<const float> current,
                            std::span<const float> forcing_now, std::span<const float> forcing_next, std::span<float> u,
                            std::span<const float> host_now, std::span<const float> host_next) const {
  std::fill(u.begin(), u.end(), 0.0F);
  map(input_terms(InputPart::previous), previous, u);
  map(input_terms(InputPart::current), current, u);
  map(input_terms(InputPart::statics), static_normalised_, u);
  map(input_terms(InputPart::forcing_now), forcing_now, u);
  map(input_terms(InputPart::forcing_next), forcing_next, u);
  if (!ring_) return;
  if (host_now.size() != strip_size() || host_next.size() != strip_size())
    fail(ErrorKind::failure, "regional step: strips of the host of {} and {} numbers, expected {}", host_now.size(),
         host_next.size(), strip_size());
  std::vector<float> fields(prognostic_.size() * points());
  ring_->scatter(host_now, fields);
  map(input_terms(InputPart::host_now), fields, u);
  ring_->scatter(host_next, fields);
  map(input_terms(InputPart::host_next), fields, u);
  map(input_terms(InputPart::boundary_distance), ring_->distance_field(), u);
}

const BoundaryRing& ForecastStep::ring() const {
  if (!ring_) fail(ErrorKind::failure, "the boundary of a global model was asked for");
  return *ring_;
}

void ForecastStep::gather_strip(std::span<const float> state, std::span<float> strip) const {
  const BoundaryRing& ring = this->ring();
  for (std::size_t p = 0; p < prognostic_.size(); ++p)
    ring.gather(state.subspan(prognostic_[p] * points(), points()), strip.subspan(p * ring.size(), ring.size()));
}

void ForecastStep::relax(std::span<const float> host_strip, std::span<float> state) const {
  const BoundaryRing& ring = this->ring();
  for (std::size_t p = 0; p < prognostic_.size(); ++p) {
    const auto host = host_strip.subspan(p * ring.size(), ring.size());
    const auto field = state.subspan(prognostic_[p] * points(), points());
    try {
      ring.relax(host, field);
      ring.require_edge(host, field);
    } catch (const Error& error) {
      fail(error.kind(), "{}: {}", layout_.channels[prognostic_[p]].name(), error.what());
    }
  }
}

void ForecastStep::condition(Time time, Duration step, Duration lead, std::span<float> c, double turned) const {
  const double day = 86400, two_pi = 2 * std::acos(-1.0);
  const double d = static_cast<double>(step.count());
  const double known_lead = static_cast<double>(std::min(lead, layout_.trained_lead).count());
  const double season = two_pi * year_fraction(time), hour = two_pi * (second_of_day(time) / day - turned / 360);
  const double values[ForecastLayout::condition_size] = {
      d / day,          std::log2(d / 21600), known_lead / (10 * day), std::sin(season),
      std::cos(season), std::sin(hour),       std::cos(hour)};
  for (std::size_t i = 0; i < ForecastLayout::condition_size; ++i) c[i] = static_cast<float>(values[i]);
}

void ForecastStep::advance(std::span<const float> y, std::span<const float> current, Duration step,
                           std::span<float> next) const {
  std::fill(next.begin(), next.end(), 0.0F);
  map(carried(), current, next);
  map(increments(step), y, next);
}

void ForecastStep::advance(Context& ctx, const Tensor& y, const StateView& current, Duration step,
                           const Tensor& next) const {
  ctx->map_channels(ctx, current.image, carried(current.first), next, false);
  ctx->map_channels(ctx, y, increments(step), next, true);
}

void ForecastStep::target(std::span<const float> current, std::span<const float> next, Duration step,
                          std::span<float> y) const {
  std::fill(y.begin(), y.end(), 0.0F);
  map(tendencies(step), next, y);
  map(departures(step), current, y);
}

}  // namespace zonda::model
