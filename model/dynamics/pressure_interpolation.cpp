#include "model/dynamics/pressure_interpolation.hpp"

#include <algorithm>
#include <cmath>

#include "core/constants.hpp"

namespace zonda::model {
namespace {

using namespace constants;
constexpr double lapse_rate = 0.0065;  // K/m
constexpr double virtual_factor = gas_constant_vapour / gas_constant_dry_air - 1;

}  // namespace

PressureColumn::PressureColumn(const SigmaLevels& levels)
    : levels_(levels),
      log_pressure_(std::size_t(levels.count())),
      temperature_(log_pressure_.size()),
      virtual_(log_pressure_.size()),
      geopotential_(log_pressure_.size()) {}

void PressureColumn::set(std::span<const double> temperature, std::span<const double> humidity, double surface_pressure,
                         double surface_geopotential) {
  surface_log_pressure_ = std::log(surface_pressure);
  surface_geopotential_ = surface_geopotential;
  for (std::size_t k = 0; k < temperature_.size(); ++k) {
    log_pressure_[k] = std::log(levels_.full()[k]) + surface_log_pressure_;
    temperature_[k] = temperature[k];
    virtual_[k] = temperature[k] * (1 + (humidity.empty() ? 0.0 : virtual_factor * std::max(0.0, humidity[k])));
  }
  levels_.hydrostatic(virtual_, geopotential_);
  for (double& z : geopotential_) z += surface_geopotential;
  const double slope = lapse_rate * gas_constant_dry_air / gravity;
  surface_temperature_ = temperature_.back() * (1 + slope * (1 / levels_.full().back() - 1));
}

// Over high ground the sea-level temperature is bounded (298 K above 2500 m, growing into the bound from 2000 m), so
// that extrapolation through mountains stays near the surrounding air.
double PressureColumn::lapse_below_ground() const {
  const double sea_level = surface_temperature_ + lapse_rate * surface_geopotential_ / gravity;
  const double height = surface_geopotential_ / gravity;
  if (height <= 2000) return lapse_rate * gas_constant_dry_air / gravity;
  const double bounded = std::min(sea_level, 298.0);
  const double used = height > 2500 ? bounded : 0.002 * ((2500 - height) * sea_level + (height - 2000) * bounded);
  return std::max(0.0, used - surface_temperature_) * gas_constant_dry_air / surface_geopotential_;
}

double PressureColumn::temperature(double pressure) const {
  const double x = std::log(pressure);
  if (x <= log_pressure_.front()) return temperature_.front();
  if (x >= surface_log_pressure_) {
    const double y = lapse_below_ground() * (x - surface_log_pressure_);
    return surface_temperature_ * (1 + y * (1 + y / 2 * (1 + y / 3)));
  }
  if (x >= log_pressure_.back()) {
    const double w = (x - log_pressure_.back()) / (surface_log_pressure_ - log_pressure_.back());
    return temperature_.back() + w * (surface_temperature_ - temperature_.back());
  }
  return value(temperature_, pressure);
}

double PressureColumn::value(std::span<const double> field, double pressure) const {
  const double x = std::log(pressure);
  if (x <= log_pressure_.front()) return field.front();
  if (x >= log_pressure_.back()) return field.back();
  const std::size_t below =
      std::size_t(std::upper_bound(log_pressure_.begin(), log_pressure_.end(), x) - log_pressure_.begin());
  const double w = (x - log_pressure_[below - 1]) / (log_pressure_[below] - log_pressure_[below - 1]);
  return field[below - 1] + w * (field[below] - field[below - 1]);
}

// Between levels: the hydrostatic integral of a virtual temperature linear in ln p, plus its mismatch to the model's
// own geopotential of the upper level in proportion.
double PressureColumn::geopotential(double pressure) const {
  const double x = std::log(pressure), R = gas_constant_dry_air;
  if (x <= log_pressure_.front()) return geopotential_.front() + R * virtual_.front() * (log_pressure_.front() - x);
  if (x >= surface_log_pressure_) {
    const double y = lapse_below_ground() * (x - surface_log_pressure_);
    return surface_geopotential_ - R * surface_temperature_ * (x - surface_log_pressure_) * (1 + y / 2 * (1 + y / 3));
  }
  const auto between = [&](double t_above, double t_below, double x_above, double x_below, double z_above,
                           double z_below) {
    const double w = (x_below - x) / (x_below - x_above), t = t_below + w * (t_above - t_below);
    const double mismatch = z_above - z_below - R * 0.5 * (t_above + t_below) * (x_below - x_above);
    return z_below + R * 0.5 * (t_below + t) * (x_below - x) + w * mismatch;
  };
  if (x >= log_pressure_.back())
    return between(virtual_.back(), surface_temperature_, log_pressure_.back(), surface_log_pressure_,
                   geopotential_.back(), surface_geopotential_);
  const std::size_t below =
      std::size_t(std::upper_bound(log_pressure_.begin(), log_pressure_.end(), x) - log_pressure_.begin());
  return between(virtual_[below - 1], virtual_[below], log_pressure_[below - 1], log_pressure_[below],
                 geopotential_[below - 1], geopotential_[below]);
}

double PressureColumn::mean_sea_level_pressure() const {
  const double R = gas_constant_dry_air;
  if (std::abs(surface_geopotential_) < 1e-3) return std::exp(surface_log_pressure_);
  double temperature = surface_temperature_, slope = lapse_rate * R / gravity;
  const double sea_level = temperature + lapse_rate * surface_geopotential_ / gravity;
  if (temperature <= 290.5 && sea_level > 290.5) {
    slope = R * (290.5 - temperature) / surface_geopotential_;
  } else if (temperature > 290.5 && sea_level > 290.5) {
    slope = 0;
    temperature = 0.5 * (290.5 + temperature);
  } else if (temperature < 255) {
    temperature = 0.5 * (255 + temperature);
  }
  const double x = surface_geopotential_ / (R * temperature), y = slope * x;
  return std::exp(surface_log_pressure_ + x * (1 - y / 2 + y * y / 3));
}

}  // namespace zonda::model
