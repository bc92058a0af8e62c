#pragma once
// The nonlinear terms of the primitive equations in sigma coordinates on one block of 16 rows (see SphericalTransform).
// All arrays are [series, nlon, 16].
#include <array>
#include <cstddef>

#include "model/dynamics/sigma_levels.hpp"

namespace zonda::model {

/// What depends on the latitude only, for the 16 rows of a block. Rows of padding hold the values of the equator.
struct BlockRows {
  std::array<double, 16> sine, cosine_squared, inverse_cosine_squared, coriolis;
};

/// Where each field starts in the series of a block.
struct BlockInput {
  // [levels] each: wind times cosine of latitude, vorticity, divergence, temperature above the reference
  const double *u, *v, *vorticity, *divergence, *temperature;
  const double* humidity;  ///< [levels], null in a dry run
  const double *log_pressure, *dp_dlon,
      *dp_dmu;  ///< ln(ps / 1000 hPa), its derivative in longitude, (1 - mu^2) times that in mu
};

struct BlockOutput {
  double *force_u, *force_v;  ///< [levels], momentum tendencies over (1 - mu^2)
  double* energy;             ///< [levels], what the Laplacian acts on: kinetic energy, virtual part of geopotential
  double *heat_u, *heat_v, *heating;         ///< [levels], temperature flux over (1 - mu^2), and what is no flux
  double *vapour_u, *vapour_v, *moistening;  ///< [levels], null in a dry run
  double* log_pressure;                      ///< d ln ps / dt
};

/// Levels (as bits) where the wind is above `wind_limit` m/s or not a number, or the temperature outside 50 ... 500 K.
struct BlockGuard {
  unsigned long long wind = 0, temperature = 0;
};

/// `scratch` [2 * levels, nlon, 16]. Simmons & Burridge (1981); momentum in the form of Bourke (1974, Mon. Wea. Rev.
/// 102, 687-701).
BlockGuard dynamics_tendencies(const SigmaLevels& levels, std::size_t nlon, const BlockRows& rows, const BlockInput& in,
                               const BlockOutput& out, double wind_limit, double* scratch);

}  // namespace zonda::model
