#pragma once
// States to start from.
#include <cstdint>
#include <span>
#include <vector>

#include "model/dynamics/primitive_equations.hpp"

namespace zonda::model {

/// No wind, 280 K everywhere, in balance with the ground: ln ps = - surface geopotential / (R 280 K). With `moist`,
/// vapour that decreases poleward and upward, at most 70 % of saturation.
SpectralState rest_state(const SphericalTransform& transform, const SigmaLevels& levels,
                         std::span<const double> surface_geopotential, bool moist);

/// Jablonowski & Williamson (2006, Quart. J. Roy. Meteor. Soc. 132, 2943-2975): a steady zonal flow, and its surface
/// geopotential.
struct JablonowskiWilliamson {
  SpectralState state;
  std::vector<double> surface_geopotential;  ///< [coefficients, 2], m2 s-2
};
/// `perturbed`: with the 1 m/s disturbance of the zonal wind at 20 E, 40 N that grows to the baroclinic wave.
JablonowskiWilliamson jablonowski_williamson(const SphericalTransform& transform, const SigmaLevels& levels,
                                             bool perturbed, bool moist);

/// Adds a random temperature pattern of standard deviation `kelvin`, equal on all levels; depends on (seed, member)
/// alone.
void add_noise(const SpectralIndex& index, int levels, double kelvin, std::uint64_t seed, int member,
               SpectralState& state);

}  // namespace zonda::model
