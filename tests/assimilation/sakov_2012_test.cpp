// Sakov, Oliver & Bertino (2012), "An iterative EnKF for strongly nonlinear systems", table 1: Lorenz-63.
// The published values are means over 1000 cycles. By the scatter of the seeds below over ten times as many, the
// standard error of such a mean is 0.1 for three members and 0.04 for ten.
#include "assimilation/covariance/dense_covariance.hpp"
#include "assimilation/ensemble/etkf.hpp"
#include "assimilation/ensemble/stochastic_filter.hpp"
#include "assimilation/variational/incremental.hpp"
#include "published.hpp"

namespace zonda::assimilation {
namespace {

TEST(Sakov2012, etkf_of_3_members) {
  const TwinSetup setup = lorenz63_setup();
  EXPECT_NEAR(mean_error_of_five_seeds([&](std::uint64_t seed) {
                return run_ensemble(setup, {3}, Etkf({1.30, 0, 0}), seed);
              }),
              0.83, 0.03);
}

TEST(Sakov2012, etkf_of_10_members_rotated) {
  const TwinSetup setup = lorenz63_setup();
  EXPECT_NEAR(mean_error_of_five_seeds([&](std::uint64_t seed) {
                return run_ensemble(setup, {10, true}, Etkf({1.02, 0, 0}), seed);
              }),
              0.60, 0.05);
}

TEST(Sakov2012, stochastic_filter_of_100_members) {
  const TwinSetup setup = lorenz63_setup();
  EXPECT_NEAR(mean_error_of_five_seeds([&](std::uint64_t seed) {
                return run_ensemble(setup, {100}, StochasticFilter({1.01, 0, 0}, seed), seed);
              }),
              0.56, 0.03);
}

/// A tenth of the climatological covariance.
TEST(Sakov2012, three_dimensional_variational) {
  const TwinSetup setup = lorenz63_setup();
  const DenseCovariance covariance = sample_covariance(free_run(setup, 100, 10'000, 99), 0.1);
  IncrementalSettings settings;
  settings.outer_iterations = 1;
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
              1.04, 0.03);
}

}  // namespace
}  // namespace zonda::assimilation
