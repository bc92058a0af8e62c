#include "assimilation/variational/trajectory.hpp"

#include <gtest/gtest.h>

#include "assimilation/models/lorenz96.hpp"
#include "assimilation/observations/selected_components.hpp"
#include "assimilation/variational/window.hpp"
#include "core/error.hpp"
#include "random_vectors.hpp"

namespace zonda::assimilation {
namespace {

std::shared_ptr<const ForecastModel> lorenz96() {
  return std::make_shared<const RungeKutta4>(std::make_shared<Lorenz96>(12), 0.05);
}

constexpr std::size_t length = 23;

class KeepEvery : public testing::TestWithParam<std::size_t> {};
INSTANTIATE_TEST_SUITE_P(trajectory, KeepEvery, testing::Values(1, 2, 3, 5, 23, 24, 100));

TEST_P(KeepEvery, gives_the_bits_of_all_states_in_any_order) {
  const auto model = lorenz96();
  const Vector start = random_vector(12, 0, 3);
  std::vector<Vector> states{start};
  for (std::size_t n = 0; n < length; ++n) {
    states.push_back(states.back());
    model->step(n + 4, states.back());
  }
  const Trajectory trajectory(*model, 4, start, length, GetParam());
  const auto check = [&](std::size_t n) {
    const ConstView state = trajectory.at(n);
    EXPECT_EQ(Vector(state.begin(), state.end()), states[n]) << n;
    EXPECT_LE(trajectory.held(), length / GetParam() + 1 + std::min(GetParam() - 1, length));
  };
  for (std::size_t n = 0; n <= length; ++n) check(n);
  for (std::size_t n = length + 1; n-- > 0;) check(n);
  for (std::size_t i = 0; i < 60; ++i) check(i * 7 % (length + 1));
}

TEST_P(KeepEvery, leaves_the_bits_of_a_window_alone) {
  const auto observations = [](std::size_t step) {
    Observations result;
    result.instrument = std::make_shared<SelectedComponents>(12, std::vector<std::size_t>{1, 5, 10});
    result.values = random_vector(3, 40 + step);
    result.errors.assign(3, 0.7);
    return result;
  };
  const std::vector<TimeSlot> slots{{0, observations(0)}, {3, observations(3)}, {8, observations(8)}};
  const Vector start = random_vector(12, 0, 3), direction = random_vector(12, 1);
  const Window whole(lorenz96(), slots), thinned(lorenz96(), slots, IncrementModel::tangent, 0, GetParam());
  const Linearisation one(whole, start), other(thinned, start);
  EXPECT_GT(one.observation_cost(), 0);
  EXPECT_EQ(one.observation_cost(), other.observation_cost());
  EXPECT_EQ(one.forcing(), other.forcing());
  EXPECT_EQ(one.curvature(direction), other.curvature(direction));
  EXPECT_EQ(one.forcing(), other.forcing());
}

TEST(Trajectory, refuses_what_it_cannot_give) {
  const auto model = lorenz96();
  EXPECT_THROW(Trajectory(*model, 0, Vector(12), 3, 0), Error);
  EXPECT_THROW(Trajectory(*model, 0, Vector(12), 3, 1).at(4), Error);
}

struct Opaque final : ForecastModel {
  std::size_t size() const override { return 2; }
  void step(std::size_t, View) const override {}
  void tangent(std::size_t, ConstView, View) const override {}
  void adjoint(std::size_t, ConstView, View) const override {}
  bool differentiable() const override { return false; }
};

TEST(Window, asks_for_a_tangent_only_where_increments_travel) {
  Observations both;
  both.instrument = std::make_shared<SelectedComponents>(2);
  both.values = both.errors = {1, 1};
  const auto opaque = std::make_shared<Opaque>();
  EXPECT_NO_THROW(Window(opaque, {{0, both}}));
  EXPECT_NO_THROW(Window(opaque, {{2, both}}, IncrementModel::persistence));
  EXPECT_THROW(Window(opaque, {{2, both}}), Error);
}

}  // namespace
}  // namespace zonda::assimilation
