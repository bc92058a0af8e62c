// The generic suite on every forecast model, over one step and over ten.
#include <gtest/gtest.h>

#include <memory>

#include "assimilation/models/lorenz63.hpp"
#include "assimilation/models/lorenz96.hpp"
#include "assimilation/models/quasi_geostrophic.hpp"
#include "core/error.hpp"
#include "differential_checks.hpp"

namespace zonda::assimilation {
namespace {

struct ModelCase {
  const char* name;
  std::shared_ptr<const ForecastModel> model;
  Vector state;
  double scale;
};

Vector spun_up(const ForecastModel& model, Vector state, std::size_t steps) {
  for (std::size_t n = 0; n < steps; ++n) model.step(n, state);
  return state;
}

std::vector<ModelCase> models() {
  const auto of = [](std::shared_ptr<const Tendency> tendency, double dt) {
    return std::make_shared<const RungeKutta4>(std::move(tendency), dt);
  };
  const auto lorenz63 = of(std::make_shared<Lorenz63>(), 0.01);
  const auto lorenz96 = of(std::make_shared<Lorenz96>(40), 0.05);
  QuasiGeostrophicConfig uneven;
  uneven.nx = 12;
  uneven.ny = 10;
  const auto qg = of(std::make_shared<QuasiGeostrophic>(), 3600),
             uneven_qg = of(std::make_shared<QuasiGeostrophic>(uneven), 3600);
  return {{"lorenz63", lorenz63, spun_up(*lorenz63, {1.5, -1.5, 25}, 500), 1},
          {"lorenz96", lorenz96, spun_up(*lorenz96, random_vector(40, 0), 500), 1},
          {"lorenz96_of_four", of(std::make_shared<Lorenz96>(4), 0.05), {1, 2, -3, 4}, 1},
          {"quasi_geostrophic", qg, spun_up(*qg, random_vector(qg->size(), 0, 1e-5), 48), 1e-5},
          {"quasi_geostrophic_uneven", uneven_qg, random_vector(uneven_qg->size(), 0, 1e-5), 1e-5}};
}

DifferentiableMap over(const ModelCase& c, std::size_t steps) {
  const auto model = c.model;
  std::vector<Vector> trajectory{c.state};
  for (std::size_t n = 0; n + 1 < steps; ++n) {
    trajectory.push_back(trajectory.back());
    model->step(n, trajectory.back());
  }
  return {model->size(),
          model->size(),
          c.state,
          c.scale,
          [model, steps](ConstView x) { return spun_up(*model, Vector(x.begin(), x.end()), steps); },
          [model, trajectory](ConstView x) {
            Vector result(x.begin(), x.end());
            for (std::size_t n = 0; n < trajectory.size(); ++n) model->tangent(n, trajectory[n], result);
            return result;
          },
          [model, trajectory](ConstView y) {
            Vector result(y.begin(), y.end());
            for (std::size_t n = trajectory.size(); n-- > 0;) model->adjoint(n, trajectory[n], result);
            return result;
          }};
}

class EveryModel : public testing::TestWithParam<std::tuple<ModelCase, std::size_t>> {
 protected:
  DifferentiableMap map() const { return over(std::get<0>(GetParam()), std::get<1>(GetParam())); }
};

TEST_P(EveryModel, zero_stays_zero) {
  check_zero_stays_zero(map());
}
TEST_P(EveryModel, has_linear_derivatives) {
  check_linearity(map());
}
TEST_P(EveryModel, has_a_tangent_of_first_order) {
  check_tangent(map());
}
TEST_P(EveryModel, has_the_adjoint_of_its_tangent) {
  check_adjoint(map());
}

TEST_P(EveryModel, repeats_itself_bit_for_bit) {
  const DifferentiableMap m = map();
  EXPECT_EQ(m.apply(m.state), m.apply(m.state));
  EXPECT_NE(m.apply(m.state), m.state);
}

INSTANTIATE_TEST_SUITE_P(assimilation, EveryModel,
                         testing::Combine(testing::ValuesIn(models()), testing::Values(1, 10)), [](const auto& test) {
                           return std::string(std::get<0>(test.param).name) + "_" +
                                  std::to_string(std::get<1>(test.param)) + "_steps";
                         });

/// One step of length h against 64 of h / 64: the error of one step is of fifth order.
TEST(RungeKutta4, is_of_fourth_order) {
  const auto error = [](double h) {
    const auto tendency = std::make_shared<Lorenz96>(40);
    const Vector start = spun_up(RungeKutta4(tendency, 0.05), random_vector(40, 0), 200);
    return norm(
        difference(spun_up(RungeKutta4(tendency, h), start, 1), spun_up(RungeKutta4(tendency, h / 64), start, 64)));
  };
  EXPECT_NEAR(std::log2(error(0.02) / error(0.01)), 5, 0.2);
}

TEST(Lorenz96, conserves_energy_but_for_damping_and_forcing) {
  const Lorenz96 model(40);
  const Vector state = random_vector(40, 5, 4);
  Vector rate(40);
  model.evaluate(state, rate);
  double expected = -dot(state, state);
  for (const double x : state) expected += 8 * x;
  EXPECT_NEAR(dot(state, rate), expected, 1e-11 * dot(state, state));
}

TEST(Models, refuse_what_they_cannot_run) {
  EXPECT_THROW(Lorenz96(3), Error);
  EXPECT_THROW(RungeKutta4(std::make_shared<Lorenz63>(), 0), Error);
  Vector wrong(5);
  EXPECT_THROW(RungeKutta4(std::make_shared<Lorenz63>(), 0.01).step(0, wrong), Error);
}

}  // namespace
}  // namespace zonda::assimilation
