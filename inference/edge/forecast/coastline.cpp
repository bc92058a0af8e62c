#include "inference/edge/forecast/coastline.hpp"

#include <array>
#include <cmath>

#include "core/error.hpp"

namespace zonda::edge {
namespace {

/// From the north-west, clockwise.
std::array<CoastPoint, 4> corners(double north, double south, double west, double step) {
  return {CoastPoint{north, west}, {north, west + step}, {south, west + step}, {south, west}};
}

/// Longitudes grow or fall from that of the first corner on, without a jump.
std::array<CoastPoint, 4> corners(const Grid& grid, std::size_t first) {
  const GeographicPoint origin = grid.centre(first);
  const auto corner = [&](std::size_t cell) {
    const GeographicPoint at = grid.centre(cell);
    return CoastPoint{at.latitude, origin.longitude + std::remainder(at.longitude - origin.longitude, 360.0)};
  };
  return {corner(first), corner(first + 1), corner(first + grid.nlon() + 1), corner(first + grid.nlon())};
}

}  // namespace

std::vector<CoastSegment> coastline(const Grid& grid, std::span<const float> mask) {
  constexpr double shore = 0.5;
  const std::size_t rows = grid.nlat(), columns = grid.nlon();
  if (mask.size() != grid.size())
    fail(ErrorKind::data, "a land-sea mask of {} cells on a grid of {}", mask.size(), grid.size());
  const bool projected = grid.projection() != nullptr;
  const double west = projected ? 0 : grid.longitudes().front(), step = projected ? 0 : grid.longitude_step();
  std::vector<CoastSegment> segments;
  for (std::size_t i = 0; i + 1 < rows; ++i) {
    for (std::size_t j = 0; j + 1 < columns + (grid.periodic() ? 1 : 0); ++j) {
      const std::size_t right = (j + 1) % columns;
      // Corners around the square from the north-west, clockwise, and where they lie.
      const std::array<double, 4> land{mask[i * columns + j], mask[i * columns + right],
                                       mask[(i + 1) * columns + right], mask[(i + 1) * columns + j]};
      const std::array<CoastPoint, 4> at =
          projected ? corners(grid, i * columns + j)
                    : corners(grid.latitudes()[i], grid.latitudes()[i + 1], west + static_cast<double>(j) * step, step);
      const auto crossing = [&](int edge) {  // from corner `edge` to the next
        const auto a = static_cast<std::size_t>(edge), b = static_cast<std::size_t>((edge + 1) % 4);
        const double share = (shore - land[a]) / (land[b] - land[a]);
        return CoastPoint{at[a].latitude + share * (at[b].latitude - at[a].latitude),
                          at[a].longitude + share * (at[b].longitude - at[a].longitude)};
      };
      std::vector<int> crossed;
      for (int edge = 0; edge < 4; ++edge)
        if ((land[static_cast<std::size_t>(edge)] > shore) != (land[static_cast<std::size_t>((edge + 1) % 4)] > shore))
          crossed.push_back(edge);
      if (crossed.size() == 2) segments.push_back({crossing(crossed[0]), crossing(crossed[1])});
      if (crossed.size() == 4) {
        const bool joined = land[0] + land[1] + land[2] + land[3] > 4 * shore;
        const bool first = land[0] > shore;  // the north-west corner is land
        // Lines cut off the corners that stand alone: 1 and 3 where land at 0 and 2 is joined.
        const bool cut_odd = joined == first;
        segments.push_back(cut_odd ? CoastSegment{crossing(0), crossing(1)} : CoastSegment{crossing(3), crossing(0)});
        segments.push_back(cut_odd ? CoastSegment{crossing(2), crossing(3)} : CoastSegment{crossing(1), crossing(2)});
      }
    }
  }
  return segments;
}

}  // namespace zonda::edge
