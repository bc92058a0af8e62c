// The generic suite on every forecast model, over one step and over ten.
#include <gtest/gtest.h>

#include <memory>

#include "assimilation/models/lorenz63.hpp"
#include "assimilation/models/lorenz96.hpp"
#include "assimilation/models/quasi_geostrophic.hpp"
#include "core/error.hpp"
#include "forecast_model_checks.hpp"

namespace zonda::assimilation {
namespace {

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

INSTANTIATE_TEST_SUITE_P(assimilation, EveryModel,
                         testing::Combine(testing::ValuesIn(models()), testing::Values(1, 10)), name_of_case);

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
