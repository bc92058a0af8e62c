// Grids in the plane of a projection, and places on grids of all kinds.
#include <algorithm>
#include <cmath>

#include "core/constants.hpp"
#include "core/error.hpp"
#include "core/grid_tables.hpp"

namespace zonda {

Grid Grid::projected(const MapProjection& projection, double y_first, double y_last, std::size_t nlat, double x_first,
                     double x_last, std::size_t nlon) {
  check_grid_size(nlat, nlon);
  constexpr std::size_t most = 1 << 22;
  if (nlat * nlon > most)
    fail(ErrorKind::usage, "a projected grid of {}x{} cells; at most {} in all", nlat, nlon, most);
  if (!(y_first > y_last) || !(x_first < x_last) || !std::isfinite(y_first - y_last) ||
      !std::isfinite(x_last - x_first))
    fail(ErrorKind::usage, "a projected grid needs y that descends and x that ascends, not {}..{} and {}..{}", y_first,
         y_last, x_first, x_last);
  auto t = std::make_shared<Tables>();
  t->kind = GridKind::projected;
  t->periodic = t->poles = false;
  t->first_longitude = t->step = 0;
  t->projection = projection;
  const double dy = (y_last - y_first) / static_cast<double>(nlat - 1),
               dx = (x_last - x_first) / static_cast<double>(nlon - 1);
  for (std::size_t i = 0; i < nlat; ++i) t->y.push_back(y_first + dy * static_cast<double>(i));
  for (std::size_t j = 0; j < nlon; ++j) t->x.push_back(x_first + dx * static_cast<double>(j));
  const double sphere = constants::earth_radius / projection.radius();
  for (std::size_t i = 0; i < nlat; ++i)
    for (std::size_t j = 0; j < nlon; ++j) {
      const PlanePoint point{t->x[j], t->y[i]};
      const GeographicPoint centre = projection.inverse(point);
      const PlanePoint back = projection.forward(centre);
      if (!(std::hypot(back.x - point.x, back.y - point.y) < 1e-6 * (dx - dy)))
        fail(ErrorKind::usage, "x {} y {} is not on the map of {}", point.x, point.y, projection.to_string());
      const MapProjection::Local local = projection.local(centre);
      t->cell_latitudes.push_back(centre.latitude);
      t->cell_longitudes.push_back(centre.longitude);
      t->east_cosines.push_back(std::cos(local.east));
      t->east_sines.push_back(std::sin(local.east));
      // Gauss' two points in each direction.
      const double off = 0.5 / std::sqrt(3.0);
      double area = 0;
      for (const double across : {-off, off})
        for (const double along : {-off, off}) {
          const MapProjection::Local at =
              projection.local(projection.inverse({point.x + across * dx, point.y + along * dy}));
          area += 0.25 * -dx * dy / (at.scale_x * at.scale_y);
        }
      t->cell_areas.push_back(area * sphere * sphere);
      if (!std::isfinite(t->cell_areas.back()))
        fail(ErrorKind::usage, "the cell at x {} y {} reaches beyond the map of {}", point.x, point.y,
             projection.to_string());
    }
  return Grid(std::move(t));
}

std::span<const double> Grid::x() const {
  return tables_->x;
}
std::span<const double> Grid::y() const {
  return tables_->y;
}
double Grid::east_cosine(std::size_t cell) const {
  return tables_->projection ? tables_->east_cosines[cell] : 1;
}
double Grid::east_sine(std::size_t cell) const {
  return tables_->projection ? tables_->east_sines[cell] : 0;
}

std::optional<Grid::Place> Grid::place(const GeographicPoint& point) const {
  const Tables& t = *tables_;
  if (!(std::abs(point.latitude) <= 90) || !std::isfinite(point.longitude)) return std::nullopt;
  if (t.projection) {
    const PlanePoint at = t.projection->forward(point);
    if (!std::isfinite(at.x) || !std::isfinite(at.y)) return std::nullopt;
    return Place{(at.y - t.y[0]) / (t.y[1] - t.y[0]), (at.x - t.x[0]) / (t.x[1] - t.x[0])};
  }
  const std::size_t rows = t.latitudes.size(), columns = t.longitudes.size();
  const auto below = std::lower_bound(t.latitudes.begin(), t.latitudes.end(), point.latitude, std::greater<>());
  const auto next = static_cast<std::size_t>(below - t.latitudes.begin());
  const std::size_t upper = rows < 2 ? 0 : std::clamp<std::size_t>(next, 1, rows - 1) - 1;
  const double gap = rows < 2 ? t.step : t.latitudes[upper] - t.latitudes[upper + 1];
  double column = wrapped_longitude(point.longitude - t.longitudes[0]) / t.step;
  const double circle = 360.0 / t.step, beyond = circle - static_cast<double>(columns - 1);
  if (!t.periodic && column > circle - 0.5 * beyond) column -= circle;  // just west of the first column
  return Place{static_cast<double>(upper) + (t.latitudes[upper] - point.latitude) / gap, column};
}

GridExtent Grid::extent() const {
  const Tables& t = *tables_;
  if (!t.projection) {
    if (t.periodic) return {t.latitudes.front(), t.latitudes.back(), 0, 360};
    return {t.latitudes.front(), t.latitudes.back(), t.longitudes.front(), t.longitudes.back()};
  }
  const auto [south, north] = std::minmax_element(t.cell_latitudes.begin(), t.cell_latitudes.end());
  GridExtent extent{*north, *south, 0, 360};
  for (const double pole : {90.0, -90.0}) {
    const PlanePoint at = t.projection->forward({pole, 0});
    if (at.x < t.x.front() || at.x > t.x.back() || at.y > t.y.front() || at.y < t.y.back()) continue;
    (pole > 0 ? extent.north : extent.south) = pole;
    return extent;
  }
  const double middle = t.cell_longitudes[nlat() / 2 * nlon() + nlon() / 2];
  double west = 0, east = 0;
  for (const double longitude : t.cell_longitudes) {
    const double off = std::remainder(longitude - middle, 360.0);
    west = std::min(west, off);
    east = std::max(east, off);
  }
  extent.west = wrapped_longitude(middle + west);
  extent.east = wrapped_longitude(middle + east);
  return extent;
}

}  // namespace zonda
