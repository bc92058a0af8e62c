#pragma once
// The forcing of Held & Suarez (1994, Bull. Amer. Meteor. Soc. 75, 1825-1830): relaxation of temperature to a zonally
// symmetric equilibrium, Rayleigh friction of the wind near the ground.
#include <cstddef>

#include "core/time.hpp"
#include "model/dynamics/grid_tendencies.hpp"
#include "model/dynamics/sigma_levels.hpp"

namespace zonda::model {

struct HeldSuarez {
  double equator_temperature = 315;  ///< K; 294 in the moist variant (Thatcher & Jablonowski 2016, table 1)
  double pole_difference = 60;       ///< K; 65 in the moist variant
  double stability = 10;             ///< K, the potential-temperature difference in the vertical
  double stratosphere = 200;         ///< K
  double boundary = 0.7;             ///< sigma
  double cooling_rate = 1.0 / (40 * 86400.0), surface_cooling_rate = 1.0 / (4 * 86400.0);  ///< 1/s
  double friction_rate = 1.0 / 86400.0;                                                    ///< 1/s

  /// Rayleigh friction at a level, 1/s.
  double friction(double sigma) const;
  /// Adds the relaxation to `heating` [levels, nlon, 16]. `pressure_power` [nlon, 16] = (ps / 1000 hPa)^kappa. The
  /// warmest latitude has the sine `season_sine` (0 in Held & Suarez).
  void relax(const SigmaLevels& levels, std::size_t nlon, const BlockRows& rows, double season_sine,
             const double* temperature, const double* log_pressure, const double* pressure_power,
             double* heating) const;
};

/// Sine of the latitude of greatest equilibrium temperature: `amplitude` degrees times a sine of the year that is zero
/// at the March equinox delayed by 30 days (the lag of the temperature behind the sun).
double season_sine(Time time, double amplitude);

}  // namespace zonda::model
