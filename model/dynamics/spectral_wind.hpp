#pragma once
// Between wind and its vorticity and divergence, in spectral space, by the recurrence
//   (1 - mu^2) dP_n^m/dmu = (n + 1) eps_n P_{n-1}^m - n eps_{n+1} P_{n+1}^m.
#include <cstddef>
#include <span>

#include "model/spectral/spherical_transform.hpp"

namespace zonda::model {

/// Coefficient (m, n), n = m .. T + 1, of u cos(lat) and v cos(lat), m/s, from vorticity and divergence [coefficient,
/// 2, levels]. Real parts go to u[0 .. levels) and v[...], imaginary parts `imaginary` doubles further on.
void wind_coefficients(const SpectralIndex& index, int m, int n, std::size_t levels, const double* vorticity,
                       const double* divergence, double* u, double* v, std::size_t imaginary);

/// Divergence and curl of a vector (U, V) = (u, v) cos(lat) whose components over (1 - mu^2) were analysed with
/// Gaussian weights; the meridional derivative is moved to the polynomials by parts. For one coefficient.
struct FluxDivergence {
  const double* here;     ///< coefficient (m, n) of the analysed batch
  std::size_t stride;     ///< doubles to coefficient (m, n + 1)
  std::size_t imaginary;  ///< doubles to the imaginary part
  double zonal;           ///< m / a
  double below, above;    ///< (n + 1) eps_n / a, n eps_{n+1} / a
  bool has_below;         ///< n > m

  /// `out` [2, levels]: divergence of the series u, v.
  void divergence(std::size_t u, std::size_t v, std::size_t levels, double* out) const;
  /// `out` [2, levels]: curl.
  void curl(std::size_t u, std::size_t v, std::size_t levels, double* out) const;
};

/// Vorticity and divergence, 1/s, [coefficients, 2] each, of a wind `u`, `v` [nlat, nlon], m/s, on a transform's
/// Gaussian grid.
void vorticity_divergence(const SphericalTransform& transform, std::span<const double> u, std::span<const double> v,
                          std::span<double> vorticity, std::span<double> divergence);

}  // namespace zonda::model
