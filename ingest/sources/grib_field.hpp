#pragma once
// One GRIB field through ecCodes: what it is, where it lies, its values.
#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "core/time.hpp"

namespace zonda::ingest {

struct GribGeometry {
  std::string grid_type;  ///< ecCodes' gridType: regular_ll, regular_gg, lambert, ...
  std::size_t columns = 0, rows = 0;
  std::vector<double> latitudes, longitudes;  ///< in scanning order; empty where the grid has no rows and columns
  bool columns_first = false;                 ///< consecutive points along a column
  bool alternating = false;                   ///< every second row (or column) runs backwards
  friend bool operator==(const GribGeometry&, const GribGeometry&) = default;
};

struct GribDescription {
  std::string short_name, unit, level_type, step_type, data_type;
  long parameter = 0, discipline = -1, category = -1, number = -1;  ///< triplet: -1 in edition 1
  double level = 0;
  Time reference_time;
  Duration start{0}, end{0};  ///< of the step range, after the reference time
  std::optional<int> member;
  GribGeometry geometry;
};

/// ecCodes keeps state of its own: all calls of this process are serialised. Its messages to stderr are silenced; what
/// it finds wrong is thrown as Error(data).
GribDescription describe_grib_field(std::span<const std::byte> message);

/// In scanning order, rows * columns values, NaN where the bit map says missing. Throws Error(data).
std::vector<double> decode_grib_field(std::span<const std::byte> message);

/// Values in scanning order to `[row, column]` with the geometry's latitudes and longitudes.
void unscan_grib_field(const GribGeometry& geometry, std::vector<double>& values);

}  // namespace zonda::ingest
