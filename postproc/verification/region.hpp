#pragma once
// Regions of verification (WeatherBench 2, Rasp et al. 2024, and its evaluation script), and their area weights on a
// grid.
#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/grid.hpp"
#include "parallel/partition.hpp"

namespace zonda::postproc {

/// A box of latitudes and longitudes, bounds included (as xarray's slices in WeatherBench 2 include them), optionally
/// weighted by the land fraction (name ends in `-land`).
struct Region {
  std::string name;
  double south, north;           ///< degrees north
  double west = 0, width = 360;  ///< degrees east; width eastward from west, 360 = all longitudes
  bool land = false;
};

/// global, tropics, northern-hemisphere, ... each followed by its land variant.
std::span<const Region> region_table();
/// Throws Error(usage) with the names it knows.
const Region& region(std::string_view name);

/// A region's cells on one grid.
class RegionWeights {
 public:
  /// `land_fraction` [lat, lon] in 0..1; needed for land regions, else ignored. Throws Error(usage) if it is missing.
  RegionWeights(const Grid& grid, const Region& region, std::span<const float> land_fraction = {});

  const std::string& name() const { return name_; }
  /// Sum of row weight (times land fraction) over the region's cells; 0 where the grid has no cell of the region.
  double total() const { return total_; }
  std::size_t first_row() const { return first_row_; }
  std::size_t end_row() const { return end_row_; }
  /// Half-open column ranges, at most two (a region may cross the first column).
  std::span<const std::pair<std::size_t, std::size_t>> columns() const { return columns_; }
  /// Land fractions of a row, [lon]; empty for regions that are not masked.
  std::span<const float> land_row(std::size_t row) const;
  double row_weight(std::size_t row) const { return row_weights_[row]; }
  /// Area-weighted mean of a field `[lat, lon]`.
  double mean(std::span<const double> field) const;
  /// total() times the mean, from these rows of the field alone: `values [row, lon]`.
  double sum(parallel::Range rows, std::span<const double> values) const;

 private:
  std::string name_;
  std::size_t nlon_, first_row_ = 0, end_row_ = 0;
  std::vector<std::pair<std::size_t, std::size_t>> columns_;
  std::vector<double> row_weights_;
  std::vector<float> land_;
  double total_ = 0;
};

}  // namespace zonda::postproc
