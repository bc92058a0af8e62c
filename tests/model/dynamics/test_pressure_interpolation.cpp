#include "model/dynamics/pressure_interpolation.hpp"

#include <gtest/gtest.h>

#include <cmath>

#include "core/constants.hpp"

namespace zonda::model {
namespace {

using constants::gas_constant_dry_air;
using constants::gravity;

TEST(PressureColumn, IsothermalColumnIsExactAboveTheGround) {
  const SigmaLevels levels(10);
  PressureColumn column(levels);
  const std::vector<double> temperature(10, 260.0);
  const double ps = 9e4, ground = 9000;
  column.set(temperature, {}, ps, ground);
  for (const double p : {1e3, 2e4, 5e4, 8e4}) {
    EXPECT_DOUBLE_EQ(column.temperature(p), 260);
    EXPECT_NEAR(column.geopotential(p), ground + gas_constant_dry_air * 260 * std::log(ps / p), 1e-7);
  }
}

// A polytropic atmosphere, T = T0 (p / p0)^(R gamma / g), z = (T0 - T) / gamma, from the top of the troposphere to
// below a plateau.
TEST(PressureColumn, StandardAtmosphereIsReproducedAboveAndBelowTheGround) {
  const SigmaLevels levels(30);
  PressureColumn column(levels);
  const double exponent = 0.0065 * gas_constant_dry_air / gravity, height = 1500;
  const auto temperature_at = [&](double p) { return 288.15 * std::pow(p / 101325, exponent); };
  const auto height_at = [&](double p) { return (288.15 - temperature_at(p)) / 0.0065; };
  const double ps = 101325 * std::pow(1 - 0.0065 * height / 288.15, 1 / exponent);
  std::vector<double> temperature;
  for (const double sigma : levels.full()) temperature.push_back(temperature_at(sigma * ps));
  column.set(temperature, {}, ps, gravity * height);
  for (const double p : {25000.0, 50000.0, 70000.0, 84000.0, 85000.0, 92500.0, 100000.0}) {
    EXPECT_NEAR(column.temperature(p), temperature_at(p), 0.15) << p;
    EXPECT_NEAR(column.geopotential(p) / gravity, height_at(p), 12) << p;
  }
  EXPECT_NEAR(column.surface_temperature(), 288.15 - 0.0065 * height, 0.02);
  EXPECT_NEAR(column.mean_sea_level_pressure(), 101325, 25);
}

TEST(PressureColumn, OtherFieldsAreLinearInLogPressureAndConstantBeyond) {
  const SigmaLevels levels(6);
  PressureColumn column(levels);
  const std::vector<double> temperature(6, 250.0);
  column.set(temperature, {}, 1e5, 0);
  std::vector<double> field;
  for (const double sigma : levels.full()) field.push_back(3 + 2 * std::log(sigma));
  EXPECT_NEAR(column.value(field, 5e4), 3 + 2 * std::log(0.5), 1e-12);
  EXPECT_EQ(column.value(field, 1.2e5), field.back());
  EXPECT_EQ(column.value(field, 10), field.front());
}

}  // namespace
}  // namespace zonda::model
