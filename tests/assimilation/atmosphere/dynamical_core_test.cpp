#include "assimilation/atmosphere/dynamical_core.hpp"

#include <gtest/gtest.h>

#include <cmath>

#include "assimilation/atmosphere/increment_taper.hpp"
#include "assimilation/covariance/diagonal_covariance.hpp"
#include "assimilation/observations/selected_components.hpp"
#include "assimilation/variational/incremental.hpp"
#include "core/constants.hpp"
#include "core/error.hpp"
#include "forecast_model_checks.hpp"
#include "model/dynamics/configured_atmosphere.hpp"
#include "model/dynamics/sigma_fields.hpp"

namespace zonda::assimilation {
namespace {

constexpr Duration six_hours = std::chrono::hours(6);
const Time origin = parse_time("2000-01-01");

model::SimulateConfig small_atmosphere(bool moist = false) {
  model::SimulateConfig config;
  config.truncation = 21;
  config.levels = 5;
  config.moisture = moist;
  config.spinup_days = 10;
  return config;
}

double relative(ConstView x, ConstView y) {
  return norm(difference(x, y)) / norm(y);
}

/// Members of a batch of states by position.
ConstView field(const AtmosphereModel& core, ConstView state, const char* variable, std::size_t level = 0) {
  return state.subspan(core.layout.find(variable)->offset[level], core.layout.grid.size());
}

TEST(SigmaFields, hold_what_a_truncation_holds) {
  for (const bool moist : {false, true}) {
    const model::SimulateConfig config = small_atmosphere(moist);
    const model::CoreParameters parameters = model::core_parameters(config);
    const model::SphericalTransform transform(parameters.truncation);
    model::SpectralState state = model::configured_state(config, 3), back = state;
    const auto& index = transform.index();
    const auto L = static_cast<std::size_t>(config.levels);
    for (const auto& [of, size] : {std::pair{&state.vorticity, 1e-6}, std::pair{&state.divergence, 1e-7}}) {
      const Vector random = random_vector(of->size(), 7, size);
      for (int m = 0; m <= index.truncation(); ++m)
        for (int n = std::max(m, 1); n <= index.truncation(); ++n)
          for (std::size_t i = 0; i < (m == 0 ? L : 2 * L); ++i)
            (*of)[index(m, n) * 2 * L + i] = random[index(m, n) * 2 * L + i];
    }
    model::SigmaFields fields(transform, L, moist);
    Vector grid(fields.size());
    fields.synthesise(state, grid);
    fields.analyse(grid, back);
    EXPECT_LT(relative(back.vorticity, state.vorticity), 1e-12);
    EXPECT_LT(relative(back.divergence, state.divergence), 1e-12);
    EXPECT_LT(relative(back.temperature, state.temperature), 1e-12);
    EXPECT_LT(relative(back.log_pressure, state.log_pressure), 1e-12);
    if (moist) {
      EXPECT_LT(relative(back.humidity, state.humidity), 1e-12);
    }
    Vector again(grid.size());
    fields.synthesise(back, again);
    EXPECT_LT(relative(again, grid), 1e-13);
  }
}

TEST(SigmaFields, refuse_a_surface_pressure_below_zero) {
  const model::SphericalTransform transform(21);
  model::SigmaFields fields(transform, 5, false);
  model::SpectralState state(transform.index().size(), 5, false);
  EXPECT_THROW(fields.analyse(Vector(fields.size(), -1), state), Error);
}

TEST(DynamicalCore, describes_its_state) {
  const AtmosphereModel core = make_dynamical_core(small_atmosphere(), origin, six_hours);
  EXPECT_EQ(core.model->size(), core.layout.state_size());
  EXPECT_EQ(core.layout.fields.size(), 4);
  const Vector state = initial_core_state(small_atmosphere(), origin, six_hours);
  ASSERT_EQ(state.size(), core.layout.state_size());
  for (const double t : field(core, state, "t", 4)) EXPECT_TRUE(t > 200 && t < 330) << t;
  for (const double p : field(core, state, "sp")) EXPECT_TRUE(p > 5e4 && p < 1.1e5) << p;
  EXPECT_GT(root_mean_square(field(core, state, "u", 1)), 0.5);
  EXPECT_NEAR(*std::max_element(core.layout.orography.begin(), core.layout.orography.end()), 3000, 700);
}

/// The state does not remember the leapfrog's second time level; it does remember everything else.
TEST(DynamicalCore, is_the_atmosphere_begun_anew) {
  const model::SimulateConfig config = small_atmosphere();
  const AtmosphereModel core = make_dynamical_core(config, origin, six_hours);
  model::PrimitiveEquations equations(model::core_parameters(config), model::configured_ground(config));
  equations.start(model::configured_state(config, 0), origin);
  const auto steps = static_cast<int>(21600 / equations.parameters().time_step);
  const auto run = [&](int count) {
    for (int i = 0; i < count; ++i) equations.step();
  };
  model::SigmaFields fields(equations.transform(), 5, false);
  const auto present = [&] {
    Vector state(fields.size());
    fields.synthesise(equations.present(), state);
    return state;
  };
  run(10 * 4 * steps);
  const Vector state = initial_core_state(config, origin, six_hours);
  EXPECT_EQ(state, present());

  Vector stepped = state;
  core.model->step(0, stepped);
  equations.start(equations.present(), origin);
  run(steps);
  EXPECT_LT(relative(stepped, present()), 1e-12);
  EXPECT_GT(relative(stepped, state), 1e-4);
}

TEST(DynamicalCore, stays_near_the_unbroken_integration) {
  const model::SimulateConfig config = small_atmosphere();
  const AtmosphereModel core = make_dynamical_core(config, origin, six_hours);
  Vector broken = initial_core_state(config, origin, six_hours);
  const Vector start = broken;
  model::SimulateConfig longer = config;
  longer.spinup_days = 12;
  const Vector unbroken = initial_core_state(longer, origin, six_hours);
  for (std::size_t n = 0; n < 8; ++n) core.model->step(n, broken);
  const double apart = root_mean_square(difference(field(core, broken, "t", 2), field(core, unbroken, "t", 2)));
  const double moved = root_mean_square(difference(field(core, start, "t", 2), field(core, unbroken, "t", 2)));
  EXPECT_LT(apart, 0.1 * moved);
}

/// Begun anew each hour, with a forward step each time, the atmosphere stays as calm as in steps of 6 h.
TEST(DynamicalCore, is_stable_in_short_model_steps) {
  constexpr Duration hour = std::chrono::hours(1);
  model::SimulateConfig config = small_atmosphere();
  config.spinup_days = 20;
  const AtmosphereModel hourly = make_dynamical_core(config, origin, hour),
                        usual = make_dynamical_core(config, origin, six_hours);
  Vector often = initial_core_state(config, origin, six_hours), seldom = often;
  for (std::size_t n = 0; n < 24 * 20; ++n) hourly.model->step(n, often);
  for (std::size_t n = 0; n < 4 * 20; ++n) usual.model->step(n, seldom);
  for (const char* variable : {"u", "v"})
    EXPECT_NEAR(norm(field(hourly, often, variable)) / norm(field(usual, seldom, variable)), 1, 0.3) << variable;
}

TEST(DynamicalCore, keeps_the_mass_of_each_state) {
  const AtmosphereModel core = make_dynamical_core(small_atmosphere(), origin, six_hours);
  Vector state = initial_core_state(small_atmosphere(), origin, six_hours);
  const std::size_t sp = core.layout.find("sp")->offset[0], columns = core.layout.grid.nlon();
  const auto mass = [&] {
    std::vector<double> nodes, weights;
    gauss_legendre(core.layout.grid.nlat(), nodes, weights);
    double sum = 0;
    for (std::size_t i = 0; i < core.layout.grid.size(); ++i) sum += weights[i / columns] * state[sp + i];
    return sum / 2 / static_cast<double>(columns);
  };
  for (std::size_t i = 0; i < core.layout.grid.size(); ++i) state[sp + i] += 500;  // an analysis that adds air
  const double before = mass();
  for (std::size_t n = 0; n < 4; ++n) core.model->step(n, state);
  EXPECT_NEAR(mass(), before, 1e-9 * before);
}

TEST(DynamicalCore, steps_members_in_threads_with_the_bits_of_one) {
  const AtmosphereModel core = make_dynamical_core(small_atmosphere(true), origin, six_hours);
  std::vector<Vector> members(6), alone;
  for (std::size_t j = 0; j < members.size(); ++j) {
    members[j] = initial_core_state(small_atmosphere(true), origin, six_hours, static_cast<int>(j));
    alone.push_back(members[j]);
    core.model->step(3, alone[j]);
  }
  EXPECT_NE(alone[0], alone[1]);
#pragma omp parallel for num_threads(3) schedule(dynamic)
  for (std::size_t j = 0; j < members.size(); ++j) core.model->step(3, members[j]);
  EXPECT_EQ(members, alone);
}

TEST(DynamicalCore, knows_the_season) {
  model::SimulateConfig config = small_atmosphere();
  config.seasons = true;
  const AtmosphereModel core = make_dynamical_core(config, origin, six_hours);
  Vector january = initial_core_state(config, origin, six_hours), july = january;
  core.model->step(0, january);
  core.model->step(4 * 182, july);
  EXPECT_NE(january, july);
}

TEST(DynamicalCore, is_identified_by_what_decides_its_steps) {
  const auto identity = [](const auto& change) {
    model::SimulateConfig config = small_atmosphere();
    change(config);
    return make_dynamical_core(config, origin, six_hours).identity;
  };
  const std::string as_is = identity([](auto&) {});
  EXPECT_EQ(as_is.size(), 64);
  EXPECT_EQ(identity([](auto& c) { c.seed = 5; }), as_is);
  EXPECT_EQ(identity([](auto& c) { c.days = 3; }), as_is);
  EXPECT_NE(identity([](auto& c) { c.levels = 6; }), as_is);
  EXPECT_NE(identity([](auto& c) { c.mountains.clear(); }), as_is);
  EXPECT_NE(identity([](auto& c) { c.diffusion_time = std::chrono::hours(3); }), as_is);
}

/// Dry, with mountains and forcing; and with neither, nor diffusion or a filter.
std::vector<ModelCase> cores() {
  model::SimulateConfig bare = small_atmosphere();
  bare.initial = "jablonowski-williamson";
  bare.forcing = "none";
  bare.noise = 1;
  bare.spinup_days = 1;
  std::vector<ModelCase> cases;
  for (const auto& [name, config] : {std::pair{"core", small_atmosphere()}, std::pair{"core_without_forcing", bare}}) {
    const AtmosphereModel core = make_dynamical_core(config, origin, six_hours);
    Vector units;
    for (const LaidField& field : core.layout.fields)
      units.insert(units.end(), field.offset.size() * core.layout.grid.size(),
                   field.variable == "sp"  ? 500
                   : field.variable == "t" ? 2
                                           : 4);
    cases.push_back({name, core.model, initial_core_state(config, origin, six_hours), 1, {}, units});
  }
  return cases;
}
INSTANTIATE_TEST_SUITE_P(cores, EveryModel, testing::Combine(testing::ValuesIn(cores()), testing::Values(1, 2)),
                         name_of_case);

/// Observations six hours after the window's beginning improve the beginning, through the adjoint alone.
TEST(DynamicalCore, is_analysed_by_4dvar) {
  const AtmosphereModel core = make_dynamical_core(small_atmosphere(), origin, six_hours);
  const Vector truth = initial_core_state(small_atmosphere(), origin, six_hours);
  Vector deviations;
  for (const LaidField& field : core.layout.fields)
    deviations.insert(deviations.end(), field.offset.size() * core.layout.grid.size(),
                      field.variable == "sp"  ? 300
                      : field.variable == "t" ? 2
                                              : 4);
  const TaperedCovariance covariance(std::make_shared<DiagonalCovariance>(deviations),
                                     std::make_shared<IncrementTaper>(core.layout, 10, 18));
  Vector background = covariance.randomise(1, "error", 0);
  axpy(1, truth, background);
  std::vector<std::size_t> observed;
  for (std::size_t i = 0; i < truth.size(); i += 5) observed.push_back(i);
  Observations later;
  for (const std::size_t i : observed) later.errors.push_back(0.1 * deviations[i]);
  later.instrument = std::make_shared<SelectedComponents>(truth.size(), observed);
  Vector state = truth;
  core.model->step(0, state);
  later.values.resize(observed.size());
  later.instrument->apply(state, later.values);
  IncrementalSettings settings;
  settings.outer_iterations = 1;
  settings.inner.iterations = 12;
  const auto analysis = incremental_variational({core.model, {{1, later}}}, background, covariance, settings);
  EXPECT_LT(analysis.costs.back(), 0.2 * analysis.costs.front());
  const auto error = [&](ConstView x, const char* variable, std::size_t level) {
    return root_mean_square(difference(field(core, x, variable, level), field(core, truth, variable, level)));
  };
  for (const char* variable : {"u", "v", "t"})
    EXPECT_LT(error(analysis.state, variable, 2), 0.8 * error(background, variable, 2)) << variable;
}

TEST(DynamicalCore, says_what_it_cannot_do) {
  EXPECT_TRUE(make_dynamical_core(small_atmosphere(), origin, six_hours).model->differentiable());
  const AtmosphereModel core = make_dynamical_core(small_atmosphere(true), origin, six_hours);
  EXPECT_FALSE(core.model->differentiable());
  Vector state(core.model->size()), other(core.model->size());
  EXPECT_THROW(core.model->tangent(0, state, other), Error);
  EXPECT_THROW(core.model->adjoint(0, state, other), Error);
  Vector wrong(3);
  EXPECT_THROW(core.model->step(0, wrong), Error);
  model::SimulateConfig config = small_atmosphere();
  config.time_step = std::chrono::seconds(1700);
  EXPECT_THROW(make_dynamical_core(config, origin, six_hours), Error);
}

}  // namespace
}  // namespace zonda::assimilation
