#include "model/dynamics/held_suarez.hpp"

#include <algorithm>
#include <cmath>

#include "core/constants.hpp"
#include "core/vectorise.hpp"
#include "model/dynamics/semi_implicit.hpp"
#include "model/spectral/lanes.hpp"

namespace zonda::model {
namespace {

constexpr double kappa = constants::gas_constant_dry_air / constants::heat_capacity_dry_air;

struct LevelForcing {
  Lanes rate[2], surface_value[2], stability[2];
  double log_sigma, sigma_power, stratosphere;
};

ZONDA_CLONES void relax_level(const LevelForcing& f, std::size_t points, const double* temperature,
                              const double* log_pressure, const double* pressure_power, double* heating) {
  const Lanes *t = as_lanes(temperature), *p = as_lanes(log_pressure), *power = as_lanes(pressure_power);
  Lanes* h = as_lanes(heating);
  for (std::size_t i = 0; i < points / lanes; ++i) {
    const Lanes wanted =
        (f.surface_value[i & 1] - f.stability[i & 1] * (p[i] + f.log_sigma)) * (power[i] * f.sigma_power);
    const Lanes equilibrium = wanted > f.stratosphere ? wanted : Lanes{} + f.stratosphere;
    h[i] -= f.rate[i & 1] * (t[i] + reference_temperature - equilibrium);
  }
}

}  // namespace

double HeldSuarez::friction(double sigma) const {
  return friction_rate * std::max(0.0, (sigma - boundary) / (1 - boundary));
}

void HeldSuarez::relax(const SigmaLevels& levels, std::size_t nlon, const BlockRows& rows, double season_sine,
                       const double* temperature, const double* log_pressure, const double* pressure_power,
                       double* heating) const {
  const std::size_t points = nlon * 16;
  for (int k = 0; k < levels.count(); ++k) {
    const double sigma = levels.full()[std::size_t(k)];
    LevelForcing f;
    const double near_ground = std::max(0.0, (sigma - boundary) / (1 - boundary));
    for (int r = 0; r < 16; ++r) {
      const std::size_t row = std::size_t(r);
      const double c2 = rows.cosine_squared[row], offset = rows.sine[row] - season_sine;
      f.rate[r / 8][r % 8] = cooling_rate + (surface_cooling_rate - cooling_rate) * near_ground * c2 * c2;
      f.surface_value[r / 8][r % 8] = equator_temperature - pole_difference * offset * offset;
      f.stability[r / 8][r % 8] = stability * c2;
    }
    f.log_sigma = std::log(sigma);
    f.sigma_power = std::pow(sigma, kappa);
    f.stratosphere = stratosphere;
    const std::size_t plane = std::size_t(k) * points;
    relax_level(f, points, temperature + plane, log_pressure, pressure_power, heating + plane);
  }
}

double season_sine(Time time, double amplitude) {
  const double phase = 2 * constants::pi * (year_fraction(time) - (80.0 + 30.0) / 365.25);
  return std::sin(amplitude * std::sin(phase) * constants::pi / 180);
}

}  // namespace zonda::model
