#pragma once
// What a map projection is called elsewhere: through PROJ, which also judges the closed forms that models run with.
#include <string>

#include "core/grid.hpp"

namespace zonda::ingest {

/// ISO 19162:2019 in one line. Throws Error(failure) with PROJ's reason.
std::string well_known_text(const MapProjection& projection);

/// Compares the corners, the middles of the sides and the centre of a projected grid with what PROJ makes of them.
/// Throws Error(failure) naming a point that is off by more than a millimetre in the plane or 1e-9 degrees on the
/// sphere; nothing is done for rectilinear grids.
void verify_projection(const Grid& grid);

}  // namespace zonda::ingest
