#pragma once
// Adjoints of whole spherical transforms, in the plain inner products of grid values and of real and imaginary parts.
#include <span>

#include "model/spectral/spherical_transform.hpp"

namespace zonda::model {

/// Transposed SphericalTransform::synthesise: `grid` [series][nlat, nlon] -> `spectral` [series][coefficients, 2],
/// overwritten. Imaginary parts of zonal means, which no real field has, become 0.
void synthesise_adjoint(const SphericalTransform& transform, std::size_t series, std::span<const double> grid,
                        std::span<double> spectral);
/// Transposed SphericalTransform::analyse: `spectral` -> `grid`, overwritten.
void analyse_adjoint(const SphericalTransform& transform, std::size_t series, std::span<const double> spectral,
                     std::span<double> grid);

}  // namespace zonda::model
