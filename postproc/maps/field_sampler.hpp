#pragma once
// A field between its grid points, for drawing.
#include <optional>
#include <span>
#include <vector>

#include "core/grid.hpp"

namespace zonda::postproc {

/// Catmull-Rom (smooth) or linear interpolation of a field `[lat, lon]`. Periodic grids wrap, and global ones continue
/// over the pole; outside a regional grid, and where a value is missing, there is nothing.
class FieldSampler {
 public:
  /// The sampler keeps its own copy: value * scale + offset.
  FieldSampler(const Grid& grid, std::span<const float> field, double scale = 1, double offset = 0, bool smooth = true);
  std::optional<double> at(double latitude, double longitude) const;
  std::span<const double> values() const { return values_; }

 private:
  double value(long row, long column) const;
  double row_position(double latitude) const;
  Grid grid_;
  std::vector<double> values_;
  bool smooth_, global_;
};

}  // namespace zonda::postproc
