#pragma once
// The linear steps between spectral fields and the series that are transformed, and their transposes. Spectral fields
// are [coefficient, 2, level], series [series][coefficient, 2]. Transposes add to what is there.
#include <span>
#include <vector>

#include "model/spectral/spherical_transform.hpp"

namespace zonda::model {

/// Wind times the cosine of latitude from vorticity and divergence: series u and v of one level.
void wind_series(const SpectralIndex& index, std::size_t level, std::size_t levels, std::span<const double> vorticity,
                 std::span<const double> divergence, std::span<double> u, std::span<double> v);
void wind_series_adjoint(const SpectralIndex& index, std::size_t level, std::size_t levels, std::span<const double> u,
                         std::span<const double> v, std::span<double> vorticity, std::span<double> divergence);

/// Divergence of the series u, v (as FluxDivergence) into one level of a spectral field.
void flux_divergence(const SpectralIndex& index, std::size_t level, std::size_t levels, std::span<const double> u,
                     std::span<const double> v, std::span<double> out);
void flux_divergence_adjoint(const SpectralIndex& index, std::size_t level, std::size_t levels,
                             std::span<const double> out, std::span<double> u, std::span<double> v);
/// Curl of them.
void flux_curl(const SpectralIndex& index, std::size_t level, std::size_t levels, std::span<const double> u,
               std::span<const double> v, std::span<double> out);
void flux_curl_adjoint(const SpectralIndex& index, std::size_t level, std::size_t levels, std::span<const double> out,
                       std::span<double> u, std::span<double> v);

/// Derivatives in longitude, and (1 - mu^2) times that in mu, of one field [coefficient, 2].
void gradient_series(const SpectralIndex& index, std::span<const double> field, std::span<double> dlon,
                     std::span<double> dmu);
void gradient_series_adjoint(const SpectralIndex& index, std::span<const double> dlon, std::span<const double> dmu,
                             std::span<double> field);

}  // namespace zonda::model
