#include "model/dynamics/initial_state.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>

#include "core/constants.hpp"
#include "core/philox.hpp"
#include "model/dynamics/moist_physics.hpp"
#include "model/dynamics/spectral_wind.hpp"

namespace zonda::model {
namespace {

using namespace constants;

/// Puts one level's coefficients [coefficients, 2] in place; row T + 1 becomes zero.
void set_level(const SpectralIndex& index, std::span<const double> spectral, std::size_t level, std::size_t levels,
               std::vector<double>& field) {
  for (int m = 0; m <= index.truncation(); ++m)
    for (int n = m; n <= index.truncation() + 1; ++n)
      for (std::size_t part = 0; part < 2; ++part)
        field[(index(m, n) * 2 + part) * levels + level] =
            n > index.truncation() ? 0.0 : spectral[index(m, n) * 2 + part];
}

std::vector<double> analyse_level(const SphericalTransform& transform, std::span<const double> grid) {
  std::vector<double> spectral(transform.index().size() * 2);
  transform.analyse(1, grid, spectral);
  return spectral;
}

/// Ullrich et al. (2014)-like vapour, kept below 70 % of saturation.
double initial_humidity(double latitude, double sigma, double temperature) {
  const double across = latitude / (2 * pi / 9), up = (sigma - 1) * 1e5 / 34000;
  const double q = 0.018 * std::exp(-across * across * across * across) * std::exp(-up * up);
  return std::min(q, 0.7 * saturation_humidity(temperature, sigma * reference_pressure));
}

// Jablonowski & Williamson (2006), eqs. 2-7.
constexpr double jet_speed = 35, eta_jet = 0.252, eta_tropopause = 0.2, mean_surface_temperature = 288,
                 lapse_rate = 0.005, stratospheric_warming = 4.8e5;

/// The two meridional profiles of eqs. 6 and 7.
double wind_profile(double s, double c) {
  return -2 * std::pow(s, 6) * (c * c + 1.0 / 3) + 10.0 / 63;
}
double rotation_profile(double s, double c) {
  return (8.0 / 5 * c * c * c * (s * s + 2.0 / 3) - pi / 4) * earth_radius * earth_rotation;
}

double steady_temperature(double latitude, double eta) {
  const double eta_v = (eta - eta_jet) * pi / 2, s = std::sin(latitude), c = std::cos(latitude);
  double mean = mean_surface_temperature * std::pow(eta, gas_constant_dry_air * lapse_rate / gravity);
  if (eta < eta_tropopause) mean += stratospheric_warming * std::pow(eta_tropopause - eta, 5);
  return mean + 0.75 * eta * pi * jet_speed / gas_constant_dry_air * std::sin(eta_v) * std::sqrt(std::cos(eta_v)) *
                    (wind_profile(s, c) * 2 * jet_speed * std::pow(std::cos(eta_v), 1.5) + rotation_profile(s, c));
}

double steady_surface_geopotential(double latitude) {
  const double s = std::sin(latitude), c = std::cos(latitude);
  const double speed = jet_speed * std::pow(std::cos((1 - eta_jet) * pi / 2), 1.5);
  return speed * (wind_profile(s, c) * speed + rotation_profile(s, c));
}

}  // namespace

SpectralState rest_state(const SphericalTransform& transform, const SigmaLevels& levels,
                         std::span<const double> surface_geopotential, bool moist) {
  constexpr double temperature = 280;
  const SpectralIndex& index = transform.index();
  SpectralState state(index.size(), levels.count(), moist);
  const std::size_t L = std::size_t(levels.count());
  for (std::size_t k = 0; k < L; ++k) state.temperature[k] = temperature - reference_temperature;
  for (std::size_t i = 0; i < state.log_pressure.size(); ++i)
    state.log_pressure[i] = -surface_geopotential[i] / (gas_constant_dry_air * temperature);
  if (!moist) return state;
  const std::size_t rows = std::size_t(transform.nlat()), columns = std::size_t(transform.nlon());
  std::vector<double> grid(rows * columns);
  for (std::size_t k = 0; k < L; ++k) {
    for (std::size_t i = 0; i < grid.size(); ++i)
      grid[i] = initial_humidity(std::asin(transform.sines()[i / columns]), levels.full()[k], temperature);
    set_level(index, analyse_level(transform, grid), k, L, state.humidity);
  }
  return state;
}

JablonowskiWilliamson jablonowski_williamson(const SphericalTransform& transform, const SigmaLevels& levels,
                                             bool perturbed, bool moist) {
  const SpectralIndex& index = transform.index();
  const std::size_t rows = std::size_t(transform.nlat()), columns = std::size_t(transform.nlon());
  const std::size_t L = std::size_t(levels.count()), plane = rows * columns, size = index.size() * 2;
  JablonowskiWilliamson result{SpectralState(index.size(), levels.count(), moist), {}};
  std::vector<double> temperature(plane), humidity(plane), u(plane), v(plane, 0.0), ground(plane), vorticity(size),
      divergence(size);
  for (std::size_t k = 0; k < L; ++k) {
    const double eta = levels.full()[k], jet = jet_speed * std::pow(std::cos((eta - eta_jet) * pi / 2), 1.5);
    for (std::size_t i = 0; i < plane; ++i) {
      const double latitude = std::asin(transform.sines()[i / columns]), s = std::sin(2 * latitude);
      const double longitude = 2 * pi * double(i % columns) / double(columns);
      temperature[i] = steady_temperature(latitude, eta) - reference_temperature;
      humidity[i] = initial_humidity(latitude, eta, temperature[i] + reference_temperature);
      u[i] = jet * s * s;
      if (perturbed) {
        const double centre_latitude = 2 * pi / 9, centre_longitude = pi / 9;
        const double cosine = std::sin(centre_latitude) * std::sin(latitude) +
                              std::cos(centre_latitude) * std::cos(latitude) * std::cos(longitude - centre_longitude);
        const double distance = 10 * std::acos(std::clamp(cosine, -1.0, 1.0));
        u[i] += std::exp(-distance * distance);
      }
      ground[i] = steady_surface_geopotential(latitude);
    }
    vorticity_divergence(transform, u, v, vorticity, divergence);
    set_level(index, vorticity, k, L, result.state.vorticity);
    set_level(index, divergence, k, L, result.state.divergence);
    set_level(index, analyse_level(transform, temperature), k, L, result.state.temperature);
    if (moist) set_level(index, analyse_level(transform, humidity), k, L, result.state.humidity);
  }
  result.surface_geopotential.resize(size);
  set_level(index, analyse_level(transform, ground), 0, 1, result.surface_geopotential);
  return result;
}

void add_noise(const SpectralIndex& index, int levels, double kelvin, std::uint64_t seed, int member,
               SpectralState& state) {
  const Philox random(seed, fmt::format("simulate noise, member {}", member));
  // Mean square of the field: each m = 0 coefficient counts once, each m > 0 one twice per part.
  double count = 0;
  for (int m = 0; m <= index.truncation(); ++m)
    for (int n = std::max(m, 1); n <= index.truncation(); ++n) count += m == 0 ? 1 : 4;
  const double amplitude = kelvin / std::sqrt(count);
  const std::size_t L = std::size_t(levels);
  for (int m = 0; m <= index.truncation(); ++m)
    for (int n = std::max(m, 1); n <= index.truncation(); ++n)
      for (std::size_t part = 0; part < (m == 0 ? 1u : 2u); ++part) {
        const std::size_t i = index(m, n) * 2 + part;
        const double value = amplitude * random.normal(i);
        for (std::size_t k = 0; k < L; ++k) state.temperature[i * L + k] += value;
      }
}

}  // namespace zonda::model
