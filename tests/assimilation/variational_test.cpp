// Variational analyses against the Kalman smoother, each other, and what theory says of the cost function.
#include <gtest/gtest.h>

#include <Eigen/Dense>
#include <cmath>
#include <memory>

#include "assimilation/covariance/dense_covariance.hpp"
#include "assimilation/covariance/diagonal_covariance.hpp"
#include "assimilation/covariance/ensemble_covariance.hpp"
#include "assimilation/covariance/hybrid_covariance.hpp"
#include "assimilation/ensemble/optimal_interpolation.hpp"
#include "assimilation/models/lorenz63.hpp"
#include "assimilation/models/lorenz96.hpp"
#include "assimilation/models/quasi_geostrophic.hpp"
#include "assimilation/observations/selected_components.hpp"
#include "assimilation/variational/conjugate_gradient.hpp"
#include "assimilation/variational/incremental.hpp"
#include "assimilation/variational/lbfgs.hpp"
#include "assimilation/variational/variational_cost.hpp"
#include "core/error.hpp"
#include "random_vectors.hpp"

namespace zonda::assimilation {
namespace {

using Matrix = Eigen::Matrix<double, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;

/// x <- M x with the rotation-like, mildly growing M of `matrix`.
class LinearModel final : public ForecastModel {
 public:
  explicit LinearModel(std::size_t size) : matrix_(Matrix::Identity(index(size), index(size))) {
    const Vector random = random_vector(size * size, 77, 0.2);
    matrix_ += Eigen::Map<const Matrix>(random.data(), index(size), index(size));
  }
  std::size_t size() const override { return static_cast<std::size_t>(matrix_.rows()); }
  void step(std::size_t, View state) const override { transform(matrix_, state); }
  void tangent(std::size_t, ConstView, View perturbation) const override { transform(matrix_, perturbation); }
  void adjoint(std::size_t, ConstView, View sensitivity) const override { transform(matrix_.transpose(), sensitivity); }
  const Matrix& matrix() const { return matrix_; }

 private:
  static Eigen::Index index(std::size_t i) { return static_cast<Eigen::Index>(i); }
  static void transform(const Matrix& matrix, View x) {
    Eigen::Map<Eigen::VectorXd> vector(x.data(), index(x.size()));
    vector = (matrix * vector).eval();
  }
  Matrix matrix_;
};

Observations observe(std::size_t state_size, std::vector<std::size_t> components, std::uint64_t seed,
                     double error = 0.7) {
  Observations result;
  result.values = random_vector(components.size(), seed, 2 * error);
  result.errors.assign(components.size(), error);
  result.instrument = std::make_shared<SelectedComponents>(state_size, std::move(components));
  return result;
}

std::shared_ptr<const DenseCovariance> ring_correlation(std::size_t size, double half_support = 3) {
  std::vector<Position> ring;
  for (std::size_t i = 0; i < size; ++i) ring.push_back({static_cast<double>(i), 0, 0});
  return localisation_matrix({std::make_shared<PeriodicMetric>(static_cast<double>(size)), half_support, 1}, ring);
}

constexpr std::size_t size = 10;

std::vector<TimeSlot> four_slots() {
  return {{0, observe(size, {0, 4}, 1)},
          {1, observe(size, {2, 3, 9}, 2)},
          {3, observe(size, {}, 3)},
          {4, observe(size, {1, 5, 6, 8}, 4)}};
}

IncrementalSettings precise(std::size_t outer = 1) {
  IncrementalSettings settings;
  settings.outer_iterations = outer;
  settings.inner.tolerance = 1e-13;
  return settings;
}

Vector quiet_state(const ForecastModel& model, Vector state, std::size_t steps) {
  for (std::size_t n = 0; n < steps; ++n) model.step(n, state);
  return state;
}

/// Kalman filter forward, Rauch-Tung-Striebel smoother backward to the window's beginning.
TEST(IncrementalVariational, on_a_linear_model_is_the_kalman_smoother) {
  const auto model = std::make_shared<LinearModel>(size);
  const auto covariance = ring_correlation(size);
  const Vector background = random_vector(size, 5);
  const auto slots = four_slots();
  const Matrix& m = model->matrix();

  Eigen::VectorXd x = Eigen::Map<const Eigen::VectorXd>(background.data(), size);
  Matrix p(size, size);
  for (std::size_t i = 0; i < size; ++i) {
    Vector unit(size);
    unit[i] = 1;
    covariance->multiply(unit, View(p.row(static_cast<Eigen::Index>(i)).data(), size));
  }
  std::vector<Eigen::VectorXd> filtered, forecast{x};
  std::vector<Matrix> filtered_covariance, forecast_covariance{p};
  for (std::size_t n = 0; n <= 4; ++n) {
    for (const TimeSlot& slot : slots)
      if (slot.step == n) {
        const Observations& o = slot.observations;
        for (std::size_t i = 0; i < o.size(); ++i) {  // independent observations, one at a time
          Vector unit(o.size()), h(size);
          unit[i] = 1;
          o.instrument->adjoint(background, unit, h);
          const Eigen::Map<const Eigen::VectorXd> row(h.data(), size);
          const Eigen::VectorXd gain = p * row / (row.dot(p * row) + o.errors[i] * o.errors[i]);
          x += gain * (o.values[i] - row.dot(x));
          p -= (gain * (row.transpose() * p)).eval();
        }
      }
    filtered.push_back(x);
    filtered_covariance.push_back(p);
    x = (m * x).eval();
    p = (m * p * m.transpose()).eval();
    forecast.push_back(x);
    forecast_covariance.push_back(p);
  }
  Eigen::VectorXd smoothed = filtered[4];
  for (std::size_t n = 4; n-- > 0;) {
    const Matrix gain = filtered_covariance[n] * m.transpose() * forecast_covariance[n + 1].inverse();
    smoothed = filtered[n] + gain * (smoothed - forecast[n + 1]);
  }

  const auto analysis = incremental_variational({model, slots}, background, *covariance, precise());
  const Eigen::Map<const Eigen::VectorXd> found(analysis.state.data(), size);
  EXPECT_GT((found - filtered[0]).norm(), 1e-3);
  EXPECT_LT((found - smoothed).norm(), 1e-8 * smoothed.norm());
}

TEST(IncrementalVariational, agrees_with_every_minimiser) {
  const auto model = std::make_shared<LinearModel>(size);
  const auto covariance = ring_correlation(size);
  const Vector background = random_vector(size, 5);
  const Window window(model, four_slots());
  const Vector lanczos = incremental_variational(window, background, *covariance, precise()).state;
  const VariationalCost cost(window, background, *covariance);
  const Vector start(cost.size());
  EXPECT_LT(norm(difference(cost.state(ConjugateGradient(200, 1e-13).minimise(cost, start).x), lanczos)), 1e-9);
  EXPECT_LT(norm(difference(cost.state(Lbfgs(200, 1e-11).minimise(cost, start).x), lanczos)), 1e-7);
}

TEST(ThreeDimensionalVariational, is_optimal_interpolation) {
  const auto model = std::make_shared<LinearModel>(size);
  const auto covariance = ring_correlation(size);
  const Vector background = random_vector(size, 5);
  const Observations observations = observe(size, {1, 4, 4, 8}, 6);
  const auto analysis = incremental_variational({model, {{0, observations}}}, background, *covariance, precise());
  const Vector expected = optimal_interpolation(*covariance, background, observations);
  EXPECT_GT(norm(difference(expected, background)), 0.1);
  EXPECT_LT(norm(difference(analysis.state, expected)), 1e-10);
}

TEST(ThreeDimensionalVariational, of_one_observation_has_the_shape_of_the_covariance) {
  const auto covariance = ring_correlation(size);
  const Vector background(size);
  const Window window(std::make_shared<LinearModel>(size), {{0, observe(size, {3}, 6)}});
  Vector increment = incremental_variational(window, background, *covariance, precise()).state;
  Vector unit(size), column(size);
  unit[3] = 1;
  covariance->multiply(unit, column);
  scale(column[3] / increment[3], increment);
  EXPECT_LT(norm(difference(increment, column)), 1e-12);
}

/// FGAT compares with the trajectory but keeps increments as they are: 3D-Var with the trajectory's departures.
TEST(FirstGuessAtAppropriateTime, uses_departures_of_the_trajectory) {
  const auto model = std::make_shared<RungeKutta4>(std::make_shared<Lorenz96>(40), 0.05);
  const auto covariance = ring_correlation(40);
  const Vector background = quiet_state(*model, random_vector(40, 1), 200);
  Observations late = observe(40, {1, 7, 20, 33}, 8);
  const auto fgat =
      incremental_variational({model, {{3, late}}, IncrementModel::persistence}, background, *covariance, precise());
  const Vector later = quiet_state(*model, background, 3);
  Observations moved = late;
  const Vector departures = late.departures(later);
  moved.instrument->apply(background, moved.values);
  axpy(1, departures, moved.values);
  const Vector expected = optimal_interpolation(*covariance, background, moved);
  EXPECT_LT(norm(difference(fgat.state, expected)), 1e-10);
  const auto with_tangent = incremental_variational({model, {{3, late}}}, background, *covariance, precise());
  EXPECT_GT(norm(difference(with_tangent.state, fgat.state)), 1e-3);
}

TEST(IncrementalVariational, without_observations_keeps_the_background) {
  const auto model = std::make_shared<LinearModel>(size);
  const Vector background = random_vector(size, 5);
  const auto covariance = ring_correlation(size);
  EXPECT_EQ(incremental_variational({model, {}}, background, *covariance, precise(2)).state, background);
  EXPECT_EQ(incremental_variational({model, {{2, observe(size, {}, 1)}}}, background, *covariance, precise()).state,
            background);
}

TEST(HybridVariational, gives_the_pure_cases_at_its_ends) {
  const auto model = std::make_shared<LinearModel>(size);
  const auto fixed = ring_correlation(size);
  std::vector<Vector> anomalies;
  for (std::uint64_t k = 0; k < 6; ++k) anomalies.push_back(random_vector(size, 60 + k));
  const auto ensemble = std::make_shared<EnsembleCovariance>(anomalies, ring_correlation(size, 2));
  const Vector background = random_vector(size, 5);
  const Window window(model, four_slots());
  const auto analysis = [&](const Covariance& covariance) {
    return incremental_variational(window, background, covariance, precise()).state;
  };
  EXPECT_EQ(analysis(HybridCovariance(fixed, 1, ensemble, 0)), analysis(*fixed));
  EXPECT_EQ(analysis(HybridCovariance(fixed, 0, ensemble, 1)), analysis(*ensemble));
  EXPECT_GT(norm(difference(analysis(*fixed), analysis(*ensemble))), 1e-2);
  // The extended control variable of the hybrid leads to the same analysis as its full covariance.
  const HybridCovariance hybrid(fixed, 0.4, ensemble, 0.6);
  const VariationalCost cost(window, background, hybrid);
  ASSERT_EQ(cost.size(), size + 6 * size);
  const Vector by_control = cost.state(ConjugateGradient(300, 1e-12).minimise(cost, Vector(cost.size())).x);
  EXPECT_LT(norm(difference(by_control, analysis(hybrid))), 1e-8);
}

/// Background and observation errors drawn as assumed: E[2 J] at the minimum is the number of observations.
TEST(IncrementalVariational, ends_at_half_a_unit_of_cost_an_observation) {
  const auto model = std::make_shared<LinearModel>(size);
  const auto covariance = ring_correlation(size);
  double sum = 0;
  constexpr std::size_t draws = 200;
  std::size_t count = 0;
  for (std::size_t draw = 0; draw < draws; ++draw) {
    auto slots = four_slots();
    Vector truth(size), at = truth;  // at rest
    for (TimeSlot& slot : slots)
      slot.observations.values = random_vector(slot.observations.size(), 1000 + 7 * draw + slot.step, 0.7);
    const Window window(model, slots);
    const Vector background = covariance->randomise(11, "background errors", draw);
    sum += incremental_variational(window, background, *covariance, precise()).costs.back();
    count += window.size();
  }
  EXPECT_NEAR(sum / static_cast<double>(count), 0.5, 0.05);
}

struct NonlinearCase {
  const char* name;
  std::shared_ptr<const ForecastModel> model;
  Vector truth;
  double scale;
};

std::vector<NonlinearCase> nonlinear_cases() {
  const auto lorenz63 = std::make_shared<RungeKutta4>(std::make_shared<Lorenz63>(), 0.01);
  const auto lorenz96 = std::make_shared<RungeKutta4>(std::make_shared<Lorenz96>(40), 0.05);
  const auto qg = std::make_shared<RungeKutta4>(std::make_shared<QuasiGeostrophic>(), 3600);
  return {{"lorenz63", lorenz63, quiet_state(*lorenz63, {1.5, -1.5, 25}, 500), 1},
          {"lorenz96", lorenz96, quiet_state(*lorenz96, random_vector(40, 0), 300), 1},
          {"quasi_geostrophic", qg, random_vector(qg->size(), 0, 1e-5), 1e-5}};
}

class EveryNonlinearModel : public testing::TestWithParam<NonlinearCase> {
 protected:
  const ForecastModel& model() const { return *GetParam().model; }
  Window window() const {
    std::vector<std::size_t> components;
    for (std::size_t i = 0; i < model().size(); i += 2) components.push_back(i);
    std::vector<TimeSlot> slots;
    for (const std::size_t step : {0, 3, 6}) {
      Observations o = observe(model().size(), components, step, 0.3 * GetParam().scale);
      Vector values(o.size());
      o.instrument->apply(quiet_state(model(), GetParam().truth, step), values);
      axpy(0.5, o.values, values);
      o.values = values;
      slots.push_back({step, o});
    }
    return {GetParam().model, slots};
  }
  Vector background() const {
    Vector result = GetParam().truth;
    axpy(0.3, random_vector(model().size(), 9, GetParam().scale), result);
    return result;
  }
  DiagonalCovariance covariance() const { return DiagonalCovariance(Vector(model().size(), 0.3 * GetParam().scale)); }
};

/// |J(v + h d) - J(v) - h (grad J, d)| falls as h^2 over five decades.
TEST_P(EveryNonlinearModel, has_a_cost_with_a_taylor_remainder_of_second_order) {
  const Window w = window();
  const DiagonalCovariance b = covariance();
  const VariationalCost cost(w, background(), b);
  const Vector at = random_vector(cost.size(), 3, 0.1), direction = random_vector(cost.size(), 4);
  Vector gradient(cost.size()), unused(cost.size());
  const double here = cost.evaluate(at, gradient), slope = dot(gradient, direction);
  ASSERT_GT(std::abs(slope), 0);
  double before = 0;
  for (double h = 1e-1; h > 5e-7; h /= 10) {
    Vector moved = at;
    axpy(h, direction, moved);
    const double remainder = std::abs(cost.evaluate(moved, unused) - here - h * slope);
    if (before > 0) {
      EXPECT_NEAR(std::log10(before / remainder), 2, h < 2e-6 ? 0.3 : 0.15) << "h " << h;
    }
    before = remainder;
  }
}

TEST_P(EveryNonlinearModel, is_minimised_alike_by_outer_loops_and_by_lbfgs) {
  const Window w = window();
  const DiagonalCovariance b = covariance();
  IncrementalSettings settings = precise(20);
  settings.inner.tolerance = 1e-10;
  settings.outer_tolerance = 1e-10 * GetParam().scale;
  const auto incremental = incremental_variational(w, background(), b, settings);
  for (std::size_t i = 1; i < incremental.costs.size(); ++i)
    EXPECT_LE(incremental.costs[i], incremental.costs[i - 1] * (1 + 1e-12));
  const VariationalCost cost(w, background(), b);
  const Minimum nonlinear = Lbfgs(300, 1e-9).minimise(cost, Vector(cost.size()));
  EXPECT_NEAR(nonlinear.costs.back(), incremental.costs.back(), 1e-6 * incremental.costs.back());
  EXPECT_LT(root_mean_square(difference(cost.state(nonlinear.x), incremental.state)), 1e-5 * GetParam().scale);
  EXPECT_LT(root_mean_square(difference(incremental.state, GetParam().truth)),
            root_mean_square(difference(background(), GetParam().truth)));
}

TEST_P(EveryNonlinearModel, needs_fewer_inner_iterations_with_the_spectrum_of_the_first_loop) {
  const Window w = window();
  const DiagonalCovariance b = covariance();
  IncrementalSettings plain = precise(3), spectral = plain;
  plain.inner.tolerance = spectral.inner.tolerance = 1e-6;
  plain.outer_tolerance = spectral.outer_tolerance = 0;
  plain.spectral_preconditioner = false;
  const auto one = incremental_variational(w, background(), b, plain);
  const auto other = incremental_variational(w, background(), b, spectral);
  ASSERT_EQ(one.inner_iterations.size(), 3U);
  EXPECT_EQ(other.inner_iterations[0], one.inner_iterations[0]);
  EXPECT_LE(other.inner_iterations[1], one.inner_iterations[1]);
  if (model().size() > 10) {
    EXPECT_LT(other.inner_iterations[1], one.inner_iterations[1]);
  }
  EXPECT_LT(root_mean_square(difference(one.state, other.state)), 1e-4 * GetParam().scale);
}

INSTANTIATE_TEST_SUITE_P(assimilation, EveryNonlinearModel, testing::ValuesIn(nonlinear_cases()),
                         [](const auto& test) { return std::string(test.param.name); });

/// The quadratic cost falls with each iteration, by as much as the cost function itself says.
TEST(DrpLanczos, lowers_the_cost_monotonically) {
  const auto model = std::make_shared<LinearModel>(size);
  const auto covariance = ring_correlation(size);
  const Vector background = random_vector(size, 5);
  const Window window(model, four_slots());
  const Linearisation about(window, background);
  const auto solve = [&](std::size_t iterations) {
    return drp_lanczos([&](ConstView s) { return about.curvature(s); }, SpectralPreconditioner(*covariance),
                       about.forcing(), {iterations, 1e-13});
  };
  const LanczosResult full = solve(100);
  EXPECT_LE(full.decrease.size(), window.size() + 1);  // as many directions as observations
  for (std::size_t i = 0; i < full.decrease.size(); ++i) {
    if (i > 0) {
      EXPECT_GE(full.decrease[i], full.decrease[i - 1]);
    }
    const LanczosResult part = solve(i + 1);
    Vector state = background;
    axpy(1, part.increment.primal, state);
    const double cost =
        Linearisation(window, state).observation_cost() + dot(part.increment.primal, part.increment.dual) / 2;
    EXPECT_NEAR(about.observation_cost() - cost, full.decrease[i], 1e-9 * about.observation_cost());
  }
}

TEST(Window, refuses_what_does_not_fit) {
  const auto model = std::make_shared<LinearModel>(size);
  EXPECT_THROW(Window(model, {{2, observe(size, {0}, 1)}, {1, observe(size, {0}, 1)}}), Error);
  EXPECT_THROW(Window(model, {{0, observe(size + 1, {0}, 1)}}), Error);
}

}  // namespace
}  // namespace zonda::assimilation
