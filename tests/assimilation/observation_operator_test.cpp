// The generic suite on every observation operator.
#include <gtest/gtest.h>

#include <memory>

#include "assimilation/interfaces/observations.hpp"
#include "assimilation/observations/distributed_operator.hpp"
#include "assimilation/observations/periodic_interpolation.hpp"
#include "assimilation/observations/selected_components.hpp"
#include "assimilation/observations/speed.hpp"
#include "core/error.hpp"
#include "differential_checks.hpp"

namespace zonda::assimilation {
namespace {

struct OperatorCase {
  const char* name;
  std::shared_ptr<const ObservationOperator> instrument;
};

std::vector<OperatorCase> operators() {
  const std::vector<Position> scattered{{0.25, 0.5}, {7.9, 5.9}, {-3.2, 14.1}, {4, 2}};
  const auto field = [](std::size_t offset) { return PeriodicField{96, offset, 8, 6, 1, 1}; };
  const auto u = std::make_shared<PeriodicInterpolation>(field(0), scattered);
  const auto v = std::make_shared<PeriodicInterpolation>(field(48), scattered);
  const auto in_blocks = [](parallel::Range range) {
    std::vector<std::size_t> components;
    for (std::size_t i = range.begin; i < range.end; ++i) components.push_back(i * i % 40);
    return std::make_shared<SelectedComponents>(40, components);
  };
  return {
      {"all_components", std::make_shared<SelectedComponents>(7)},
      {"some_components_twice", std::make_shared<SelectedComponents>(7, std::vector<std::size_t>{5, 1, 5})},
      {"interpolation_on_a_ring",
       std::make_shared<PeriodicInterpolation>(PeriodicField{10, 0, 10, 1, 2, 1}, scattered)},
      {"interpolation_on_a_plane", u},
      {"speed", std::make_shared<Speed>(u, v)},
      {"distributed", std::make_shared<DistributedOperator>(parallel::Communicator::self(), 40, 25, in_blocks)},
      {"fewer_than_blocks", std::make_shared<DistributedOperator>(parallel::Communicator::self(), 40, 3, in_blocks)}};
}

class EveryOperator : public testing::TestWithParam<OperatorCase> {
 protected:
  DifferentiableMap map() const {
    const auto h = GetParam().instrument;
    const Vector state = random_vector(h->state_size(), 0, 3);
    const auto observed = [h](auto&& call) {
      Vector values(h->size());
      call(View(values));
      return values;
    };
    return {h->state_size(),
            h->size(),
            state,
            1,
            [=](ConstView x) { return observed([&](View values) { h->apply(x, values); }); },
            [=](ConstView x) { return observed([&](View values) { h->tangent(state, x, values); }); },
            [=](ConstView y) {
              Vector sensitivity(h->state_size(), 99);  // outputs are overwritten
              h->adjoint(state, y, sensitivity);
              return sensitivity;
            }};
  }
};

TEST_P(EveryOperator, zero_stays_zero) {
  check_zero_stays_zero(map());
}
TEST_P(EveryOperator, has_linear_derivatives) {
  check_linearity(map());
}
TEST_P(EveryOperator, has_a_tangent_of_first_order) {
  check_tangent(map());
}
TEST_P(EveryOperator, has_the_adjoint_of_its_tangent) {
  check_adjoint(map());
}

INSTANTIATE_TEST_SUITE_P(assimilation, EveryOperator, testing::ValuesIn(operators()),
                         [](const auto& test) { return std::string(test.param.name); });

TEST(PeriodicInterpolation, is_exact_for_bilinear_fields_and_across_the_seam) {
  const std::vector<Position> points{{2.5, 1.25}, {7.5, 0}, {-0.5, 6}, {3, 2}};
  const PeriodicInterpolation h({48, 0, 8, 6, 1, 1}, points);
  Vector field(48), values(points.size());
  for (std::size_t i = 0; i < 48; ++i) field[i] = 3 + 2 * static_cast<double>(i % 8) - static_cast<double>(i / 8);
  h.apply(field, values);
  EXPECT_DOUBLE_EQ(values[0], 3 + 5 - 1.25);
  EXPECT_DOUBLE_EQ(values[1], (3 + 14 + 3) / 2.0);  // between columns 7 and 0
  EXPECT_DOUBLE_EQ(values[2], values[1]);           // the same point, one turn on
  EXPECT_DOUBLE_EQ(values[3], 3 + 6 - 2);
}

TEST(Observations, name_the_one_that_is_wrong) {
  const auto h = std::make_shared<SelectedComponents>(3);
  Observations good{h, {1, 2, 3}, {1, 1, 1}, {}};
  good.check();
  EXPECT_EQ(good.departures(Vector{1, 1, 1}), (Vector{0, 1, 2}));
  const auto message = [](const Observations& observations) -> std::string {
    try {
      observations.check();
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::data);
      return error.what();
    }
    return "none";
  };
  Observations bad = good;
  bad.errors[1] = 0;
  EXPECT_EQ(message(bad), "the error of observation 1 is 0, expected > 0");
  bad = good;
  bad.values[2] = std::nan("");
  EXPECT_EQ(message(bad), "observation 2 is nan, expected a number");
  bad = good;
  bad.values.pop_back();
  EXPECT_EQ(message(bad), "2 observed values and 3 errors, but the operator gives 3");
  EXPECT_THROW(SelectedComponents(3, {3}), Error);
  EXPECT_THROW(PeriodicInterpolation({4, 0, 8, 1, 1, 1}, std::vector<Position>{{0, 0}}), Error);
}

}  // namespace
}  // namespace zonda::assimilation
