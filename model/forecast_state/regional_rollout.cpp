#include "model/forecast_state/regional_rollout.hpp"

#include <algorithm>
#include <array>
#include <cmath>

#include "core/error.hpp"
#include "model/network/forecast_network.hpp"

namespace zonda::model {
namespace {

/// Tensors of what is only read.
Tensor view(std::span<const float> values, const Shape& shape) {
  return Tensor::of(std::span<float>(const_cast<float*>(values.data()), values.size()), shape);
}

Shape image(const Grid& grid, int channels) {
  return {1, channels, static_cast<std::int64_t>(grid.nlat()), static_cast<std::int64_t>(grid.nlon())};
}

const ForecastLayout& regional(const ForecastLayout& layout) {
  if (!layout.boundary)
    fail(ErrorKind::usage, "a model on {} has no lateral boundary: it is no regional model", layout.grid.to_string());
  return layout;
}

}  // namespace

NetworkPass pass_of(ForecastNetwork& network) {
  network.plan(1, Use::inference);
  return [&network](std::span<const float> u, std::span<const float> condition, std::span<float> y, Duration lead) {
    network.set_leads(std::array{std::chrono::duration<double, std::ratio<86400>>(lead).count()});
    network.forward(view(u, image(network.grid(), network.input_channels())),
                    view(condition, {1, network.condition_size()}),
                    Tensor::of(y, image(network.grid(), network.output_channels())));
  };
}

void normalise_strip(const ForecastStep& step, std::span<float> strip) {
  const ForecastLayout& layout = step.layout();
  const std::size_t cells = step.ring().size();
  for (std::size_t p = 0; p < step.prognostic().size(); ++p) {
    const std::size_t c = step.prognostic()[p];
    const double mean = layout.normalisation.mean[c], stddev = layout.normalisation.stddev[c];
    for (float& value : strip.subspan(p * cells, cells)) {
      if (!std::isfinite(value))
        fail(ErrorKind::data, "the host's boundary: {} has a value that is not finite", layout.channels[c].name());
      value = static_cast<float>((value - mean) / stddev);
    }
  }
}

RegionalRollout::RegionalRollout(const ForecastLayout& layout, Time initial, NetworkPass network)
    : layout_(regional(layout)),
      step_(layout),
      initial_(initial),
      network_(std::move(network)),
      input_(layout.input_channels() * layout.points()),
      output_(layout.output_channels() * layout.points()),
      forcing_now_(layout.forcings.size() * layout.points()),
      forcing_next_(forcing_now_.size()) {}

void RegionalRollout::give_state(Duration lead, std::vector<float> state) {
  if (state.size() != output_.size())
    fail(ErrorKind::failure, "regional forecast: a state of {} numbers, expected {}", state.size(), output_.size());
  if (lead == Duration{0} && !strips_.contains(lead)) {
    std::vector<float> strip(step_.strip_size());
    step_.gather_strip(state, strip);
    strips_[lead] = std::move(strip);
  }
  states_[lead] = std::move(state);
}

void RegionalRollout::give_boundary(Duration lead, std::vector<float> strip) {
  if (strip.size() != step_.strip_size())
    fail(ErrorKind::data, "the host's boundary at lead {}: {} numbers, expected {} ({} channels, {} cells)",
         to_string(lead), strip.size(), step_.strip_size(), step_.prognostic().size(), step_.ring().size());
  strips_[lead] = std::move(strip);
}

std::span<const float> RegionalRollout::state(Duration lead) const {
  const auto at = states_.find(lead);
  if (at == states_.end())
    fail(ErrorKind::data, "regional forecast from {}: the state at lead {} is missing", to_string(initial_),
         to_string(lead));
  return at->second;
}

std::span<const float> RegionalRollout::boundary(Duration lead) const {
  const auto at = strips_.find(lead);
  if (at == strips_.end())
    fail(ErrorKind::data,
         "regional forecast from {}: the host's boundary at lead {} is missing; without it a regional model cannot go "
         "beyond lead {}",
         to_string(initial_), to_string(lead), to_string(lead_));
  return at->second;
}

Duration RegionalRollout::reach(Duration d) const {
  Duration lead = lead_;
  while (strips_.contains(lead) && strips_.contains(lead + d)) lead += d;
  return lead;
}

void RegionalRollout::advance(Duration d) {
  const auto host_now = boundary(lead_), host_next = boundary(lead_ + d);
  const auto previous = state(lead_ - d), current = state(lead_);
  const Time now = initial_ + lead_;
  normalised_forcing(layout_, now, forcing_now_);
  normalised_forcing(layout_, now + d, forcing_next_);
  step_.assemble(previous, current, forcing_now_, forcing_next_, input_, host_now, host_next);
  std::array<float, ForecastLayout::condition_size> condition{};
  step_.condition(now, d, lead_, condition);
  network_(input_, condition, output_, lead_);

  std::vector<float> next(output_.size());
  step_.advance(output_, current, d, next);
  const std::size_t points = layout_.points();
  step_.bounds().apply(next, points);
  if (const auto bad = std::find_if(next.begin(), next.end(), [](float x) { return !std::isfinite(x); });
      bad != next.end())
    fail(ErrorKind::numerical, "regional forecast from {}: {} at lead {} is not finite", to_string(initial_),
         layout_.channels[static_cast<std::size_t>(bad - next.begin()) / points].name(), to_string(lead_ + d));
  step_.relax(host_next, next);

  states_[lead_ + d] = std::move(next);
  lead_ += d;
  Duration longest = d;
  for (const Duration other : layout_.steps) longest = std::max(longest, other);
  std::erase_if(states_, [&](const auto& entry) { return entry.first < lead_ - longest; });
  std::erase_if(strips_, [&](const auto& entry) { return entry.first < lead_; });
}

}  // namespace zonda::model
