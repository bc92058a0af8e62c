#include "model/dynamics/primitive_equations.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "core/constants.hpp"
#include "core/error.hpp"
#include "model/dynamics/initial_state.hpp"
#include "model/dynamics/moist_physics.hpp"
#include "model/dynamics/mountains.hpp"

namespace zonda::model {
namespace {

const std::vector<Mountain> mountains{{40, 90, 2000, 20, 20}, {-20, 290, 1500, 18, 6}};

/// A run from noisy rest over mountains.
struct Trial {
  std::unique_ptr<PrimitiveEquations> model;
  explicit Trial(CoreParameters parameters, double noise = 1) {
    const SphericalTransform transform(parameters.truncation);
    auto ground = mountain_geopotential(transform, mountains);
    SpectralState state = rest_state(transform, parameters.levels, ground, parameters.moist);
    if (noise > 0) add_noise(transform.index(), parameters.levels.count(), noise, 1, 0, state);
    model = std::make_unique<PrimitiveEquations>(parameters, std::move(ground));
    model->start(std::move(state), parse_time("2000-01-01"));
  }
  void days(double n) {
    for (int i = 0; i < int(std::lround(n * 86400 / model->parameters().time_step)); ++i) model->step();
  }
};

CoreParameters held_suarez(int truncation, int levels) {
  CoreParameters p;
  p.truncation = truncation;
  p.levels = SigmaLevels(levels);
  p.forcing = HeldSuarez{};
  return p;
}

TEST(PrimitiveEquations, RestOverMountainsStaysAtRest) {
  CoreParameters parameters;
  parameters.truncation = 21;
  parameters.diffusion_time = 0;
  Trial run(parameters, 0);
  run.days(2);
  double largest = 0;
  for (const double x : run.model->present().vorticity) largest = std::max(largest, std::abs(x));
  for (const double x : run.model->present().divergence) largest = std::max(largest, std::abs(x));
  EXPECT_LT(largest, 1e-12);  // 1/s; the earth turns with 1e-4
}

/// Rotation as a solid body over a ground that balances it: u = U cos(lat), constant temperature.
TEST(PrimitiveEquations, SolidBodyRotationIsSteady) {
  CoreParameters parameters;
  parameters.truncation = 21;
  parameters.diffusion_time = 0;
  const SphericalTransform transform(21);
  const SpectralIndex& index = transform.index();
  SpectralState state(index.size(), 8, false);
  const double speed = 25, a = constants::earth_radius;
  for (std::size_t k = 0; k < 8; ++k) {
    state.temperature[k] = 280 - reference_temperature;
    state.vorticity[index(0, 1) * 16 + k] = 2 * speed / a / std::sqrt(3.0);  // sqrt(3) mu is the first harmonic
  }
  // R T d(ln ps)/dmu (1 - mu^2) balances: ln ps = -(a Omega U + U^2 / 2) mu^2 / (R T) + constant; mu^2 = 1/3 + 2 / (3
  // sqrt 5) P_2
  const double slope =
      -(a * constants::earth_rotation * speed + 0.5 * speed * speed) / (constants::gas_constant_dry_air * 280);
  state.log_pressure[index(0, 2) * 2] = slope * 2 / (3 * std::sqrt(5.0));
  PrimitiveEquations model(parameters, std::vector<double>(index.size() * 2, 0.0));
  model.start(state, Time{});
  for (int i = 0; i < 5 * 48; ++i) model.step();
  const SpectralState after = model.present();
  double change = 0;
  for (std::size_t i = 0; i < after.vorticity.size(); ++i)
    change = std::max(change, std::abs(after.vorticity[i] - state.vorticity[i]));
  EXPECT_LT(change, 1e-6 * 2 * speed / a);
}

TEST(PrimitiveEquations, JablonowskiWilliamsonSteadyStateStaysFiveDays) {
  CoreParameters parameters;
  parameters.truncation = 42;
  parameters.levels = SigmaLevels(20);
  parameters.time_step = 1200;
  parameters.diffusion_time = 86400;
  const SphericalTransform transform(42);
  JablonowskiWilliamson jet = jablonowski_williamson(transform, parameters.levels, false, false);
  PrimitiveEquations model(parameters, jet.surface_geopotential);
  model.start(jet.state, Time{});
  for (int i = 0; i < 5 * 72; ++i) model.step();
  const SpectralState after = model.present();
  std::vector<double> pressure(std::size_t(transform.nlat() * transform.nlon()));
  transform.synthesise(1, after.log_pressure, pressure);
  for (const double p : pressure) ASSERT_NEAR(1000 * std::exp(p), 1000, 0.5);  // hPa
  double difference = 0, norm = 0, waves = 0;
  const std::size_t zonal = transform.index().begin(1) * 40;
  for (std::size_t i = 0; i < after.vorticity.size(); ++i) {
    difference += std::pow(after.vorticity[i] - jet.state.vorticity[i], 2);
    norm += std::pow(jet.state.vorticity[i], 2);
    if (i >= zonal) waves = std::max(waves, std::abs(after.vorticity[i]));
  }
  RecordProperty("relative_l2", std::to_string(std::sqrt(difference / norm)));
  std::printf("steady state, T42L20, 5 days: relative l2 change of vorticity %.2e\n", std::sqrt(difference / norm));
  EXPECT_LT(std::sqrt(difference / norm), 0.015);
  EXPECT_LT(waves, 1e-12);  // zonal symmetry is kept to rounding
}

TEST(PrimitiveEquations, DryMassStays) {
  CoreParameters parameters = held_suarez(21, 5);
  Trial run(parameters);
  const double before = run.model->dry_pressure(run.model->present());
  double drift = 0;
  for (int day = 0; day < 100; ++day) {
    run.days(1);
    drift = std::max(drift, std::abs(run.model->dry_pressure(run.model->present()) / before - 1));
  }
  std::printf("dry mass drift over 100 days: %.1e\n", drift);
  EXPECT_LT(drift, 1e-13);
}

TEST(PrimitiveEquations, RestoredModelContinuesWithTheSameBits) {
  for (const bool moist : {false, true}) {
    CoreParameters parameters = held_suarez(21, 6);
    parameters.moist = moist;
    Trial whole(parameters), first(parameters), second(parameters);
    whole.days(5);
    first.days(2);
    second.model->restore(first.model->memory(), first.model->steps(), parse_time("2000-01-01"));
    second.days(3);
    EXPECT_EQ(second.model->time(), whole.model->time());
    EXPECT_EQ(second.model->memory(), whole.model->memory());
  }
}

TEST(PrimitiveEquations, ThreadsDoNotChangeTheBits) {
  CoreParameters parameters = held_suarez(30, 7);
  parameters.threads = 1;
  Trial one(parameters);
  parameters.threads = 5;
  Trial five(parameters);
  one.days(2);
  five.days(2);
  EXPECT_EQ(one.model->memory(), five.model->memory());
}

TEST(PrimitiveEquations, MembersDiffer) {
  const SpectralIndex index(21);
  SpectralState a(index.size(), 5, false), b = a, c = a;
  add_noise(index, 5, 1, 7, 0, a);
  add_noise(index, 5, 1, 7, 1, b);
  add_noise(index, 5, 1, 7, 0, c);
  EXPECT_NE(a, b);
  EXPECT_EQ(a, c);
}

TEST(PrimitiveEquations, MoistAtmosphereKeepsItsSenses) {
  CoreParameters parameters = held_suarez(21, 8);
  parameters.moist = true;
  parameters.forcing->equator_temperature = 294;
  parameters.forcing->pole_difference = 65;
  Trial run(parameters);
  const double before = run.model->dry_pressure(run.model->present());
  run.days(30);
  run.model->take_rain();
  run.days(20);
  const std::vector<double> rain = run.model->take_rain();
  const SphericalTransform& transform = run.model->transform();
  double mean = 0;
  const std::size_t columns = std::size_t(transform.nlon());
  for (std::size_t i = 0; i < rain.size(); ++i) {
    ASSERT_GE(rain[i], 0);
    mean += 0.5 * transform.weights()[i / columns] * rain[i] / double(columns) / 20;
  }
  std::printf("moist T21L8: mean rain of days 30 to 50: %.2f mm a day\n", mean);
  EXPECT_GT(mean, 0.5);  // the earth's is 2.7
  EXPECT_LT(mean, 8);
  const SpectralState state = run.model->present();
  std::vector<double> humidity(transform.index().size() * 2 * 8), grid(8 * rain.size());
  for (std::size_t c = 0; c < transform.index().size() * 2; ++c)
    for (std::size_t k = 0; k < 8; ++k) humidity[k * transform.index().size() * 2 + c] = state.humidity[c * 8 + k];
  transform.synthesise(8, humidity, grid);
  for (const double q : grid) {
    ASSERT_GT(q, -2e-3);
    ASSERT_LT(q, 0.03);
  }
  EXPECT_NEAR(run.model->dry_pressure(state) / before, 1, 1e-12);
}

TEST(PrimitiveEquations, GuardNamesStepLevelAndVariable) {
  CoreParameters parameters = held_suarez(21, 5);
  parameters.wind_limit = 0.5;
  Trial run(parameters, 5);
  try {
    run.days(20);
    FAIL() << "the guard did not speak";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::numerical);
    const std::string message = error.what();
    EXPECT_NE(message.find("wind on sigma level"), std::string::npos) << message;
    EXPECT_NE(message.find("step "), std::string::npos) << message;
  }
}

TEST(HeldSuarezForcing, EquilibriumIsThatOfThePaper) {
  const HeldSuarez forcing;
  EXPECT_EQ(forcing.friction(0.7), 0);
  EXPECT_NEAR(forcing.friction(1.0), 1 / 86400.0, 1e-15);
  // Relaxation at 45 N on the lowest level, by hand from the equations of Held & Suarez (1994).
  const SigmaLevels levels(10);
  BlockRows rows;
  rows.sine.fill(std::sqrt(0.5));
  rows.cosine_squared.fill(0.5);
  std::vector<double> temperature(10 * 16, 0.0), log_pressure(16, 0.0), power(16, 1.0), heating(10 * 16, 0.0);
  forcing.relax(levels, 1, rows, 0, temperature.data(), log_pressure.data(), power.data(), heating.data());
  const double sigma = levels.full()[9];
  const double equilibrium = (315 - 30 - 5 * std::log(sigma)) * std::pow(sigma, 287.0 / 1004);
  const double rate = (1.0 / 40 + (1.0 / 4 - 1.0 / 40) * (sigma - 0.7) / 0.3 * 0.25) / 86400;
  EXPECT_NEAR(heating[9 * 16], -rate * (300 - equilibrium), 1e-12);
  EXPECT_NEAR(heating[0], -(300.0 - 200) / 40 / 86400, 1e-12);
}

TEST(MoistPhysics, SaturationIsThatOfTheTables) {
  EXPECT_NEAR(saturation_humidity(273.16, 1e5), 0.622 * 610.78 / 1e5, 2e-6);
  EXPECT_NEAR(saturation_humidity(300, 1e5), 0.0224, 0.0008);
  EXPECT_NEAR(sea_surface_temperature(0), 300, 1e-12);
}

TEST(Seasons, TheWarmHemisphereFollowsTheSun) {
  CoreParameters parameters = held_suarez(21, 5);
  parameters.season_amplitude = 10;
  const SpectralIndex index(21);
  Trial trial(parameters);  // from January
  trial.days(50);
  const double winter = trial.model->present().temperature[index(0, 1) * 2 * 5 + 3];  // north less south, sigma 0.75
  trial.days(180);
  const double summer = trial.model->present().temperature[index(0, 1) * 2 * 5 + 3];
  EXPECT_LT(winter, -2);
  EXPECT_GT(summer, 2);
}

TEST(SeasonSine, TurnsWithTheYear) {
  EXPECT_GT(season_sine(parse_time("2001-07-20"), 10), 0.17);
  EXPECT_LT(season_sine(parse_time("2001-01-20"), 10), -0.17);
  EXPECT_NEAR(season_sine(parse_time("2001-04-21"), 10), 0, 0.01);
}

}  // namespace
}  // namespace zonda::model
