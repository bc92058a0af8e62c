#include "ingest/sources/horizontal_layout.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "core/error.hpp"

namespace zonda::ingest {
namespace {

double wrapped(double longitude, double tolerance) {
  double x = std::fmod(longitude, 360.0);
  if (x < 0) x += 360;
  return 360 - x < tolerance ? 0 : x;
}

}  // namespace

HorizontalLayout::HorizontalLayout(std::span<const double> latitudes, std::span<const double> longitudes,
                                   std::string_view where)
    : grid_(Grid::latlon(2, 2, false)), file_rows_(latitudes.size()), file_columns_(longitudes.size()) {
  constexpr std::size_t most = 200'000;
  if (file_rows_ < 1 || file_columns_ < 2 || file_rows_ > most || file_columns_ > most) {
    fail(ErrorKind::data, "{}: {} latitudes and {} longitudes do not make a grid", where, file_rows_, file_columns_);
  }
  for (std::size_t j = 0; j < file_columns_; ++j) {
    if (!(std::abs(longitudes[j]) <= 1080))
      fail(ErrorKind::data, "{}: longitude {} of column {} is not in degrees east", where, longitudes[j], j);
  }
  rows_.resize(file_rows_);
  std::iota(rows_.begin(), rows_.end(), 0u);
  if (latitudes.front() < latitudes.back()) std::reverse(rows_.begin(), rows_.end());

  std::vector<double> eastward(longitudes.begin(), longitudes.end());
  columns_.resize(file_columns_);
  std::iota(columns_.begin(), columns_.end(), 0u);
  const double gap = std::remainder(eastward[1] - eastward[0], 360.0);
  if (gap < 0 && file_columns_ > 2) {
    std::reverse(eastward.begin(), eastward.end());
    std::reverse(columns_.begin(), columns_.end());
  }
  const double step = std::abs(gap);
  if (columns_.size() > 2 && std::abs(std::remainder(eastward.back() - eastward.front(), 360.0)) < 0.01 * step) {
    eastward.pop_back();
    columns_.pop_back();
  }
  try {
    grid_ = Grid::from_coordinates(latitudes, eastward);
    if (grid_.periodic()) {
      const auto west = [&](double longitude) { return wrapped(longitude, 1e-3 * step); };
      const auto first =
          std::min_element(eastward.begin(), eastward.end(), [&](double a, double b) { return west(a) < west(b); });
      const auto shift = first - eastward.begin();
      if (shift != 0 || eastward.front() < 0 || eastward.front() >= 360) {
        std::rotate(eastward.begin(), first, eastward.end());
        std::rotate(columns_.begin(), columns_.begin() + shift, columns_.end());
        for (double& longitude : eastward) longitude = west(longitude);
        grid_ = Grid::from_coordinates(latitudes, eastward);
      }
    }
  } catch (const Error& error) {
    throw Error(ErrorKind::data, std::string(where) + ": " + error.what());
  }
}

}  // namespace zonda::ingest
