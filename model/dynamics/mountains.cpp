#include "model/dynamics/mountains.hpp"

#include <cmath>

#include "core/constants.hpp"

namespace zonda::model {

std::vector<double> mountain_geopotential(const SphericalTransform& transform, std::span<const Mountain> mountains) {
  const SpectralIndex& index = transform.index();
  std::vector<double> spectral(index.size() * 2, 0.0);
  if (mountains.empty()) return spectral;
  const std::size_t rows = std::size_t(transform.nlat()), columns = std::size_t(transform.nlon());
  std::vector<double> grid(rows * columns, 0.0);
  for (std::size_t row = 0; row < rows; ++row)
    for (std::size_t column = 0; column < columns; ++column)
      for (const Mountain& m : mountains) {
        const double latitude = std::asin(transform.sines()[row]) * 180 / constants::pi;
        const double longitude = 360.0 * double(column) / double(columns);
        const double north = (latitude - m.latitude) / m.latitude_width;
        const double east = std::remainder(longitude - m.longitude, 360.0) / m.longitude_width;
        grid[row * columns + column] += constants::gravity * m.height * std::exp(-north * north - east * east);
      }
  transform.analyse(1, grid, spectral);
  const int T = index.truncation();
  for (int m = 0; m <= T; ++m)
    for (int n = m; n <= T + 1; ++n) {
      const double x = double(n) * (n + 1) / (double(T) * (T + 1));
      const double factor = n > T ? 0.0 : 1 / (1 + 4 * x * x);
      for (std::size_t part = 0; part < 2; ++part) spectral[index(m, n) * 2 + part] *= factor;
    }
  return spectral;
}

}  // namespace zonda::model
