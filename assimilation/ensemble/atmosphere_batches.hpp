#pragma once
#include "assimilation/ensemble/batches.hpp"
#include "assimilation/observations/atmosphere_layout.hpp"

namespace zonda::assimilation {

/// A batch for each column and level, [level][lat][lon] from the top down, at (longitude, latitude, ln p): all
/// variables of all time slots there. Levels of different fields belong together where their pressures agree to 1e-6.
/// Fields at the surface go with the lowest level (at 1000 hPa where there is none). Levels that follow the surface are
/// placed by surface_pressure_by_height of the orography.
///
/// With `stride` k > 1 weights are solved for on every k-th row and column (and the last rows and, where the grid does
/// not close, columns) and combined bilinearly between (Yang et al. 2009). Pair with SphereMetric.
std::vector<Batch> atmosphere_batches(const AtmosphereLayout& layout, std::size_t stride = 1);

}  // namespace zonda::assimilation
