// Bocquet & Sakov (2013), "Joint state and parameter estimation with an iterative ensemble Kalman smoother", figure 4:
// 4D-Var with a background error variance that does not change, observations every 0.2. The window slides by one
// observation time; each batch is assimilated once, at the window's end.
#include "assimilation/covariance/diagonal_covariance.hpp"
#include "assimilation/variational/incremental.hpp"
#include "published.hpp"

namespace zonda::assimilation {
namespace {

TwinScores four_dimensional_variational(const TwinSetup& setup, std::size_t lag, double variance, std::uint64_t seed) {
  const DiagonalCovariance covariance(Vector(setup.start.size(), std::sqrt(variance)));
  IncrementalSettings settings;
  settings.outer_iterations = 10;
  settings.inner.tolerance = 1e-3;
  settings.outer_tolerance = 1e-3;
  Nature nature(setup, seed);
  Vector state = setup.start;  // at the window's beginning
  double sum = 0;
  for (std::size_t cycle = 0; cycle < setup.cycles; ++cycle) {
    nature.advance();
    const std::size_t length = std::min(lag, cycle + 1) * setup.steps_per_cycle;
    const Window window(setup.model, {{length, nature.observe()}});
    state = incremental_variational(window, state, covariance, settings).state;
    if (cycle >= setup.spin_up) sum += root_mean_square(difference(window.forecast(state, length), nature.truth()));
    if (cycle + 1 >= lag) state = window.forecast(state, setup.steps_per_cycle);
  }
  return {sum / static_cast<double>(setup.cycles - setup.spin_up)};
}

double error(std::size_t lag, double variance, std::size_t cycles) {
  TwinSetup setup = lorenz96_setup(40, cycles, 4);
  setup.spin_up = 200;
  return mean_error_of_five_seeds(
      [&](std::uint64_t seed) { return four_dimensional_variational(setup, lag, variance, seed); });
}

TEST(BocquetSakov2013, lag_1) {
  EXPECT_NEAR(error(1, 0.2, 4200), 0.46, 0.015);
}
TEST(BocquetSakov2013, lag_2) {
  EXPECT_NEAR(error(2, 0.1, 2200), 0.39, 0.015);
}
TEST(BocquetSakov2013, lag_4) {
  EXPECT_NEAR(error(4, 0.02, 2200), 0.38, 0.015);
}
TEST(BocquetSakov2013, lag_6) {
  EXPECT_NEAR(error(6, 0.015, 2200), 0.385, 0.015);
}

}  // namespace
}  // namespace zonda::assimilation
