#include "postproc/verification/region.hpp"

#include <algorithm>
#include <cmath>

#include "core/error.hpp"

namespace zonda::postproc {
namespace {

// A row or column this close to a bound counts as on it: coordinates come from files as rounded decimals.
constexpr double tolerance = 1e-6;

std::vector<Region> make_table() {
  const std::vector<Region> boxes = {
      {"global", -90, 90},
      {"tropics", -20, 20},
      {"northern-hemisphere", 20, 90},
      {"southern-hemisphere", -90, -20},
      {"europe", 35, 75, -12.5, 55},
      {"north-america", 25, 60, -120, 45},
      {"north-atlantic", 25, 65, -70, 60},
      {"north-pacific", 25, 60, 145, 85},
      {"east-asia", 25, 60, 102.5, 47.5},
      {"ausnz", -45, -12.5, 120, 55},
      {"arctic", 60, 90},
      {"antarctic", -90, -60},
  };
  std::vector<Region> table = boxes;
  for (Region box : boxes) {
    box.name += "-land";
    box.land = true;
    table.push_back(box);
  }
  return table;
}

}  // namespace

std::span<const Region> region_table() {
  static const std::vector<Region> table = make_table();
  return table;
}

const Region& region(std::string_view name) {
  std::vector<std::string> known;
  for (const Region& r : region_table()) {
    if (r.name == name) return r;
    known.push_back(r.name);
  }
  throw Error(ErrorKind::usage, unknown_word("region", name, known));
}

RegionWeights::RegionWeights(const Grid& grid, const Region& region, std::span<const float> land_fraction)
    : name_(region.name), nlon_(grid.nlon()), row_weights_(grid.row_weights().begin(), grid.row_weights().end()) {
  if (region.land) {
    if (land_fraction.size() != grid.size())
      fail(ErrorKind::usage, "region '{}' needs a land-sea mask (lsm) on the grid {}, which the archive does not hold",
           region.name, grid.to_string());
    land_.assign(land_fraction.begin(), land_fraction.end());
  }
  const auto latitudes = grid.latitudes();
  const auto in_rows = [&](std::size_t row) {
    return latitudes[row] <= region.north + tolerance && latitudes[row] >= region.south - tolerance;
  };
  while (first_row_ < grid.nlat() && !in_rows(first_row_)) ++first_row_;
  end_row_ = first_row_;
  while (end_row_ < grid.nlat() && in_rows(end_row_)) ++end_row_;
  const auto longitudes = grid.longitudes();
  for (std::size_t column = 0; column < nlon_; ++column) {
    const double offset = std::fmod(longitudes[column] - region.west + 720, 360.0);
    // Just west of the western bound by rounding is on it.
    const bool inside = region.width >= 360 || offset <= region.width + tolerance || offset >= 360 - tolerance;
    if (!inside) continue;
    if (!columns_.empty() && columns_.back().second == column) {
      ++columns_.back().second;
    } else {
      columns_.emplace_back(column, column + 1);
    }
  }
  for (std::size_t row = first_row_; row < end_row_; ++row) {
    double cells = 0;
    for (const auto& [begin, end] : columns_) {
      if (land_.empty()) {
        cells += static_cast<double>(end - begin);
      } else {
        for (std::size_t column = begin; column < end; ++column) cells += land_row(row)[column];
      }
    }
    total_ += row_weights_[row] * cells;
  }
}

std::span<const float> RegionWeights::land_row(std::size_t row) const {
  if (land_.empty()) return {};
  return {land_.data() + row * nlon_, nlon_};
}

double RegionWeights::mean(std::span<const double> field) const {
  return sum({0, row_weights_.size()}, field) / total_;
}

double RegionWeights::sum(parallel::Range rows, std::span<const double> values) const {
  double sum = 0;
  for (std::size_t row = std::max(rows.begin, first_row_); row < std::min(rows.end, end_row_); ++row) {
    const auto land = land_row(row);
    const double* of_row = values.data() + (row - rows.begin) * nlon_;
    double row_sum = 0;
    for (const auto& [begin, end] : columns_)
      for (std::size_t column = begin; column < end; ++column)
        row_sum += land.empty() ? of_row[column] : land[column] * of_row[column];
    sum += row_weights_[row] * row_sum;
  }
  return sum;
}

}  // namespace zonda::postproc
