#pragma once
// The coast of a region, for the maps of stations: archives need not hold a land-sea mask.
#include <vector>

#include "core/grid.hpp"

namespace zonda::inference {

/// Pieces of Natural Earth's coastlines (1:110 million) between the grid's outermost cell centres, each no longer than
/// half a cell: `[piece, 4]`, degrees north and east of one end and of the other, longitudes in [0, 360).
std::vector<float> region_coast(const Grid& grid);

}  // namespace zonda::inference
