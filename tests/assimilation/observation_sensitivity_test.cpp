#include "assimilation/variational/observation_sensitivity.hpp"

#include <gtest/gtest.h>

#include "assimilation/covariance/diagonal_covariance.hpp"
#include "assimilation/models/lorenz96.hpp"
#include "assimilation/observations/selected_components.hpp"
#include "assimilation/variational/incremental.hpp"
#include "random_vectors.hpp"

namespace zonda::assimilation {
namespace {

constexpr std::size_t size = 12, lead = 3;

/// dx_i/dt = a (x_{i+1} - x_{i-1}) - b x_i: advection and damping.
class Advection final : public Tendency {
 public:
  std::size_t size() const override { return assimilation::size; }
  void evaluate(ConstView x, View rate) const override { turn(x, rate, 1); }
  void tangent(ConstView, ConstView dx, View rate) const override { turn(dx, rate, 1); }
  void adjoint(ConstView, ConstView r, View sensitivity) const override { turn(r, sensitivity, -1); }

 private:
  static void turn(ConstView x, View out, double sign) {
    const std::size_t n = x.size();
    for (std::size_t i = 0; i < n; ++i) out[i] = sign * 2 * (x[(i + 1) % n] - x[(i + n - 1) % n]) - 0.3 * x[i];
  }
};

struct Experiment {
  std::shared_ptr<const ForecastModel> model = std::make_shared<const RungeKutta4>(std::make_shared<Advection>(), 0.1);
  Vector background = random_vector(size, 1), verifying = random_vector(size, 2), weights = Vector(size, 0.5);
  DiagonalCovariance covariance{Vector(size, 0.8)};
  std::vector<TimeSlot> slots{{0, observe({0, 3, 7}, 10)}, {2, observe({1, 5, 8, 11}, 11)}};

  static Observations observe(std::vector<std::size_t> components, std::uint64_t stream) {
    Observations result;
    result.values = random_vector(components.size(), stream);
    result.errors.assign(components.size(), 0.6);
    result.instrument = std::make_shared<SelectedComponents>(size, std::move(components));
    return result;
  }
  Vector analyse() const {
    IncrementalSettings settings;
    settings.outer_iterations = 1;
    settings.inner.tolerance = 1e-14;
    return incremental_variational({model, slots}, background, covariance, settings).state;
  }
  ForecastError forecast_from(ConstView state) const {
    return forecast_error(*model, 0, lead, state, verifying, weights);
  }
};

TEST(ForecastError, has_the_gradient_of_central_differences) {
  Experiment e;
  e.model = std::make_shared<const RungeKutta4>(std::make_shared<Lorenz96>(size), 0.05);
  const Vector state = random_vector(size, 5, 3);
  const ForecastError found = e.forecast_from(state);
  for (std::size_t i = 0; i < size; ++i) {
    constexpr double h = 1e-5;
    Vector up = state, down = state;
    up[i] += h;
    down[i] -= h;
    const double slope = (e.forecast_from(up).error - e.forecast_from(down).error) / (2 * h);
    EXPECT_NEAR(found.gradient[i], slope, 1e-6 * norm(found.gradient));
  }
}

/// The analysis is linear in the observations and e quadratic in it, so central differences are exact.
TEST(ObservationSensitivity, is_what_a_changed_observation_does_to_the_forecast) {
  Experiment e;
  const Vector analysis = e.analyse();
  const auto found =
      observation_sensitivity({e.model, e.slots}, analysis, e.covariance, e.forecast_from(analysis).gradient);
  ASSERT_EQ(found.size(), 2);
  for (std::size_t s = 0; s < e.slots.size(); ++s)
    for (std::size_t i = 0; i < e.slots[s].observations.size(); ++i) {
      const double value = e.slots[s].observations.values[i], h = 0.1;
      const auto error_with = [&](double x) {
        e.slots[s].observations.values[i] = x;
        return e.forecast_from(e.analyse()).error;
      };
      const double slope = (error_with(value + h) - error_with(value - h)) / (2 * h);
      e.slots[s].observations.values[i] = value;
      EXPECT_NE(slope, 0);
      EXPECT_NEAR(found[s][i], slope, 1e-8);
    }
}

/// On a linear model the mean of both gradients gives the whole of e(analysis) - e(background), observation by
/// observation.
TEST(ObservationSensitivity, shares_out_what_the_analysis_changed) {
  const Experiment e;
  const Vector analysis = e.analyse();
  const ForecastError before = e.forecast_from(e.background), after = e.forecast_from(analysis);
  double impact = 0;
  for (const Vector& slot :
       observation_impacts({e.model, e.slots}, e.background, analysis, e.covariance, before, after))
    for (const double share : slot) impact += share;
  EXPECT_GT(std::abs(after.error - before.error), 1e-3);
  EXPECT_NEAR(impact, after.error - before.error, 1e-9);
}

}  // namespace
}  // namespace zonda::assimilation
