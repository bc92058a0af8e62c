#pragma once
#include "assimilation/ensemble/batches.hpp"
#include "assimilation/observations/atmosphere_layout.hpp"

namespace zonda::assimilation {

/// A batch for each level and column, [level][lat][lon] from the top down, at (longitude, latitude, ln p) with a
/// surface pressure of 1000 hPa: all variables of all time slots there, fields at the surface with the lowest level.
/// Pair with SphereMetric. Throws Error(usage) where fields have levels of their own.
std::vector<Batch> column_batches(const AtmosphereLayout& layout);

}  // namespace zonda::assimilation
