#pragma once
// Forcings: inputs of a forecast model that are known for any time, computed instead of stored.
#include <span>
#include <string>

#include "core/grid.hpp"
#include "core/time.hpp"

namespace zonda::ingest {

/// The names `compute_forcing` knows:
///   insolation                        top of the atmosphere, instantaneous at the time, W m-2
///   cos_day_of_year, sin_day_of_year  of 2 pi (fraction of the year); the same at all points
///   cos_local_time, sin_local_time    of 2 pi (local mean solar time / 24 h): time in UTC + longitude / 15 degrees per
///   hour
std::span<const std::string> forcing_names();
/// Throws Error(usage) on a name that is not among them, proposing the nearest.
void check_forcings(std::span<const std::string> names);

/// `out [name, lat, lon]` at one time. Throws Error(usage) on an unknown name, Error(failure) where `out` has another
/// size.
void compute_forcing(const Grid& grid, Time time, std::span<const std::string> names, std::span<float> out);
/// Rows [row_begin, row_end) of it: `out [name, row_end - row_begin, lon]`.
void compute_forcing(const Grid& grid, Time time, std::span<const std::string> names, std::size_t row_begin,
                     std::size_t row_end, std::span<float> out);

}  // namespace zonda::ingest
