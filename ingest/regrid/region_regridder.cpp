#include "ingest/regrid/region_regridder.hpp"

#include <algorithm>
#include <array>
#include <cmath>

#include "core/constants.hpp"
#include "core/error.hpp"

namespace zonda::ingest {
namespace {

constexpr double radian = constants::pi / 180;

RegionRegridder::Method method_for(const Grid& host, const Grid& region) {
  using Method = RegionRegridder::Method;
  if (!region.projection()) return Method::window;
  const std::size_t middle = region.nlat() / 2 * region.nlon() + region.nlon() / 2;
  const auto at = host.place(region.centre(middle));
  const auto row =
      at ? static_cast<std::size_t>(std::clamp(at->row, 0.0, static_cast<double>(host.nlat() - 1))) : host.nlat() / 2;
  return region.area(middle) <= host.cell_area(row) ? Method::bilinear : Method::conservative;
}

/// In the plane of longitude (degrees, from the cell's centre) and sine of latitude, where areas are true.
struct Corner {
  double longitude, sine;
};
using Polygon = std::vector<Corner>;

/// The part of a convex-enough polygon with sign * (coordinate - limit) >= 0 (Sutherland & Hodgman 1974).
void clip(Polygon& polygon, double Corner::*coordinate, double limit, double sign, Polygon& scratch) {
  scratch.clear();
  for (std::size_t i = 0; i < polygon.size(); ++i) {
    const Corner &a = polygon[i], &b = polygon[(i + 1) % polygon.size()];
    const double in_a = sign * (a.*coordinate - limit), in_b = sign * (b.*coordinate - limit);
    if (in_a >= 0) scratch.push_back(a);
    if ((in_a >= 0) == (in_b >= 0)) continue;
    const double share = in_a / (in_a - in_b);
    Corner cut{a.longitude + share * (b.longitude - a.longitude), a.sine + share * (b.sine - a.sine)};
    cut.*coordinate = limit;
    scratch.push_back(cut);
  }
  polygon.swap(scratch);
}

double area_of(const Polygon& polygon) {
  double twice = 0;
  for (std::size_t i = 0; i < polygon.size(); ++i) {
    const Corner &a = polygon[i], &b = polygon[(i + 1) % polygon.size()];
    twice += (a.longitude - polygon[0].longitude) * (b.sine - polygon[0].sine) -
             (b.longitude - polygon[0].longitude) * (a.sine - polygon[0].sine);
  }
  return 0.5 * std::abs(twice);
}

/// The edge of a cell of a projected grid, `pieces` to a side.
Polygon outline(const Grid& grid, std::size_t cell) {
  constexpr int pieces = 8;
  const double dx = grid.x()[1] - grid.x()[0], dy = grid.y()[0] - grid.y()[1];
  const PlanePoint middle{grid.x()[cell % grid.nlon()], grid.y()[cell / grid.nlon()]};
  const double centre = grid.centre(cell).longitude;
  constexpr std::array<std::array<double, 4>, 4> sides{
      {{-0.5, 0.5, 1, 0}, {0.5, 0.5, 0, -1}, {0.5, -0.5, -1, 0}, {-0.5, -0.5, 0, 1}}};  // from a corner, and whither
  Polygon polygon;
  for (const auto& [x, y, to_x, to_y] : sides)
    for (int piece = 0; piece < pieces; ++piece) {
      const double share = static_cast<double>(piece) / pieces;
      const GeographicPoint at =
          grid.projection()->inverse({middle.x + (x + share * to_x) * dx, middle.y + (y + share * to_y) * dy});
      polygon.push_back({std::remainder(at.longitude - centre, 360.0), std::sin(at.latitude * radian)});
    }
  return polygon;
}

struct Axes {
  double east_x, east_y, north_x, north_y, north_z;  ///< unit vectors in space; the eastward one has no z
  explicit Axes(const GeographicPoint& p) {
    const double s = std::sin(p.latitude * radian), c = std::cos(p.longitude * radian),
                 d = std::sin(p.longitude * radian);
    east_x = -d;
    east_y = c;
    north_x = -s * c;
    north_y = -s * d;
    north_z = std::cos(p.latitude * radian);
  }
};

}  // namespace

RegionRegridder::RegionRegridder(const Grid& host, const Grid& region, std::string_view host_name)
    : RegionRegridder(host, region, host_name, method_for(host, region)) {}

RegionRegridder::RegionRegridder(const Grid& host, const Grid& region, std::string_view host_name, Method method)
    : host_(host), region_(region), method_(method) {
  if (host.projection())
    fail(ErrorKind::data, "{}: is on the projected grid {}; a host's is rectilinear", host_name, host.to_string());
  begin_.reserve(region.size() + 1);
  if ((method == Method::window) == (region.projection() != nullptr))
    fail(ErrorKind::usage, "{}: a projected region is interpolated, another one taken as it is", region.to_string());
  if (method == Method::window) take_window(host_name);
  if (method == Method::bilinear) interpolate(host_name);
  if (method == Method::conservative) average(host_name);
  if (method != Method::window) turn_shares();
}

void RegionRegridder::take_window(std::string_view host_name) {
  const double slack = 1e-4;
  const auto refuse = [&]() {
    fail(ErrorKind::data, "{}: {} is not a part of its grid {}", host_name, region_.to_string(), host_.to_string());
  };
  const auto window = host_.window(region_.latitudes().front() + slack, region_.latitudes().back() - slack,
                                   region_.longitudes().front() - slack, region_.longitudes().back() + slack);
  if (window.rows != region_.nlat() || window.columns != region_.nlon()) refuse();
  for (std::size_t i = 0; i < window.rows; ++i)
    if (std::abs(host_.latitudes()[window.first_row + i] - region_.latitudes()[i]) >= slack) refuse();
  for (std::size_t j = 0; j < window.columns; ++j)
    if (std::abs(std::remainder(host_.longitudes()[(window.first_column + j) % host_.nlon()] - region_.longitudes()[j],
                                360.0)) >= slack)
      refuse();
  for (std::size_t i = 0; i < window.rows; ++i)
    for (std::size_t j = 0; j < window.columns; ++j) {
      shares_.push_back(
          {static_cast<std::uint32_t>((window.first_row + i) * host_.nlon() + (window.first_column + j) % host_.nlon()),
           1});
      begin_.push_back(shares_.size());
    }
}

void RegionRegridder::interpolate(std::string_view host_name) {
  const std::size_t rows = host_.nlat(), columns = host_.nlon();
  const double last_row = static_cast<double>(rows - 1), last_column = static_cast<double>(columns - 1);
  for (std::size_t cell = 0; cell < region_.size(); ++cell) {
    const GeographicPoint point = region_.centre(cell);
    const auto at = host_.place(point);
    const bool beyond = at && (at->row < 0 || at->row > last_row);
    if (!at || (beyond && !host_.periodic()) || (!host_.periodic() && (at->column < 0 || at->column > last_column)))
      fail(ErrorKind::data, "{}: {:.4f} N, {:.4f} E of {} lies outside its grid {}", host_name, point.latitude,
           point.longitude, region_.to_string(), host_.to_string());
    const auto add = [&](std::size_t row, std::size_t column, double weight) {
      if (weight > 0) shares_.push_back({static_cast<std::uint32_t>(row * columns + column), weight});
    };
    const auto left = std::min(static_cast<std::size_t>(at->column), columns - 1);
    const double east = at->column - static_cast<double>(left);
    const auto add_row = [&](std::size_t row, double weight) {
      add(row, left, weight * (1 - east));
      add(row, (left + 1) % columns, weight * east);
    };
    if (!beyond) {
      const auto upper = std::min(static_cast<std::size_t>(at->row), rows - 1);
      const double south = at->row - static_cast<double>(upper);
      add_row(upper, 1 - south);
      if (south > 0) add_row(upper + 1, south);
    } else {  // the mean of the outermost row stands at the pole
      const std::size_t row = at->row < 0 ? 0 : rows - 1;
      const double edge = host_.latitudes()[row], polar = (point.latitude - edge) / (std::copysign(90.0, edge) - edge);
      add_row(row, 1 - polar);
      for (std::size_t j = 0; j < columns; ++j) add(row, j, polar / static_cast<double>(columns));
    }
    begin_.push_back(shares_.size());
  }
}

void RegionRegridder::average(std::string_view host_name) {
  const std::size_t columns = host_.nlon();
  const double step = host_.longitude_step(), first_edge = host_.longitudes()[0] - 0.5 * step;
  std::vector<double> bounds;
  for (const double latitude : host_.latitude_bounds()) bounds.push_back(std::sin(latitude * radian));
  Polygon band, piece, scratch;
  for (std::size_t cell = 0; cell < region_.size(); ++cell) {
    const Polygon whole = outline(region_, cell);
    const GeographicPoint middle = region_.centre(cell);
    const auto refuse = [&](const char* what) {
      fail(ErrorKind::data, "{}: the cell of {} at {:.4f} N, {:.4f} E {}", host_name, region_.to_string(),
           middle.latitude, middle.longitude, what);
    };
    const auto [west, east] = std::minmax_element(
        whole.begin(), whole.end(), [](const Corner& a, const Corner& b) { return a.longitude < b.longitude; });
    const auto [south, north] = std::minmax_element(whole.begin(), whole.end(),
                                                    [](const Corner& a, const Corner& b) { return a.sine < b.sine; });
    if (east->longitude - west->longitude > 180) refuse("holds a pole, or nearly; means over it are not defined");
    if (north->sine > bounds.front() || south->sine < bounds.back()) refuse("lies outside its grid");
    // Columns counted from the host's first edge, which may be negative; their numbers are taken modulo the circle.
    const double origin = std::remainder(middle.longitude - first_edge, 360.0);
    const auto first = static_cast<std::int64_t>(std::floor((origin + west->longitude) / step)),
               last = static_cast<std::int64_t>(std::floor((origin + east->longitude) / step));
    const std::size_t begin = shares_.size();
    double total = 0;
    for (std::size_t row = 0; row < host_.nlat(); ++row) {
      if (bounds[row + 1] >= north->sine || bounds[row] <= south->sine) continue;
      band = whole;
      clip(band, &Corner::sine, bounds[row + 1], 1, scratch);
      clip(band, &Corner::sine, bounds[row], -1, scratch);
      for (std::int64_t column = first; column <= last; ++column) {
        piece = band;
        const double edge = static_cast<double>(column) * step - origin;
        clip(piece, &Corner::longitude, edge, 1, scratch);
        clip(piece, &Corner::longitude, edge + step, -1, scratch);
        const double area = piece.empty() ? 0 : area_of(piece);
        if (area <= 0) continue;
        const auto n = static_cast<std::int64_t>(std::llround(360.0 / step));
        const auto wrapped = static_cast<std::size_t>((column % n + n) % n);
        if (wrapped >= columns) refuse("lies outside its grid");
        shares_.push_back({static_cast<std::uint32_t>(row * columns + wrapped), area});
        total += area;
      }
    }
    for (std::size_t k = begin; k < shares_.size(); ++k) shares_[k].weight /= total;
    begin_.push_back(shares_.size());
  }
}

void RegionRegridder::turn_shares() {
  turns_.reserve(shares_.size());
  std::vector<Axes> of_host;
  of_host.reserve(host_.size());
  for (std::size_t cell = 0; cell < host_.size(); ++cell) of_host.emplace_back(host_.centre(cell));
  for (std::size_t cell = 0; cell < region_.size(); ++cell) {
    const Axes to(region_.centre(cell));
    for (const Share& share : shares(cell)) {
      const Axes& from = of_host[share.cell];
      turns_.push_back(
          {share.weight * (from.east_x * to.east_x + from.east_y * to.east_y),
           share.weight * (from.north_x * to.east_x + from.north_y * to.east_y),
           share.weight * (from.east_x * to.north_x + from.east_y * to.north_y),
           share.weight * (from.north_x * to.north_x + from.north_y * to.north_y + from.north_z * to.north_z)});
    }
  }
}

void RegionRegridder::scalar(std::span<const float> host, std::span<float> region) const {
  if (host.size() != host_.size() || region.size() != region_.size())
    fail(ErrorKind::failure, "regridding {} values to {}; expected {} and {}", host.size(), region.size(), host_.size(),
         region_.size());
  if (method_ == Method::window) {
    for (std::size_t cell = 0; cell < region.size(); ++cell) region[cell] = host[shares_[cell].cell];
    return;
  }
  for (std::size_t cell = 0; cell < region.size(); ++cell) {
    double sum = 0;
    for (const Share& share : shares(cell)) sum += share.weight * static_cast<double>(host[share.cell]);
    region[cell] = static_cast<float>(sum);
  }
}

void RegionRegridder::wind(std::span<const float> u, std::span<const float> v, std::span<float> region_u,
                           std::span<float> region_v) const {
  if (method_ == Method::window) {
    scalar(u, region_u);
    return scalar(v, region_v);
  }
  if (u.size() != host_.size() || v.size() != host_.size() || region_u.size() != region_.size() ||
      region_v.size() != region_.size())
    fail(ErrorKind::failure, "regridding winds of {} and {} values", u.size(), v.size());
  for (std::size_t cell = 0; cell < region_.size(); ++cell) {
    double east = 0, north = 0;
    for (std::size_t k = begin_[cell]; k < begin_[cell + 1]; ++k) {
      const auto x = static_cast<double>(u[shares_[k].cell]), y = static_cast<double>(v[shares_[k].cell]);
      east += turns_[k][0] * x + turns_[k][1] * y;
      north += turns_[k][2] * x + turns_[k][3] * y;
    }
    region_u[cell] = static_cast<float>(east);
    region_v[cell] = static_cast<float>(north);
  }
}

void RegionRegridder::state(std::span<const WindPair> pairs, std::span<const float> host,
                            std::span<float> region) const {
  const std::size_t channels = host.size() / host_.size(), from = host_.size(), to = region_.size();
  std::vector<bool> done(channels);
  for (const WindPair& p : pairs) {
    wind(host.subspan(p.eastward * from, from), host.subspan(p.northward * from, from),
         region.subspan(p.eastward * to, to), region.subspan(p.northward * to, to));
    done[p.eastward] = done[p.northward] = true;
  }
  for (std::size_t c = 0; c < channels; ++c)
    if (!done[c]) scalar(host.subspan(c * from, from), region.subspan(c * to, to));
}

}  // namespace zonda::ingest
