#pragma once
// Analytic fields and grids that the regridding tests share.
#include <cmath>
#include <vector>

#include "core/constants.hpp"
#include "core/grid.hpp"

namespace zonda::regrid_test {

inline constexpr double degree = constants::pi / 180.0;

/// The rolling vortex of Nair & Machenhauer (2002) as regridding papers use it (ESMF, Valcke et al. 2022), degrees ->
/// about [0.5, 1.5]. Two vortices, rotated so that no symmetry of the grids helps.
inline double vortex(double latitude, double longitude) {
  const double pole_lon = 5.5, pole_lat = 0.2, r0 = 3, rate = 5, time = 1;
  const double lon = longitude * degree, lat = latitude * degree;
  const double sin_c = std::sin(pole_lat), cos_c = std::cos(pole_lat);
  const double turned_lon = std::atan2(std::cos(lat) * std::sin(lon - pole_lon),
                                       std::cos(lat) * sin_c * std::cos(lon - pole_lon) - cos_c * std::sin(lat));
  const double turned_lat = std::asin(sin_c * std::sin(lat) + cos_c * std::cos(lat) * std::cos(lon - pole_lon));
  const double rho = r0 * std::cos(turned_lat);
  const double speed = 3 * std::sqrt(3.0) / 2 * std::tanh(rho) / std::pow(std::cosh(rho), 2);
  const double omega = rho == 0 ? 0 : speed / rho;
  return 1 - std::tanh(rho / rate * std::sin(turned_lon - omega * time));
}

template <class Function>
std::vector<double> sampled(const Grid& grid, Function function) {
  std::vector<double> values;
  for (const double latitude : grid.latitudes()) {
    for (const double longitude : grid.longitudes()) values.push_back(function(latitude, longitude));
  }
  return values;
}

/// Cell means by the midpoint rule on 4x4 pieces of equal area.
template <class Function>
std::vector<double> cell_means(const Grid& grid, Function function) {
  constexpr int pieces = 4;
  std::vector<double> values;
  for (std::size_t i = 0; i < grid.nlat(); ++i) {
    const double north = std::sin(grid.latitude_bounds()[i] * degree);
    const double south = std::sin(grid.latitude_bounds()[i + 1] * degree);
    for (const double longitude : grid.longitudes()) {
      double sum = 0;
      for (int a = 0; a < pieces; ++a) {
        const double latitude = std::asin(south + (north - south) * (a + 0.5) / pieces) / degree;
        for (int b = 0; b < pieces; ++b) {
          sum += function(latitude, longitude + grid.longitude_step() * ((b + 0.5) / pieces - 0.5));
        }
      }
      values.push_back(sum / (pieces * pieces));
    }
  }
  return values;
}

inline double integral(const Grid& grid, const std::vector<double>& values) {
  double sum = 0, carry = 0;  // Kahan: the sum must not be what is measured
  for (std::size_t k = 0; k < values.size(); ++k) {
    const double term = grid.cell_area(k / grid.nlon()) * values[k] - carry;
    const double next = sum + term;
    carry = (next - sum) - term;
    sum = next;
  }
  return sum;
}

}  // namespace zonda::regrid_test
