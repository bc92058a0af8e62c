#include "inference/edge/forecast/point_interpolation.hpp"

#include <algorithm>
#include <cmath>

namespace zonda::edge {

namespace {

/// Bilinear in the plane of the projection.
std::optional<PointWeights> projected_weights(const Grid& grid, double latitude, double longitude) {
  const auto place = grid.place({latitude, longitude});
  const auto rows = static_cast<double>(grid.nlat()), columns = static_cast<double>(grid.nlon());
  if (!place ||
      !(place->row >= -0.5 && place->row <= rows - 0.5 && place->column >= -0.5 && place->column <= columns - 0.5))
    return std::nullopt;
  const double row = std::clamp(place->row, 0.0, rows - 1), column = std::clamp(place->column, 0.0, columns - 1);
  const auto upper = std::min(static_cast<std::size_t>(row), grid.nlat() - 2),
             left = std::min(static_cast<std::size_t>(column), grid.nlon() - 2);
  const double south = row - static_cast<double>(upper), east = column - static_cast<double>(left);
  const std::size_t first = upper * grid.nlon() + left, below = first + grid.nlon();
  return PointWeights{{first, first + 1, below, below + 1},
                      {(1 - south) * (1 - east), (1 - south) * east, south * (1 - east), south * east}};
}

}  // namespace

std::optional<PointWeights> bilinear_weights(const Grid& grid, double latitude, double longitude) {
  if (grid.projection()) return projected_weights(grid, latitude, longitude);
  const auto latitudes = grid.latitudes(), bounds = grid.latitude_bounds();
  if (!std::isfinite(latitude) || !std::isfinite(longitude)) return std::nullopt;
  if (latitude > bounds.front() || latitude < bounds.back()) return std::nullopt;
  const std::size_t rows = grid.nlat(), columns = grid.nlon();
  const auto below = std::lower_bound(latitudes.begin(), latitudes.end(), latitude, std::greater<>());
  const auto row = static_cast<std::size_t>(below - latitudes.begin());
  const std::size_t upper = row == 0 ? 0 : row - 1, lower = std::min(row, rows - 1);
  const double south = upper == lower ? 0 : (latitudes[upper] - latitude) / (latitudes[upper] - latitudes[lower]);

  // Columns east of the first one; just west of it counts as a negative share of a column.
  double east = std::fmod(longitude - grid.longitudes()[0], 360.0);
  if (east < 0) east += 360;
  double position = east / grid.longitude_step();
  const double circle = 360.0 / grid.longitude_step();
  std::size_t left = 0, right = 0;
  double share = 0;
  if (grid.periodic()) {
    left = std::min(static_cast<std::size_t>(position), columns - 1);
    right = (left + 1) % columns;
    share = std::min(position - static_cast<double>(left), 1.0);
  } else {
    if (position > circle - 0.5) position -= circle;
    const double last = static_cast<double>(columns - 1);
    if (position < -0.5 || position > last + 0.5) return std::nullopt;
    position = std::clamp(position, 0.0, last);
    left = std::min(static_cast<std::size_t>(position), columns - 1);
    right = std::min(left + 1, columns - 1);
    share = position - static_cast<double>(left);
  }
  return PointWeights{
      {upper * columns + left, upper * columns + right, lower * columns + left, lower * columns + right},
      {(1 - south) * (1 - share), (1 - south) * share, south * (1 - share), south * share}};
}

}  // namespace zonda::edge
