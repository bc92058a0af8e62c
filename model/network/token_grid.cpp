#include "model/network/token_grid.hpp"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <string>

#include "core/constants.hpp"
#include "core/error.hpp"

namespace zonda::model {

namespace {

bool fits(const Grid& grid, int patch) {
  const auto rows = static_cast<int>(grid.nlat()), columns = static_cast<int>(grid.nlon());
  const int left = rows % patch;
  return patch > 0 && rows >= patch && columns % patch == 0 && (left == 0 || (left == 1 && patch > 1));
}

}  // namespace

TokenGrid::TokenGrid(const Grid& grid, int patch) : periodic(grid.periodic()) {
  if (!fits(grid, patch)) {
    std::string known;
    for (int p = 1; p <= 32; ++p)
      if (fits(grid, p)) known += (known.empty() ? "" : ", ") + std::to_string(p);
    fail(ErrorKind::usage,
         "network: the grid {} ({} rows, {} columns) has no whole number of {}x{} patches; these fit: {}",
         grid.to_string(), grid.nlat(), grid.nlon(), patch, patch, known);
  }
  patches.size = patch;
  patches.token_rows = static_cast<std::int64_t>(grid.nlat()) / patch;
  patches.token_columns = static_cast<std::int64_t>(grid.nlon()) / patch;
  patches.kernel_rows = patch + static_cast<int>(grid.nlat() % static_cast<std::size_t>(patch));
  if (grid.projection()) {
    place_projected(grid);
    return;
  }
  for (std::int64_t i = 0; i < patches.token_rows; ++i) {
    double latitude = 0, side = 0;
    for (int u = 0; u < patches.kernel_rows; ++u) {
      const auto row = static_cast<std::size_t>(i * patch + u);
      latitude += grid.latitudes()[row] / patches.kernel_rows;
      side += std::sqrt(grid.cell_area(row)) * 1e-3 / patches.kernel_rows;
    }
    latitudes.push_back(latitude);
    spacing.push_back(side);
  }
  for (std::int64_t j = 0; j < patches.token_columns; ++j)
    longitudes.push_back(grid.longitudes()[static_cast<std::size_t>(j * patch)] +
                         0.5 * (patch - 1) * grid.longitude_step());
}

void TokenGrid::place_projected(const Grid& grid) {
  rectilinear = false;
  const double half = 0.5 * (patches.size - 1);
  const double dx = grid.x()[1] - grid.x()[0], dy = grid.y()[1] - grid.y()[0];
  for (std::int64_t i = 0; i < patches.token_rows; ++i)
    for (std::int64_t j = 0; j < patches.token_columns; ++j) {
      const auto row = static_cast<std::size_t>(i * patches.size), column = static_cast<std::size_t>(j * patches.size);
      const GeographicPoint centre =
          grid.projection()->inverse({grid.x()[column] + half * dx, grid.y()[row] + half * dy});
      double side = 0;
      for (int u = 0; u < patches.kernel_rows; ++u)
        side += std::sqrt(grid.area((row + static_cast<std::size_t>(u)) * grid.nlon() + column)) * 1e-3 /
                patches.kernel_rows;
      latitudes.push_back(centre.latitude);
      longitudes.push_back(centre.longitude);
      spacing.push_back(side);
    }
}

TokenGrid TokenGrid::sub_field(int lift, int row, int column) const {
  TokenGrid part = *this;
  if (lift == 1) return part;
  if (!rectilinear) fail(ErrorKind::usage, "network: sub-fields of a projected grid are not known");
  const auto sampled = [&](const std::vector<double>& whole, int first, double factor) {
    std::vector<double> values;
    for (std::size_t i = static_cast<std::size_t>(first); i < whole.size(); i += static_cast<std::size_t>(lift))
      values.push_back(factor * whole[i]);
    return values;
  };
  part.latitudes = sampled(latitudes, row, 1);
  part.longitudes = sampled(longitudes, column, 1);
  part.spacing = sampled(spacing, row, lift);
  part.patches.token_rows = static_cast<std::int64_t>(part.latitudes.size());
  part.patches.token_columns = static_cast<std::int64_t>(part.longitudes.size());
  return part;
}

std::int64_t TokenGrid::token_of(int lift, int row, int column, std::int64_t t) const {
  const std::int64_t columns = patches.token_columns / lift;
  return (t / columns * lift + row) * patches.token_columns + t % columns * lift + column;
}

void TokenGrid::write_features(std::size_t i, std::size_t j, int lift, Wanted wanted, double* f) const {
  constexpr int harmonics[wavelengths] = {1, 2, 3, 4, 6, 8, 11, 16, 23, 32, 45, 64, 90, 128, 181, 256};
  constexpr double radian = std::numbers::pi / 180;
  double row_step = latitudes.size() > 1 ? lift * std::abs(latitudes[0] - latitudes[1]) : 180;
  double column_step = longitudes.size() > 1 ? lift * std::fmod(longitudes[1] - longitudes[0] + 360, 360) : 360;
  if (!rectilinear) {  // of the token in the middle
    const std::size_t middle =
        at(static_cast<std::size_t>(patches.token_rows) / 2, static_cast<std::size_t>(patches.token_columns) / 2);
    row_step = spacing[middle] * patches.size / (constants::earth_radius * 1e-3 * radian);
    column_step = row_step / std::max(std::cos(latitudes[middle] * radian), row_step / 360);
  }
  for (int w = 0; w < wavelengths; ++w, f += 6) {
    const int m = harmonics[w];
    if (wanted.row && m * row_step <= 180) {
      f[0] = std::sin(m * latitude(i, j) * radian);
      f[1] = std::cos(m * latitude(i, j) * radian);
    }
    if (wanted.column && m * column_step <= 180) {
      f[2] = std::sin(m * longitude(i, j) * radian);
      f[3] = std::cos(m * longitude(i, j) * radian);
    }
    if (!wanted.row) continue;
    const double wavelength = 8 * std::exp2(w * 10.0 / (wavelengths - 1));
    f[4] = std::sin(2 * std::numbers::pi * lift * spacing[rectilinear ? i : at(i, j)] / wavelength);
    f[5] = std::cos(2 * std::numbers::pi * lift * spacing[rectilinear ? i : at(i, j)] / wavelength);
  }
}

std::vector<double> TokenGrid::position_features(parallel::Range rows, int lift) const {
  const auto columns = static_cast<std::size_t>(patches.token_columns);
  std::vector<double> features(rows.size() * columns * feature_count, 0.0);
  for (std::size_t t = 0; t < rows.size() * columns; ++t)
    write_features(rows.begin + t / columns, t % columns, lift, {}, &features[t * feature_count]);
  return features;
}

TokenGrid::SplitFeatures TokenGrid::split_features(parallel::Range rows, int lift) const {
  if (!rectilinear)
    fail(ErrorKind::failure, "the positions of a projected grid's tokens are not those of rows and columns");
  SplitFeatures split;
  split.rows.resize(rows.size() * feature_count);
  split.columns.resize(static_cast<std::size_t>(patches.token_columns) * feature_count);
  for (std::size_t i = 0; i < rows.size(); ++i)
    write_features(rows.begin + i, 0, lift, {true, false}, &split.rows[i * feature_count]);
  for (std::size_t j = 0; j < static_cast<std::size_t>(patches.token_columns); ++j)
    write_features(0, j, lift, {false, true}, &split.columns[j * feature_count]);
  return split;
}

}  // namespace zonda::model
