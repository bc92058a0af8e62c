// 4D-Var through the network: the cost function and its gradient, and twin experiments.
#include <gtest/gtest.h>

#include <cmath>

#include "assimilation/covariance/diagonal_covariance.hpp"
#include "assimilation/observations/selected_components.hpp"
#include "assimilation/variational/incremental.hpp"
#include "assimilation/variational/lbfgs.hpp"
#include "assimilation/variational/observation_sensitivity.hpp"
#include "assimilation/variational/variational_cost.hpp"
#include "small_network.hpp"

namespace zonda::assimilation {
namespace {

/// A window of `steps` times 6 h about a known truth; every other value of the present is observed at each step.
struct Twin {
  model::ForecastLayout fields = small_layout();
  AtmosphereModel network;
  Vector units, truth, background;
  DiagonalCovariance covariance;
  std::vector<TimeSlot> slots;

  explicit Twin(std::size_t steps, model::DType dtype = model::DType::f64)
      : network(network_model(fields, maker(fields, small_network_config(), dtype), "twin", parse_time("2001-06-01"))),
        units(deviations(network, fields)),
        truth(network_state(network, fields)),
        background(truth),
        covariance(scaled(units, 0.3)) {
    const Vector error = random_vector(units.size(), 50, 0.3);
    for (std::size_t i = 0; i < error.size(); ++i) background[i] += error[i] * units[i];
    std::vector<std::size_t> observed;
    for (std::size_t i = network.layout.slot_size; i < units.size(); i += 2) observed.push_back(i);
    Vector state = truth;
    for (std::size_t n = 0; n <= steps; ++n) {
      if (n > 0) network.model->step(n - 1, state);
      Observations o;
      o.instrument = std::make_shared<SelectedComponents>(units.size(), observed);
      o.values.resize(observed.size());
      o.instrument->apply(state, o.values);
      for (const std::size_t i : observed) o.errors.push_back(0.1 * units[i]);
      const Vector noise = random_vector(observed.size(), 60 + n);
      for (std::size_t i = 0; i < noise.size(); ++i) o.values[i] += noise[i] * o.errors[i];
      slots.push_back({n, std::move(o)});
    }
  }
  static Vector scaled(Vector x, double factor) {
    scale(factor, x);
    return x;
  }
  /// In standard deviations of the fields.
  double error(ConstView state, ConstView of) const {
    Vector apart = difference(state, of);
    for (std::size_t i = 0; i < apart.size(); ++i) apart[i] /= units[i];
    return root_mean_square(apart);
  }
  Window window(std::size_t keep_every = 1) const {
    return Window(network.model, slots, IncrementModel::tangent, 0, keep_every);
  }
};

class NetworkWindows : public testing::TestWithParam<std::size_t> {};
INSTANTIATE_TEST_SUITE_P(of_6_and_12_hours, NetworkWindows, testing::Values(1, 2));

TEST_P(NetworkWindows, has_a_cost_with_a_taylor_remainder_of_second_order) {
  const Twin twin(GetParam());
  const Window window = twin.window();
  const VariationalCost cost(window, twin.background, twin.covariance);
  const Vector control = random_vector(cost.size(), 3, 0.1), direction = random_vector(cost.size(), 4);
  Vector gradient(cost.size()), unused(cost.size());
  const double at = cost.evaluate(control, gradient), slope = dot(gradient, direction);
  ASSERT_NE(slope, 0);
  double before = 0;
  for (double h = 1e-1; h > 5e-6; h /= 10) {
    Vector moved = control;
    axpy(h, direction, moved);
    const double remainder = std::abs(cost.evaluate(moved, unused) - at - h * slope);
    if (before > 0) {
      EXPECT_NEAR(std::log10(before / remainder), 2, 0.1) << h;
    }
    before = remainder;
  }
}

TEST_P(NetworkWindows, is_analysed_by_outer_loops) {
  const Twin twin(GetParam());
  IncrementalSettings settings;
  settings.outer_iterations = 3;
  settings.inner.tolerance = 1e-4;
  const VariationalAnalysis analysis =
      incremental_variational(twin.window(), twin.background, twin.covariance, settings);
  for (std::size_t i = 1; i < analysis.costs.size(); ++i) EXPECT_LT(analysis.costs[i], analysis.costs[i - 1]);
  // A quarter of the state is observed, and the earlier slot through the network alone.
  EXPECT_LT(twin.error(analysis.state, twin.truth), 0.9 * twin.error(twin.background, twin.truth));
  const std::size_t present = twin.network.layout.slot_size;
  const auto of_present = [&](const Vector& x) { return ConstView(x).subspan(present); };
  EXPECT_LT(norm(difference(of_present(analysis.state), of_present(twin.truth))),
            norm(difference(of_present(twin.background), of_present(twin.truth))));
  // Statistics of the minimum: J is about half the number of observations.
  const double observations = static_cast<double>(twin.window().size());
  EXPECT_NEAR(analysis.costs.back() / observations, 0.5, 0.1);
}

TEST_P(NetworkWindows, is_minimised_alike_by_lbfgs_and_falls_monotonically) {
  const Twin twin(GetParam());
  const Window window = twin.window();
  const VariationalCost cost(window, twin.background, twin.covariance);
  const Minimum minimum = Lbfgs(60, 1e-5).minimise(cost, Vector(cost.size()));
  for (std::size_t i = 1; i < minimum.costs.size(); ++i) EXPECT_LT(minimum.costs[i], minimum.costs[i - 1]);
  IncrementalSettings settings;
  settings.outer_iterations = 6;
  settings.inner.tolerance = 1e-8;
  const VariationalAnalysis analysis = incremental_variational(window, twin.background, twin.covariance, settings);
  EXPECT_LT(twin.error(cost.state(minimum.x), analysis.state), 1e-3);
}

TEST(NetworkWindow, is_analysed_in_single_precision) {
  const Twin twin(2, model::DType::f32), exact(2);
  IncrementalSettings settings;
  settings.outer_iterations = 2;
  settings.inner.tolerance = 1e-3;
  const auto single = incremental_variational(twin.window(), twin.background, twin.covariance, settings);
  const auto twice = incremental_variational(exact.window(), twin.background, twin.covariance, settings);
  for (std::size_t i = 1; i < single.costs.size(); ++i) EXPECT_LT(single.costs[i], single.costs[i - 1]);
  EXPECT_LT(twin.error(single.state, twice.state), 5e-3);
}

TEST(NetworkWindow, gives_the_same_bits_with_a_thinned_trajectory) {
  const Twin twin(3);
  const Window whole = twin.window(), thinned = twin.window(2);
  const Linearisation one(whole, twin.background), other(thinned, twin.background);
  const Vector direction = random_vector(twin.units.size(), 8);
  EXPECT_EQ(one.forcing(), other.forcing());
  EXPECT_EQ(one.curvature(direction), other.curvature(direction));
}

/// Better forecasts from the analysis; each observation's share in that adds up to most of the gain.
TEST(NetworkWindow, knows_what_observations_did_to_a_forecast) {
  const Twin twin(1);
  const Window window = twin.window();
  IncrementalSettings settings;
  settings.outer_iterations = 2;
  settings.inner.tolerance = 1e-6;
  const Vector analysis = incremental_variational(window, twin.background, twin.covariance, settings).state;
  Vector weights = twin.units;
  for (double& w : weights) w = 1 / (w * w);
  const Vector verifying = window.forecast(twin.truth, 2);
  const auto error_of = [&](const Vector& state) {
    return forecast_error(*twin.network.model, 0, 2, state, verifying, weights);
  };
  const ForecastError before = error_of(twin.background), after = error_of(analysis);
  EXPECT_LT(after.error, before.error);
  Vector gradient = before.gradient;
  axpy(1, after.gradient, gradient);
  scale(0.5, gradient);
  const auto sensitivity = observation_sensitivity(window, analysis, twin.covariance, gradient, {60, 1e-8});
  const Linearisation about(window, twin.background);
  double impact = 0;
  for (std::size_t s = 0; s < sensitivity.size(); ++s) impact += dot(sensitivity[s], about.departures()[s]);
  EXPECT_NEAR(impact / (after.error - before.error), 1, 0.15);
}

}  // namespace
}  // namespace zonda::assimilation
