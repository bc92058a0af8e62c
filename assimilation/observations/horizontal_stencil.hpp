#pragma once
#include <array>
#include <cstdint>
#include <optional>

#include "core/grid.hpp"

namespace zonda::assimilation {

/// Bilinear interpolation of a field [lat, lon] to one point. Between the last row and a pole the row itself goes on
/// beyond the pole, half a turn away, where vector components change sign.
struct HorizontalStencil {
  std::array<std::uint32_t, 4> index;
  std::array<double, 4> weight;
  std::array<bool, 4> beyond_pole;
};

/// Nothing where the point lies outside a regional grid.
std::optional<HorizontalStencil> horizontal_stencil(const Grid& grid, double latitude, double longitude);

}  // namespace zonda::assimilation
