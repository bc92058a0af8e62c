#include "postproc/maps/field_sampler.hpp"

#include <algorithm>
#include <array>
#include <cmath>

namespace zonda::postproc {
namespace {

// Weights of the four neighbours at -1, 0, 1, 2 for a place `f` between 0 and 1 (Catmull & Rom 1974).
std::array<double, 4> cubic(double f) {
  const double f2 = f * f, f3 = f2 * f;
  return {0.5 * (-f + 2 * f2 - f3), 0.5 * (2 - 5 * f2 + 3 * f3), 0.5 * (f + 4 * f2 - 3 * f3), 0.5 * (f3 - f2)};
}

}  // namespace

FieldSampler::FieldSampler(const Grid& grid, std::span<const float> field, double scale, double offset, bool smooth)
    : grid_(grid), smooth_(smooth), global_(grid.periodic() && grid.latitude_bounds().front() > 89.999) {
  values_.reserve(field.size());
  for (const float value : field) values_.push_back(value * scale + offset);
}

double FieldSampler::value(long row, long column) const {
  const auto nlat = static_cast<long>(grid_.nlat()), nlon = static_cast<long>(grid_.nlon());
  if (row < 0 || row >= nlat) {
    if (global_) {
      // Over the pole: the row on the other side. A row at the pole itself is its own neighbour.
      const long skip = grid_.has_poles() ? 1 : 0;
      row = row < 0 ? -1 - row + skip : 2 * nlat - 1 - row - skip;
      column += nlon / 2;
    }
    row = std::clamp(row, 0L, nlat - 1);
  }
  column = grid_.periodic() ? (column % nlon + nlon) % nlon : std::clamp(column, 0L, nlon - 1);
  return values_[static_cast<std::size_t>(row * nlon + column)];
}

double FieldSampler::row_position(double latitude) const {
  const auto latitudes = grid_.latitudes();
  // First row that is not north of the place.
  const auto below = std::lower_bound(latitudes.begin(), latitudes.end(), latitude, std::greater<>());
  if (below == latitudes.begin()) return (latitudes.front() - latitude) / (latitudes[0] - latitudes[1]);
  if (below == latitudes.end()) {
    const std::size_t last = latitudes.size() - 1;
    return static_cast<double>(last) + (latitudes[last] - latitude) / (latitudes[last - 1] - latitudes[last]);
  }
  const auto lower = static_cast<std::size_t>(below - latitudes.begin());
  return static_cast<double>(lower) - (latitude - latitudes[lower]) / (latitudes[lower - 1] - latitudes[lower]);
}

std::optional<double> FieldSampler::at(double latitude, double longitude) const {
  const double row = row_position(latitude);
  double column = std::fmod(longitude - grid_.longitudes()[0] + 720, 360.0) / grid_.longitude_step();
  if (!global_ && (row < -0.5 || row > static_cast<double>(grid_.nlat()) - 0.5)) return std::nullopt;
  if (!grid_.periodic()) {
    const double west_of_first = 360 / grid_.longitude_step();
    if (column > west_of_first - 0.5) column -= west_of_first;
    if (column > static_cast<double>(grid_.nlon()) - 0.5) return std::nullopt;
  }
  const double row_floor = std::floor(row), column_floor = std::floor(column);
  const double fr = row - row_floor, fc = column - column_floor;
  const auto r0 = static_cast<long>(row_floor), c0 = static_cast<long>(column_floor);
  double sum = 0;
  if (smooth_) {
    const auto wr = cubic(fr), wc = cubic(fc);
    for (long r = 0; r < 4; ++r) {
      double line = 0;
      for (long c = 0; c < 4; ++c) line += wc[static_cast<std::size_t>(c)] * value(r0 + r - 1, c0 + c - 1);
      sum += wr[static_cast<std::size_t>(r)] * line;
    }
  } else {
    sum = (1 - fr) * ((1 - fc) * value(r0, c0) + fc * value(r0, c0 + 1)) +
          fr * ((1 - fc) * value(r0 + 1, c0) + fc * value(r0 + 1, c0 + 1));
  }
  if (!std::isfinite(sum)) return std::nullopt;
  return sum;
}

}  // namespace zonda::postproc
