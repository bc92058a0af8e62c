#pragma once
// Where the land of a mask ends, for maps.
#include <span>
#include <vector>

#include "core/grid.hpp"

namespace zonda::edge {

/// Degrees north, degrees east (as the grid counts them, growing eastward).
struct CoastPoint {
  double latitude = 0, longitude = 0;
};
struct CoastSegment {
  CoastPoint from, to;
};

/// The contour of one half of a land-sea mask `[lat, lon]`, 1 = land, between the centres of cells (marching squares;
/// a saddle is cut so that land is joined where the mean of its corners is land). Throws Error(data): another size.
std::vector<CoastSegment> coastline(const Grid& grid, std::span<const float> mask);

}  // namespace zonda::edge
