#include "assimilation/atmosphere/increment_taper.hpp"

#include <gtest/gtest.h>

#include <cmath>

#include "assimilation/covariance/diagonal_covariance.hpp"
#include "core/error.hpp"
#include "covariance_checks.hpp"
#include "random_vectors.hpp"

namespace zonda::assimilation {
namespace {

struct TaperTest : testing::TestWithParam<const char*> {
  const AtmosphereLayout layout = [] {
    const std::vector<Channel> channels{{"z", 500}, {"t", 850}};
    AtmosphereLayout result = channel_layout(Grid::parse(GetParam()), channels);
    result.slots = 2;
    return result;
  }();
  const std::shared_ptr<const IncrementTaper> taper = std::make_shared<IncrementTaper>(layout, 3, 7);
  const Vector x = random_vector(layout.state_size(), 1), y = random_vector(layout.state_size(), 2);
};
INSTANTIATE_TEST_SUITE_P(grids, TaperTest, testing::Values("gaussian 16x32", "latlon 16x32 no-poles", "latlon 17x32"));

TEST_P(TaperTest, has_its_adjoint) {
  Vector forward = x, backward = y;
  taper->apply(forward);
  taper->apply_adjoint(backward);
  EXPECT_NEAR(dot(forward, y), dot(x, backward), 1e-12 * norm(forward) * norm(y));
  EXPECT_LT(norm(forward), 0.9 * norm(x));
}

TEST_P(TaperTest, makes_a_covariance_of_a_covariance) {
  Vector deviations(layout.state_size());
  for (std::size_t i = 0; i < deviations.size(); ++i) deviations[i] = 1 + 0.5 * std::sin(0.1 * double(i));
  const TaperedCovariance tapered(std::make_shared<DiagonalCovariance>(deviations), taper);
  check_zero_to_zero(tapered);
  check_linear_symmetric_and_positive(tapered);
  check_square_of_its_root(tapered);
  check_draws(tapered, 400);
}

TEST(IncrementTaper, refuses_a_region) {
  const std::vector<Channel> channels{{"t", 850}};
  EXPECT_THROW(IncrementTaper(channel_layout(Grid::regional(60, 30, 16, 0, 40, 20), channels), 3, 7), Error);
}

}  // namespace
}  // namespace zonda::assimilation
