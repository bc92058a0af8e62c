#include "model/forecast_state/state_bounds.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <string_view>

namespace zonda::model {

Bounds physical_bounds(const Variable& variable) {
  static constexpr std::array<std::string_view, 8> not_negative{"q", "r", "tcc", "tcwv", "cape", "tp", "ssrd", "i10fg"};
  Bounds bounds;
  if (std::find(not_negative.begin(), not_negative.end(), variable.short_name) != not_negative.end()) bounds.lower = 0;
  if (variable.short_name == "tcc") bounds.upper = 1;
  return bounds;
}

StateBounds::StateBounds(const ForecastLayout& layout) : points_(layout.points()) {
  for (std::size_t c = 0; c < layout.channels.size(); ++c) {
    const Bounds bounds = physical_bounds(layout.channels[c].info());
    if (std::isinf(bounds.lower) && std::isinf(bounds.upper)) continue;
    const double mean = layout.normalisation.mean[c], stddev = layout.normalisation.stddev[c];
    ranges_.push_back(
        {c, static_cast<float>((bounds.lower - mean) / stddev), static_cast<float>((bounds.upper - mean) / stddev)});
  }
}

void StateBounds::apply(std::span<float> state) const {
  for (const Range& range : ranges_)
    for (float& value : state.subspan(range.channel * points_, points_))
      value = value < range.lower ? range.lower : value > range.upper ? range.upper : value;
}

void StateBounds::adjoint(std::span<const float> applied, std::span<float> gradient) const {
  for (const Range& range : ranges_)
    for (std::size_t i = range.channel * points_; i < (range.channel + 1) * points_; ++i)
      if (applied[i] <= range.lower || applied[i] >= range.upper) gradient[i] = 0;
}

}  // namespace zonda::model
