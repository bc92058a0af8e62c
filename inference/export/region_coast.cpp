#include "inference/export/region_coast.hpp"

#include <algorithm>
#include <cmath>
#include <optional>

#include "postproc/maps/coastlines.hpp"

namespace zonda::inference {
namespace {

GeographicPoint along(const postproc::GeoPoint& a, const postproc::GeoPoint& b, double share) {
  const double longitude = a.longitude + share * (b.longitude - a.longitude);
  return {a.latitude + share * (b.latitude - a.latitude), longitude < 0 ? longitude + 360 : longitude};
}

}  // namespace

std::vector<float> region_coast(const Grid& grid) {
  const double last_row = static_cast<double>(grid.nlat() - 1),
               last_column = static_cast<double>(grid.nlon() - (grid.periodic() ? 0 : 1));
  const auto inside = [&](const std::optional<Grid::Place>& at) {
    return at && at->row >= 0 && at->row <= last_row && at->column >= 0 && at->column <= last_column;
  };
  std::vector<float> pieces;
  for (const auto& line : postproc::coastlines())
    for (std::size_t i = 0; i + 1 < line.size(); ++i) {
      const auto from = grid.place(along(line[i], line[i + 1], 0)), to = grid.place(along(line[i], line[i + 1], 1));
      if (!from || !to) continue;
      const double cells = std::max(std::abs(from->row - to->row), std::abs(from->column - to->column));
      const int count = static_cast<int>(std::clamp(std::ceil(2 * cells), 1.0, 200.0));
      for (int k = 0; k < count; ++k) {
        const GeographicPoint a = along(line[i], line[i + 1], static_cast<double>(k) / count),
                              b = along(line[i], line[i + 1], static_cast<double>(k + 1) / count);
        if (!inside(grid.place(a)) || !inside(grid.place(b))) continue;
        for (const double x : {a.latitude, a.longitude, b.latitude, b.longitude})
          pieces.push_back(static_cast<float>(x));
      }
    }
  return pieces;
}

}  // namespace zonda::inference
