// Sakov & Oke (2008), "A deterministic formulation of the ensemble Kalman filter", table 1, and DAPPER's baselines for
// the same setting.
#include "assimilation/covariance/dense_covariance.hpp"
#include "assimilation/ensemble/etkf.hpp"
#include "assimilation/ensemble/optimal_interpolation.hpp"
#include "assimilation/ensemble/stochastic_filter.hpp"
#include "assimilation/variational/incremental.hpp"
#include "published.hpp"

namespace zonda::assimilation {
namespace {

struct Climate {
  explicit Climate(const TwinSetup& setup) : states(free_run(setup, 1000, 10'000, 99)), mean(setup.start.size()) {
    for (const Vector& state : states) axpy(1 / static_cast<double>(states.size()), state, mean);
  }
  std::vector<Vector> states;
  Vector mean;
};

TEST(SakovOke2008, stochastic_filter_of_40_members) {
  const TwinSetup setup = lorenz96_setup();
  EXPECT_NEAR(mean_error_of_five_seeds([&](std::uint64_t seed) {
                return run_ensemble(setup, {40}, StochasticFilter({1.06, 0, 0}, seed), seed);
              }),
              0.22, 0.01);
}

TEST(SakovOke2008, etkf_of_20_members_rotated) {
  const TwinSetup setup = lorenz96_setup();
  EXPECT_NEAR(mean_error_of_five_seeds([&](std::uint64_t seed) {
                return run_ensemble(setup, {20, true}, Etkf({1.04, 0, 0}), seed);
              }),
              0.20, 0.01);
}

TEST(SakovOke2008, etkf_of_28_members_rotated) {
  const TwinSetup setup = lorenz96_setup();
  EXPECT_NEAR(mean_error_of_five_seeds([&](std::uint64_t seed) {
                return run_ensemble(setup, {28, true}, Etkf({1.02, 0, 0}), seed);
              }),
              0.18, 0.01);
}

/// 2 % of the climatological covariance.
TEST(SakovOke2008, three_dimensional_variational) {
  const TwinSetup setup = lorenz96_setup();
  const DenseCovariance covariance = sample_covariance(Climate(setup).states, 0.02);
  IncrementalSettings settings;
  settings.outer_iterations = 1;
  settings.inner.tolerance = 1e-5;
  EXPECT_NEAR(mean_error_of_five_seeds([&](std::uint64_t seed) {
                return run_state(
                    setup,
                    [&](ConstView background, const Observations& observations) {
                      return incremental_variational({setup.model, {{0, observations}}}, background, covariance,
                                                     settings)
                          .state;
                    },
                    seed);
              }),
              0.41, 0.01);
}

/// No forecasts: the climatological mean is the background of every analysis.
TEST(SakovOke2008, optimal_interpolation) {
  const TwinSetup setup = lorenz96_setup(40, 2400);
  const Climate climate(setup);
  const DenseCovariance covariance = sample_covariance(climate.states);
  EXPECT_NEAR(mean_error_of_five_seeds([&](std::uint64_t seed) {
                return run_state(
                    setup,
                    [&](ConstView, const Observations& observations) {
                      return optimal_interpolation(covariance, climate.mean, observations);
                    },
                    seed);
              }),
              0.95, 0.01);
}

}  // namespace
}  // namespace zonda::assimilation
