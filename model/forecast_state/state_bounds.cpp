#include "model/forecast_state/state_bounds.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <string_view>

#include "model/forecast_state/normalisation.hpp"

namespace zonda::model {

Bounds physical_bounds(const Variable& variable) {
  static constexpr std::array<std::string_view, 8> not_negative{"q", "r", "tcc", "tcwv", "cape", "tp", "ssrd", "i10fg"};
  Bounds bounds;
  if (std::find(not_negative.begin(), not_negative.end(), variable.short_name) != not_negative.end()) bounds.lower = 0;
  if (variable.short_name == "tcc") bounds.upper = 1;
  return bounds;
}

StateBounds::StateBounds(std::span<const Channel> channels, const Normalisation& normalisation) {
  for (std::size_t c = 0; c < channels.size(); ++c) {
    const Bounds bounds = physical_bounds(channels[c].info());
    if (std::isinf(bounds.lower) && std::isinf(bounds.upper)) continue;
    const double mean = normalisation.mean[c], stddev = normalisation.stddev[c];
    ranges_.push_back({static_cast<std::int32_t>(c), static_cast<float>((bounds.lower - mean) / stddev),
                       static_cast<float>((bounds.upper - mean) / stddev)});
  }
}

void StateBounds::apply(Context& ctx, const Tensor& states) const {
  if (!ranges_.empty()) ctx->bound_channels(ctx, ranges_, states);
}

void StateBounds::apply(std::span<float> state, std::size_t points) const {
  for (const ChannelRange& range : ranges_)
    for (float& value : state.subspan(static_cast<std::size_t>(range.channel) * points, points))
      value = value < range.lower ? range.lower : value > range.upper ? range.upper : value;
}

void StateBounds::adjoint(Context& ctx, const Tensor& applied, const Tensor& gradient) const {
  if (!ranges_.empty()) ctx->bound_channels_backward(ctx, ranges_, applied, gradient);
}

}  // namespace zonda::model
