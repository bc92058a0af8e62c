// The fair CRPS: gradient, and a mean that does not depend on the number of members.
#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "core/error.hpp"
#include "core/philox.hpp"
#include "model/ops/loss.hpp"

namespace zonda::model {
namespace {

constexpr std::int64_t batch = 2, channels = 2, rows = 3, columns = 4;
const std::vector<double> row_weight{0.5, 1.5, 1.0};
const std::vector<float> channel_weight{1.0F, 0.25F};

std::vector<double> normals(std::int64_t n, const char* purpose) {
  const Philox random(9, purpose);
  std::vector<double> values(static_cast<std::size_t>(n));
  for (std::size_t i = 0; i < values.size(); ++i) values[i] = random.normal(i);
  return values;
}

TEST(FairCrps, GradientAgreesWithDifferences) {
  for (const int members : {2, 3, 5}) {
    const Shape shape{batch * members, channels, rows, columns};
    std::vector<double> x = normals(shape.count(), "x"), t = normals(shape.count(), "t"), g(x.size());
    const auto loss = [&] {
      return fair_crps(members, Tensor::of(x, shape), Tensor::of(t, shape), row_weight, channel_weight, {});
    };
    fair_crps(members, Tensor::of(x, shape), Tensor::of(t, shape), row_weight, channel_weight, Tensor::of(g, shape), 3);
    const double h = 1e-6;  // no two errors are that close: the score is linear between
    for (std::size_t i = 0; i < x.size(); i += 5) {
      const double kept = x[i];
      x[i] = kept + h;
      const double above = loss();
      x[i] = kept - h;
      const double below = loss();
      x[i] = kept;
      EXPECT_NEAR(3 * (above - below) / (2 * h), g[i], 1e-6) << members << " members, number " << i;
    }
  }
}

TEST(FairCrps, OfGaussiansIsUnbiased) {
  // Members and truth from one standard normal: E|X - y| - E|X - X'| / 2 = 1 / sqrt(pi), whatever the number of
  // members.
  const std::int64_t points = 200'000;
  const std::vector<double> one{1.0};
  const std::vector<float> weight{1.0F};
  for (const int members : {2, 3, 8}) {
    const Shape shape{members, 1, 1, points};
    std::vector<double> x = normals(members * points, "members"), truth = normals(points, "truth"), t;
    for (int i = 0; i < members; ++i) t.insert(t.end(), truth.begin(), truth.end());
    const double score = fair_crps(members, Tensor::of(x, shape), Tensor::of(t, shape), one, weight, {});
    EXPECT_NEAR(score, 1 / std::sqrt(std::acos(-1.0)), 0.006) << members << " members";
  }
}

TEST(FairCrps, SharpAndCertainMembersScoreTheirError) {
  // Members that agree: the absolute error.
  const Shape shape{3, 1, 1, 4};
  std::vector<float> x, t(12, 0.0F), g(12);
  for (int i = 0; i < 3; ++i) x.insert(x.end(), {1, -2, 0, 3});
  const std::vector<double> one{1.0};
  const std::vector<float> weight{1.0F};
  EXPECT_FLOAT_EQ(
      static_cast<float>(fair_crps(3, Tensor::of(x, shape), Tensor::of(t, shape), one, weight, Tensor::of(g, shape))),
      6.0F / 4);
  EXPECT_FLOAT_EQ(g[0], 1.0F / 12);
  EXPECT_FLOAT_EQ(g[1], -1.0F / 12);
}

TEST(FairCrps, MayOverwriteThePredictionAndMasksMissingTargets) {
  const int members = 2;
  const Shape shape{batch * members, channels, rows, columns};
  std::vector<double> x = normals(shape.count(), "x"), t = normals(shape.count(), "t"), g(x.size());
  t[3] = std::nan("");
  const double apart =
      fair_crps(members, Tensor::of(x, shape), Tensor::of(t, shape), row_weight, channel_weight, Tensor::of(g, shape));
  EXPECT_TRUE(std::isfinite(apart));
  EXPECT_EQ(g[3], 0);
  const Tensor both = Tensor::of(x, shape);
  EXPECT_EQ(fair_crps(members, both, Tensor::of(t, shape), row_weight, channel_weight, both), apart);
  EXPECT_EQ(x, g);
  EXPECT_THROW(fair_crps(3, both, Tensor::of(t, shape), row_weight, channel_weight, both), Error);
}

}  // namespace
}  // namespace zonda::model
