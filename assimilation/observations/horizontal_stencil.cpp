#include "assimilation/observations/horizontal_stencil.hpp"

#include <algorithm>
#include <cmath>

namespace zonda::assimilation {
namespace {

struct Columns {
  std::uint32_t west, east;
  double fraction;
};

std::optional<Columns> columns_at(const Grid& grid, double longitude) {
  const double turn = (longitude - grid.longitudes()[0]) / 360;
  const double x = (turn - std::floor(turn)) * 360 / grid.longitude_step();
  const auto n = static_cast<std::uint32_t>(grid.nlon());
  const double below = std::floor(x);
  if (grid.periodic()) {
    const std::uint32_t west = static_cast<std::uint32_t>(below) % n;
    return Columns{west, (west + 1) % n, x - below};
  }
  // A point on the western edge may round to a whole turn.
  if (360 / grid.longitude_step() - x < 1e-9) return Columns{0, std::min(1u, n - 1), 0};
  const double last = static_cast<double>(n - 1);
  if (x > last + 1e-9) return std::nullopt;
  if (x >= last) return Columns{n - 1, n - 1, 0};
  const auto west = static_cast<std::uint32_t>(below);
  return Columns{west, west + 1, x - below};
}

}  // namespace

std::optional<HorizontalStencil> horizontal_stencil(const Grid& grid, double latitude, double longitude) {
  if (!(std::abs(latitude) <= 90) || !std::isfinite(longitude)) return std::nullopt;
  const auto columns = columns_at(grid, longitude);
  if (!columns) return std::nullopt;
  const auto rows = grid.latitudes();
  const std::size_t n = rows.size();
  const auto make = [&](std::size_t near, std::size_t far, const Columns& far_columns, double fraction, bool beyond) {
    const auto at = [&](std::size_t row, std::uint32_t column) {
      return static_cast<std::uint32_t>(row * grid.nlon() + column);
    };
    const double w = columns->fraction, v = far_columns.fraction;
    return HorizontalStencil{
        {at(near, columns->west), at(near, columns->east), at(far, far_columns.west), at(far, far_columns.east)},
        {(1 - fraction) * (1 - w), (1 - fraction) * w, fraction * (1 - v), fraction * v},
        {false, false, beyond, beyond}};
  };
  if (latitude > rows.front() || latitude < rows.back()) {
    const std::size_t row = latitude > rows.front() ? 0 : n - 1;
    if (std::abs(latitude - rows[row]) < 1e-9) return make(row, row, *columns, 0, false);
    if (grid.kind() == GridKind::regional) return std::nullopt;
    const double to_pole = 90 - std::abs(rows[row]);
    const auto opposite = columns_at(grid, longitude + 180);
    return make(row, row, *opposite, (std::abs(latitude) - std::abs(rows[row])) / (2 * to_pole), true);
  }
  const auto below = std::lower_bound(rows.begin(), rows.end(), latitude, std::greater<>());
  const std::size_t south = std::max<std::size_t>(1, static_cast<std::size_t>(below - rows.begin()));
  if (n == 1) return make(0, 0, *columns, 0, false);
  const double fraction = (rows[south - 1] - latitude) / (rows[south - 1] - rows[south]);
  return make(south - 1, south, *columns, fraction, false);
}

}  // namespace zonda::assimilation
