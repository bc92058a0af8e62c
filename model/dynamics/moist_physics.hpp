#pragma once
// The simplified moist physics of Thatcher & Jablonowski (2016, Geosci. Model Dev. 9, 1263-1292; after Reed &
// Jablonowski 2012): sensible and latent heat from a prescribed sea surface, mixing of heat and vapour in the boundary
// layer, large-scale condensation that falls out at once. Friction and radiation are those of Held & Suarez.
#include <cstddef>

#include "model/dynamics/grid_tendencies.hpp"
#include "model/dynamics/sigma_levels.hpp"

namespace zonda::model {

inline constexpr double latent_heat = 2.5e6;  ///< J kg-1

/// Specific humidity of saturation over water, kg kg-1; temperature in K, pressure in Pa (Thatcher & Jablonowski 2016,
/// eq. 5).
double saturation_humidity(double temperature, double pressure);
/// Sea surface temperature, K: 271 + 29 exp(-latitude^2 / (2 (26 deg)^2)).
double sea_surface_temperature(double sine_of_latitude);

/// Columns of one block over `interval` seconds, implicit, starting from the old time level.
/// In: temperature above the reference and humidity [levels, nlon, 16], surface pressure (Pa) and wind speed of the
/// lowest level (m/s) [nlon, 16]. Adds to `heating` (K/s) and `moistening` (1/s) [levels, nlon, 16] and writes the rain
/// rate, kg m-2 s-1 [nlon, 16]. Vapour below zero, which spectral advection leaves, is filled.
void moist_physics(const SigmaLevels& levels, std::size_t nlon, const BlockRows& rows, double interval,
                   const double* temperature, const double* humidity, const double* surface_pressure,
                   const double* wind_speed, double* heating, double* moistening, double* rain);

}  // namespace zonda::model
