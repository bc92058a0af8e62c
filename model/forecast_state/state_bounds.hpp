#pragma once
// What a state may hold: humidity, cloud and precipitation are not negative, cloud cover is at most 1.
#include <limits>
#include <span>
#include <vector>

#include "model/forecast_state/forecast_layout.hpp"

namespace zonda::model {

struct Bounds {
  double lower = -std::numeric_limits<double>::infinity();
  double upper = std::numeric_limits<double>::infinity();
};
/// Of a variable by its meaning, not its range of plausible values; SI.
Bounds physical_bounds(const Variable& variable);

/// The bounds of a layout's channels in normalised space. States are `[channel, lat, lon]`.
class StateBounds {
 public:
  explicit StateBounds(const ForecastLayout& layout);
  /// Values beyond a bound become the bound; NaN stays NaN.
  void apply(std::span<float> state) const;
  /// Adjoint of apply about the state that it gave: where a value is at its bound the gradient becomes 0.
  void adjoint(std::span<const float> applied, std::span<float> gradient) const;

 private:
  struct Range {
    std::size_t channel;
    float lower, upper;
  };
  std::vector<Range> ranges_;  // of the channels that have bounds
  std::size_t points_;
};

}  // namespace zonda::model
