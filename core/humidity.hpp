#pragma once
// Water vapour in air. Saturation over water after Buck (1981, J. Appl. Meteor. 20, 1527-1532) with the constants of
// the IFS documentation (part IV, section on saturation): e_s = 611.21 exp(17.502 (T - 273.16) / (T - 32.19)).
#include <cmath>

#include "core/constants.hpp"

namespace zonda {

/// Ratio of the gas constants of dry air and vapour.
inline constexpr double vapour_ratio = constants::gas_constant_dry_air / constants::gas_constant_vapour;

/// Pa, of temperature in K (> 32.19).
inline double saturation_vapour_pressure(double temperature) {
  return 611.21 * std::exp(17.502 * (temperature - 273.16) / (temperature - 32.19));
}
/// d ln e_s / dT, 1/K
inline double saturation_log_slope(double temperature) {
  const double above = temperature - 32.19;
  return 17.502 * (273.16 - 32.19) / (above * above);
}
/// K: where vapour of pressure e (Pa, > 0) saturates over water.
inline double dew_point(double vapour_pressure) {
  const double c = std::log(vapour_pressure / 611.21) / 17.502;
  return (273.16 - 32.19 * c) / (1 - c);
}
/// kg kg-1, of vapour pressure and pressure in Pa.
inline double specific_humidity(double vapour_pressure, double pressure) {
  return vapour_ratio * vapour_pressure / (pressure - (1 - vapour_ratio) * vapour_pressure);
}
/// Pa, of specific humidity in kg kg-1 and pressure in Pa.
inline double vapour_pressure(double specific_humidity, double pressure) {
  return specific_humidity * pressure / (vapour_ratio + (1 - vapour_ratio) * specific_humidity);
}

}  // namespace zonda
