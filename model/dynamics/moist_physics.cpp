#include "model/dynamics/moist_physics.hpp"

#include <algorithm>
#include <cmath>
#include <vector>

#include "core/constants.hpp"
#include "model/dynamics/semi_implicit.hpp"

namespace zonda::model {
namespace {

using namespace constants;
constexpr double kappa = gas_constant_dry_air / heat_capacity_dry_air;
constexpr double epsilon = gas_constant_dry_air / gas_constant_vapour;
constexpr double exchange_coefficient = 0.0044;  // of heat and vapour at the surface
constexpr double boundary_layer_top = 85000;     // Pa
constexpr double decay_above = 10000;            // Pa

/// Work arrays of one column.
struct Column {
  std::vector<double> temperature, humidity, mixing, upper, heat, vapour;
  explicit Column(std::size_t levels)
      : temperature(levels), humidity(levels), mixing(levels + 1), upper(levels), heat(levels), vapour(levels) {}
};

/// Implicit mixing of potential temperature and vapour with the surface below: one tridiagonal system, two right-hand
/// sides.
void mix(const SigmaLevels& levels, double interval, double pressure, double wind, double surface_temperature,
         double surface_humidity, std::span<const double> exner, Column& c) {
  const int L = levels.count();
  const auto half = levels.half(), full = levels.full(), thickness = levels.thickness();
  const std::size_t last = std::size_t(L - 1);
  const double t_virtual = c.temperature[last] * (1 + (1 / epsilon - 1) * c.humidity[last]);
  const double height = gas_constant_dry_air * t_virtual / gravity * levels.alpha()[last];
  c.mixing[0] = 0;
  for (std::size_t k = 1; k <= last; ++k) {
    const double p = half[k] * pressure;
    double diffusivity = exchange_coefficient * wind * height;
    if (p < boundary_layer_top) {
      const double x = (boundary_layer_top - p) / decay_above;
      diffusivity *= std::exp(-x * x);
    }
    const double density = p / (gas_constant_dry_air * 0.5 * (c.temperature[k - 1] + c.temperature[k]));
    c.mixing[k] = interval * gravity * gravity * density * density * diffusivity /
                  ((full[k] - full[k - 1]) * pressure * pressure);
  }
  // flux rho C |v| (X_s - X_a) through the ground, over the mass of the layer
  const double ground = pressure / (gas_constant_dry_air * t_virtual);
  c.mixing[last + 1] = interval * gravity * ground * exchange_coefficient * wind / pressure;
  for (std::size_t k = 0; k <= last; ++k) {
    const double a = c.mixing[k] / thickness[k], b = c.mixing[k + 1] / thickness[k];
    double heat = c.temperature[k] / exner[k], vapour = c.humidity[k];
    if (k == last) {
      heat += b * surface_temperature;
      vapour += b * surface_humidity;
    }
    const double pivot = 1 / (1 + a + b - (k ? a * c.upper[k - 1] : 0.0));
    c.upper[k] = b * pivot;
    c.heat[k] = (heat + (k ? a * c.heat[k - 1] : 0.0)) * pivot;
    c.vapour[k] = (vapour + (k ? a * c.vapour[k - 1] : 0.0)) * pivot;
  }
  for (std::size_t k = last; k-- > 0;) {
    c.heat[k] += c.upper[k] * c.heat[k + 1];
    c.vapour[k] += c.upper[k] * c.vapour[k + 1];
  }
  for (std::size_t k = 0; k <= last; ++k) {
    c.temperature[k] = c.heat[k] * exner[k];
    c.humidity[k] = c.vapour[k];
  }
}

/// Removes what is above saturation and heats the layer; returns the water that falls, kg m-2.
double condense(const SigmaLevels& levels, double pressure, Column& c) {
  double water = 0;
  for (std::size_t k = 0; k < c.temperature.size(); ++k) {
    const double p = levels.full()[k] * pressure, t = c.temperature[k];
    const double saturation = saturation_humidity(t, p);
    if (c.humidity[k] <= saturation) continue;
    const double slope = latent_heat * latent_heat * saturation / (heat_capacity_dry_air * gas_constant_vapour * t * t);
    const double excess = (c.humidity[k] - saturation) / (1 + slope);
    c.humidity[k] -= excess;
    c.temperature[k] += latent_heat / heat_capacity_dry_air * excess;
    water += excess * levels.thickness()[k] * pressure / gravity;
  }
  return water;
}

}  // namespace

double saturation_humidity(double temperature, double pressure) {
  const double vapour_pressure = 610.78 * std::exp(-latent_heat / gas_constant_vapour * (1 / temperature - 1 / 273.16));
  return std::min(epsilon * vapour_pressure / pressure, 0.5);  // the cap keeps thin, warm upper layers finite
}

double sea_surface_temperature(double sine_of_latitude) {
  const double x = std::asin(sine_of_latitude) / (26 * pi / 180);
  return 271 + 29 * std::exp(-0.5 * x * x);
}

void moist_physics(const SigmaLevels& levels, std::size_t nlon, const BlockRows& rows, double interval,
                   const double* temperature, const double* humidity, const double* surface_pressure,
                   const double* wind_speed, double* heating, double* moistening, double* rain) {
  const std::size_t L = std::size_t(levels.count()), points = nlon * 16;
  Column c(L);
  std::vector<double> exner(L);
  for (std::size_t k = 0; k < L; ++k)
    exner[k] = std::pow(levels.full()[k], kappa);  // of ps: theta referred to the ground
  double sea[16];
  for (std::size_t r = 0; r < 16; ++r) sea[r] = sea_surface_temperature(rows.sine[r]);
  for (std::size_t i = 0; i < points; ++i) {
    const double pressure = surface_pressure[i];
    for (std::size_t k = 0; k < L; ++k) {
      c.temperature[k] = temperature[k * points + i] + reference_temperature;
      c.humidity[k] = std::max(0.0, humidity[k * points + i]);
    }
    const double surface = sea[i % 16];
    mix(levels, interval, pressure, wind_speed[i], surface, saturation_humidity(surface, pressure), exner, c);
    rain[i] = condense(levels, pressure, c) / interval;
    for (std::size_t k = 0; k < L; ++k) {
      heating[k * points + i] += (c.temperature[k] - reference_temperature - temperature[k * points + i]) / interval;
      moistening[k * points + i] += (c.humidity[k] - humidity[k * points + i]) / interval;
    }
  }
}

}  // namespace zonda::model
