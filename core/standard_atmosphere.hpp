#pragma once
// The standard atmosphere (ICAO Doc 7488/3; ISO 2533): what an aircraft's altimeter assumes.
#include <cmath>

namespace zonda {

/// Pa at a pressure altitude in m, up to 20 km.
inline double standard_pressure(double altitude) {
  constexpr double exponent = 9.80665 / (287.05287 * 0.0065);
  if (altitude <= 11000) return 101325 * std::pow(1 - 0.0065 * altitude / 288.15, exponent);
  const double tropopause = 101325 * std::pow(216.65 / 288.15, exponent);
  return tropopause * std::exp(-9.80665 * (altitude - 11000) / (287.05287 * 216.65));
}

}  // namespace zonda
