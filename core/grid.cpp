#include "core/grid.hpp"

#include <algorithm>
#include <cmath>

#include "core/constants.hpp"
#include "core/error.hpp"
#include "core/grid_tables.hpp"

namespace zonda {

using constants::pi;

double wrapped_longitude(double longitude) {
  double x = std::fmod(longitude, 360.0);
  if (x < 0) x += 360.0;
  return x >= 360.0 ? 0.0 : x;
}

namespace {

double radians(double degrees) {
  return degrees * (pi / 180.0);
}

[[noreturn]] void bad_grid_size(std::size_t nlat, std::size_t nlon) {
  fail(ErrorKind::usage, "a grid of {}x{} is not possible; expected 2 to 100000 rows and columns", nlat, nlon);
}

}  // namespace

std::vector<double> regional_bounds(const std::vector<double>& latitudes, double fallback_step) {
  const std::size_t n = latitudes.size();
  std::vector<double> bounds(n + 1);
  for (std::size_t i = 1; i < n; ++i) bounds[i] = 0.5 * (latitudes[i - 1] + latitudes[i]);
  const double top = n > 1 ? latitudes[0] - latitudes[1] : fallback_step;
  const double bottom = n > 1 ? latitudes[n - 2] - latitudes[n - 1] : fallback_step;
  bounds[0] = std::min(90.0, latitudes[0] + 0.5 * top);
  bounds[n] = std::max(-90.0, latitudes[n - 1] - 0.5 * bottom);
  return bounds;
}

void check_grid_size(std::size_t nlat, std::size_t nlon) {
  if (nlat < 2 || nlon < 2 || nlat > 100'000 || nlon > 100'000) bad_grid_size(nlat, nlon);
}

void gauss_legendre(std::size_t n, std::vector<double>& nodes, std::vector<double>& weights) {
  nodes.resize(n);
  weights.resize(n);
  const auto order = static_cast<double>(n);
  for (std::size_t i = 0; i < (n + 1) / 2; ++i) {
    // Starting value of Abramowitz & Stegun 22.16.6, then Newton with the three-term recurrence.
    double x = std::cos(pi * (static_cast<double>(i) + 0.75) / (order + 0.5));
    double derivative = 1;
    for (int iteration = 0; iteration < 100; ++iteration) {
      double p0 = 1, p1 = x;
      for (std::size_t k = 2; k <= n; ++k) {
        const auto kk = static_cast<double>(k);
        const double p2 = ((2 * kk - 1) * x * p1 - (kk - 1) * p0) / kk;
        p0 = p1;
        p1 = p2;
      }
      if (n == 1) p0 = 1;
      derivative = order * (x * p1 - p0) / (x * x - 1);
      const double correction = p1 / derivative;
      x -= correction;
      if (std::abs(correction) < 1e-16) break;
    }
    if (2 * i + 1 == n) x = 0;
    const double weight = 2 / ((1 - x * x) * derivative * derivative);
    nodes[i] = x;
    nodes[n - 1 - i] = -x;
    weights[i] = weights[n - 1 - i] = weight;
  }
}

namespace {

/// Bounds of a global grid: midpoints between rows, the poles at the ends.
std::vector<double> global_bounds(const std::vector<double>& latitudes) {
  std::vector<double> bounds(latitudes.size() + 1);
  bounds.front() = 90;
  bounds.back() = -90;
  for (std::size_t i = 1; i < latitudes.size(); ++i) bounds[i] = 0.5 * (latitudes[i - 1] + latitudes[i]);
  return bounds;
}

}  // namespace

void derive_grid(std::vector<double>& longitudes, double first, double step, std::size_t nlon,
                 const std::vector<double>& bounds, std::vector<double>& areas, std::vector<double>& weights) {
  longitudes.resize(nlon);
  for (std::size_t j = 0; j < nlon; ++j) longitudes[j] = wrapped_longitude(first + static_cast<double>(j) * step);
  const std::size_t nlat = bounds.size() - 1;
  areas.resize(nlat);
  weights.resize(nlat);
  double sum = 0;
  for (std::size_t i = 0; i < nlat; ++i) {
    areas[i] = constants::earth_radius * constants::earth_radius * radians(step) *
               (std::sin(radians(bounds[i])) - std::sin(radians(bounds[i + 1])));
    sum += areas[i];
  }
  for (std::size_t i = 0; i < nlat; ++i) weights[i] = areas[i] * static_cast<double>(nlat) / sum;
}

Grid Grid::latlon(std::size_t nlat, std::size_t nlon, bool poles, double first_longitude) {
  check_grid_size(nlat, nlon);
  auto t = std::make_shared<Tables>();
  t->kind = GridKind::latlon;
  t->periodic = true;
  t->poles = poles;
  t->first_longitude = wrapped_longitude(first_longitude);
  t->step = 360.0 / static_cast<double>(nlon);
  t->latitudes.resize(nlat);
  const double dlat = 180.0 / static_cast<double>(poles ? nlat - 1 : nlat);
  for (std::size_t i = 0; i < nlat; ++i) {
    // From the nearer pole, so that rows mirror exactly.
    const bool northern = 2 * i < nlat;
    const auto k = static_cast<double>(northern ? i : nlat - 1 - i);
    const double latitude = 90.0 - (k + (poles ? 0.0 : 0.5)) * dlat;
    t->latitudes[i] = 2 * i + 1 == nlat ? 0.0 : northern ? latitude : -latitude;
  }
  t->bounds = global_bounds(t->latitudes);
  derive_grid(t->longitudes, t->first_longitude, t->step, nlon, t->bounds, t->areas, t->weights);
  return Grid(std::move(t));
}

Grid Grid::gaussian(std::size_t nlat, std::size_t nlon, double first_longitude) {
  check_grid_size(nlat, nlon);
  if (nlat % 2 != 0) fail(ErrorKind::usage, "a Gaussian grid needs an even number of rows, not {}", nlat);
  if (nlat > 20'000) bad_grid_size(nlat, nlon);
  auto t = std::make_shared<Tables>();
  t->kind = GridKind::gaussian;
  t->periodic = true;
  t->poles = false;
  t->first_longitude = wrapped_longitude(first_longitude);
  t->step = 360.0 / static_cast<double>(nlon);
  std::vector<double> nodes, weights;
  gauss_legendre(nlat, nodes, weights);
  t->latitudes.resize(nlat);
  for (std::size_t i = 0; i < nlat; ++i) t->latitudes[i] = std::asin(nodes[i]) * (180.0 / pi);
  t->bounds = global_bounds(t->latitudes);
  derive_grid(t->longitudes, t->first_longitude, t->step, nlon, t->bounds, t->areas, t->weights);
  return Grid(std::move(t));
}

Grid Grid::regional(double north, double south, std::size_t nlat, double west, double east, std::size_t nlon) {
  check_grid_size(nlat, nlon);
  if (!(north > south) || north > 90 || south < -90) {
    fail(ErrorKind::usage, "a regional grid needs 90 >= north > south >= -90, not {} and {}", north, south);
  }
  double width = wrapped_longitude(east) - wrapped_longitude(west);
  if (width <= 0) width += 360;
  if (!std::isfinite(width)) fail(ErrorKind::usage, "a regional grid needs finite west and east longitudes");
  auto t = std::make_shared<Tables>();
  t->kind = GridKind::regional;
  t->periodic = false;
  t->poles = false;
  t->first_longitude = wrapped_longitude(west);
  t->step = width / static_cast<double>(nlon - 1);
  t->latitudes.resize(nlat);
  for (std::size_t i = 0; i < nlat; ++i) {
    t->latitudes[i] = north + (south - north) * static_cast<double>(i) / static_cast<double>(nlat - 1);
  }
  t->bounds = regional_bounds(t->latitudes, t->step);
  derive_grid(t->longitudes, t->first_longitude, t->step, nlon, t->bounds, t->areas, t->weights);
  return Grid(std::move(t));
}

Grid Grid::from_coordinates(std::span<const double> latitudes_in, std::span<const double> longitudes_in) {
  const std::size_t nlat = latitudes_in.size(), nlon = longitudes_in.size();
  if (nlat < 1 || nlon < 2) fail(ErrorKind::data, "{} latitudes and {} longitudes do not make a grid", nlat, nlon);
  std::vector<double> latitudes(latitudes_in.begin(), latitudes_in.end());
  for (const double latitude : latitudes) {
    if (!(std::abs(latitude) <= 90.0 + 1e-4))
      fail(ErrorKind::data, "latitude {} is outside -90 to 90 degrees north", latitude);
  }
  for (double& latitude : latitudes) latitude = std::clamp(latitude, -90.0, 90.0);
  if (nlat > 1 && latitudes.front() < latitudes.back()) std::reverse(latitudes.begin(), latitudes.end());
  for (std::size_t i = 1; i < nlat; ++i) {
    if (!(latitudes[i] < latitudes[i - 1])) {
      fail(ErrorKind::data, "latitudes are not monotone: {} follows {}", latitudes[i], latitudes[i - 1]);
    }
  }
  // Files keep longitudes as float32 or rounded to 1e-3: the step is the mean one, and every column must be near its
  // place.
  double total = 0;
  for (std::size_t j = 1; j < nlon; ++j) {
    double gap = longitudes_in[j] - longitudes_in[j - 1];
    if (!std::isfinite(gap)) fail(ErrorKind::data, "longitude {} is not finite", j);
    if (gap <= -180) gap += 360;
    if (gap > 180 && nlon > 2) gap -= 360;
    if (gap <= 0)
      fail(ErrorKind::data, "longitudes do not grow eastward: {} follows {}", longitudes_in[j], longitudes_in[j - 1]);
    total += gap;
  }
  double step = total / static_cast<double>(nlon - 1);
  const double tolerance = std::max(2e-3, 2e-3 * step);
  const double circle = step * static_cast<double>(nlon);
  if (circle > 360.0 + 0.5 * step) fail(ErrorKind::data, "longitudes cover more than the circle ({} degrees)", circle);
  const bool periodic = std::abs(circle - 360.0) < 0.01 * step + tolerance;
  if (periodic) step = 360.0 / static_cast<double>(nlon);
  double position = longitudes_in[0];
  for (std::size_t j = 1; j < nlon; ++j) {
    position = longitudes_in[0] + step * static_cast<double>(j);
    const double off = std::remainder(longitudes_in[j] - position, 360.0);
    if (std::abs(off) > tolerance) {
      fail(ErrorKind::data, "longitudes are not equally spaced: column {} is at {}, expected {}", j, longitudes_in[j],
           wrapped_longitude(position));
    }
  }
  if (periodic && nlat >= 2) {
    const auto near = [&](const Grid& candidate) {
      for (std::size_t i = 0; i < nlat; ++i) {
        if (std::abs(candidate.latitudes()[i] - latitudes[i]) > 2e-3) return false;
      }
      return true;
    };
    const double first = wrapped_longitude(longitudes_in[0]);
    if (std::abs(latitudes.front() - 90.0) < 1e-3 && std::abs(latitudes.back() + 90.0) < 1e-3) {
      if (Grid grid = latlon(nlat, nlon, true, first); near(grid)) return grid;
    }
    if (Grid grid = latlon(nlat, nlon, false, first); near(grid)) return grid;
    if (nlat % 2 == 0) {
      if (Grid grid = gaussian(nlat, nlon, first); near(grid)) return grid;
    }
  }
  auto t = std::make_shared<Tables>();
  t->kind = GridKind::regional;
  t->periodic = periodic;
  t->poles = false;
  t->first_longitude = wrapped_longitude(longitudes_in[0]);
  t->step = step;
  t->latitudes = std::move(latitudes);
  t->bounds = regional_bounds(t->latitudes, step);
  derive_grid(t->longitudes, t->first_longitude, t->step, nlon, t->bounds, t->areas, t->weights);
  return Grid(std::move(t));
}

GridKind Grid::kind() const {
  return tables_->kind;
}
std::size_t Grid::nlat() const {
  return tables_->projection ? tables_->y.size() : tables_->latitudes.size();
}
std::size_t Grid::nlon() const {
  return tables_->projection ? tables_->x.size() : tables_->longitudes.size();
}
bool Grid::periodic() const {
  return tables_->periodic;
}
bool Grid::has_poles() const {
  return tables_->poles;
}

[[noreturn]] void refuse_projected(const Grid& grid) {
  fail(ErrorKind::usage, "{}: a projected grid has no rows of equal latitude, which are needed here", grid.to_string());
}

std::span<const double> Grid::latitudes() const {
  if (tables_->projection) refuse_projected(*this);
  return tables_->latitudes;
}
std::span<const double> Grid::longitudes() const {
  if (tables_->projection) refuse_projected(*this);
  return tables_->longitudes;
}
double Grid::longitude_step() const {
  if (tables_->projection) refuse_projected(*this);
  return tables_->step;
}
std::span<const double> Grid::latitude_bounds() const {
  if (tables_->projection) refuse_projected(*this);
  return tables_->bounds;
}
double Grid::cell_area(std::size_t row) const {
  if (tables_->projection) refuse_projected(*this);
  return tables_->areas[row];
}
std::span<const double> Grid::row_weights() const {
  if (tables_->projection) refuse_projected(*this);
  return tables_->weights;
}

GeographicPoint Grid::centre(std::size_t cell) const {
  const Tables& t = *tables_;
  if (t.projection) return {t.cell_latitudes[cell], t.cell_longitudes[cell]};
  return {t.latitudes[cell / t.longitudes.size()], t.longitudes[cell % t.longitudes.size()]};
}
double Grid::area(std::size_t cell) const {
  return tables_->projection ? tables_->cell_areas[cell] : tables_->areas[cell / tables_->longitudes.size()];
}
const MapProjection* Grid::projection() const {
  return tables_->projection ? &*tables_->projection : nullptr;
}
Grid::Window Grid::window(double north, double south, double west, double east) const {
  if (tables_->projection) refuse_projected(*this);
  const auto& lat = tables_->latitudes;
  Window w{0, 0, 0, 0};
  while (w.first_row < lat.size() && lat[w.first_row] > north + 1e-9) ++w.first_row;
  std::size_t last = w.first_row;
  while (last < lat.size() && lat[last] >= south - 1e-9) ++last;
  w.rows = last - w.first_row;
  double width = wrapped_longitude(east) - wrapped_longitude(west);
  if (width < 0 || (width == 0 && east != west)) width += 360;
  // The first column at or east of the western edge, in the grid's own order.
  const std::size_t n = nlon();
  double nearest = 1e9;
  for (std::size_t j = 0; j < n; ++j) {
    const double distance = wrapped_longitude(tables_->longitudes[j] - west + 1e-9);
    if (distance < nearest) {
      nearest = distance;
      w.first_column = j;
    }
  }
  while (w.columns < n && nearest + static_cast<double>(w.columns) * tables_->step <= width + 2e-9 &&
         (periodic() || w.first_column + w.columns < n)) {
    ++w.columns;
  }
  if (w.rows == 0 || w.columns == 0) {
    fail(ErrorKind::usage, "the area {}..{} N, {}..{} E holds no cell of grid {}", north, south, west, east,
         to_string());
  }
  return w;
}

Grid Grid::sub_grid(const Window& w) const {
  if (w.rows == nlat() && w.columns == nlon() && w.first_column == 0) return *this;
  if (tables_->projection) refuse_projected(*this);
  auto t = std::make_shared<Tables>();
  const Tables& mine = *tables_;
  t->kind = GridKind::regional;
  t->periodic = mine.periodic && w.columns == nlon();
  t->poles = false;
  t->first_longitude = mine.longitudes[w.first_column];
  t->step = mine.step;
  t->latitudes.assign(mine.latitudes.begin() + static_cast<std::ptrdiff_t>(w.first_row),
                      mine.latitudes.begin() + static_cast<std::ptrdiff_t>(w.first_row + w.rows));
  t->bounds.assign(mine.bounds.begin() + static_cast<std::ptrdiff_t>(w.first_row),
                   mine.bounds.begin() + static_cast<std::ptrdiff_t>(w.first_row + w.rows + 1));
  derive_grid(t->longitudes, t->first_longitude, t->step, w.columns, t->bounds, t->areas, t->weights);
  return Grid(std::move(t));
}

bool operator==(const Grid& a, const Grid& b) {
  if (a.tables_ == b.tables_) return true;
  if (a.nlat() != b.nlat() || a.nlon() != b.nlon() || a.periodic() != b.periodic()) return false;
  const auto near = [](double x, double y) { return std::abs(x - y) < 1e-6; };
  if (a.tables_->projection != b.tables_->projection) return false;
  if (a.tables_->projection) {
    const auto close = [](double x, double y) { return std::abs(x - y) < 1e-3; };
    return std::equal(a.x().begin(), a.x().end(), b.x().begin(), close) &&
           std::equal(a.y().begin(), a.y().end(), b.y().begin(), close);
  }
  if (!near(std::remainder(a.tables_->first_longitude - b.tables_->first_longitude, 360.0), 0)) return false;
  if (!near(a.tables_->step, b.tables_->step)) return false;
  return std::equal(a.latitudes().begin(), a.latitudes().end(), b.latitudes().begin(), near);
}

}  // namespace zonda
