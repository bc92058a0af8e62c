#pragma once
// Parallels and meridians on the map of a projected grid, where they are curves.
#include <vector>

#include "core/grid.hpp"

namespace zonda::edge {

struct GraticuleLine {
  double degrees = 0;  ///< north, or east in (-180, 180]
  bool parallel = false;
  std::vector<Grid::Place> points;  ///< within the grid, along the line
};

/// At most about a dozen lines of each kind, at round degrees; a line that leaves the grid and comes back is several.
/// None for grids whose rows are parallels.
std::vector<GraticuleLine> graticule(const Grid& grid);

}  // namespace zonda::edge
