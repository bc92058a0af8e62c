#pragma once
// A field at a point: bilinear between the four cell centres around it, in latitude and longitude or in the plane of
// the grid's projection.
#include <array>
#include <optional>
#include <span>

#include "core/grid.hpp"

namespace zonda::edge {

struct PointWeights {
  std::array<std::size_t, 4> cells;  ///< indices into [lat, lon]
  std::array<double, 4> weights;     ///< sum 1
  double at(std::span<const float> field) const {
    double sum = 0;
    for (std::size_t k = 0; k < 4; ++k) sum += weights[k] * static_cast<double>(field[cells[k]]);
    return sum;
  }
};

/// Degrees north and east (any turn of the circle). Between the outermost centres and the edges of their cells the
/// outermost value holds; beyond them there is none.
std::optional<PointWeights> bilinear_weights(const Grid& grid, double latitude, double longitude);

}  // namespace zonda::edge
