#pragma once
// What a state may hold: humidity, cloud and precipitation are not negative, cloud cover is at most 1.
#include <limits>
#include <span>
#include <vector>

#include "core/variables.hpp"
#include "model/ops/backend.hpp"

namespace zonda::model {

struct Normalisation;

struct Bounds {
  double lower = -std::numeric_limits<double>::infinity();
  double upper = std::numeric_limits<double>::infinity();
};
/// Of a variable by its meaning, not its range of plausible values; SI.
Bounds physical_bounds(const Variable& variable);

/// The bounds of a layout's channels in normalised space. States are `[sample, channel, lat, lon]` in the backend's
/// memory.
class StateBounds {
 public:
  StateBounds(std::span<const Channel> channels, const Normalisation& normalisation);
  /// Values beyond a bound become the bound; NaN stays NaN.
  void apply(Context& ctx, const Tensor& states) const;
  /// Of one state `[channel, points]` on the host.
  void apply(std::span<float> state, std::size_t points) const;
  /// Adjoint of apply about the states that it gave: where a value is at its bound the gradient becomes 0.
  void adjoint(Context& ctx, const Tensor& applied, const Tensor& gradient) const;

 private:
  std::vector<ChannelRange> ranges_;  // of the channels that have bounds
};

}  // namespace zonda::model
