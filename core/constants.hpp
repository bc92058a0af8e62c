#pragma once
// Physical constants (SI), as in ECMWF's IFS documentation, part IV.

namespace zonda::constants {

inline constexpr double pi = 3.14159265358979323846;
inline constexpr double earth_radius = 6371229.0;        ///< m, the sphere of GRIB and of the archive's cell areas
inline constexpr double earth_rotation = 7.292e-5;       ///< 1/s
inline constexpr double gravity = 9.80665;               ///< m s-2
inline constexpr double gas_constant_dry_air = 287.0;    ///< J kg-1 K-1 (Held & Suarez 1994)
inline constexpr double gas_constant_vapour = 461.5;     ///< J kg-1 K-1
inline constexpr double heat_capacity_dry_air = 1004.0;  ///< J kg-1 K-1
inline constexpr double solar_constant = 1361.0;         ///< W m-2 (Kopp & Lean 2011)

}  // namespace zonda::constants
