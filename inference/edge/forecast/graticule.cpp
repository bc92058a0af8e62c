#include "inference/edge/forecast/graticule.hpp"

#include <cmath>

namespace zonda::edge {
namespace {

double round_step(double range) {
  for (const double step : {0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0})
    if (range / step <= 8) return step;
  return 30;
}

/// Follows point(0), point(1) ... point(pieces) and keeps what is within the grid.
template <class Point>
void follow(const Grid& grid, GraticuleLine line, int pieces, Point point, std::vector<GraticuleLine>& lines) {
  const auto rows = static_cast<double>(grid.nlat() - 1), columns = static_cast<double>(grid.nlon() - 1);
  const auto end = [&] {
    if (line.points.size() > 1) lines.push_back(line);
    line.points.clear();
  };
  for (int k = 0; k <= pieces; ++k) {
    const auto place = grid.place(point(k));
    if (place && place->row >= 0 && place->row <= rows && place->column >= 0 && place->column <= columns)
      line.points.push_back(*place);
    else
      end();
  }
  end();
}

}  // namespace

std::vector<GraticuleLine> graticule(const Grid& grid) {
  std::vector<GraticuleLine> lines;
  if (!grid.projection()) return lines;
  constexpr int pieces = 400;
  const GridExtent extent = grid.extent();
  const bool around = extent.west == 0 && extent.east == 360;
  const double width = around ? 360 : std::fmod(extent.east - extent.west + 360, 360), west = extent.west;
  const double step_y = round_step(extent.north - extent.south), step_x = round_step(width);
  for (double latitude = std::ceil(extent.south / step_y) * step_y; latitude <= std::min(extent.north, 89.99);
       latitude += step_y)
    follow(
        grid, {latitude, true, {}}, pieces,
        [&](int k) {
          return GeographicPoint{latitude, std::fmod(west + width * k / pieces, 360)};
        },
        lines);
  for (double longitude = std::ceil(west / step_x) * step_x; longitude < west + width + (around ? -1e-9 : 1e-9);
       longitude += step_x)
    follow(
        grid, {std::remainder(longitude, 360), false, {}}, pieces,
        [&](int k) {
          return GeographicPoint{extent.south + (extent.north - extent.south) * k / pieces, std::fmod(longitude, 360)};
        },
        lines);
  return lines;
}

}  // namespace zonda::edge
