#include <gtest/gtest.h>

#include <cmath>
#include <numeric>

#include "core/philox.hpp"
#include "postproc/verification/ensemble.hpp"

namespace zonda::postproc {
namespace {

TEST(FairCrps, EqualsThePairwiseDefinition) {
  const Philox random(1, "crps");
  for (std::size_t size : {2, 3, 5, 10, 51}) {
    std::vector<double> members(size);
    for (std::size_t i = 0; i < size; ++i) members[i] = 1000 + random.normal(100 * size + i);
    const double truth = 1000 + random.normal(size);
    double distance = 0, pairs = 0;
    for (const double x : members) {
      distance += std::abs(x - truth);
      for (const double y : members) pairs += std::abs(x - y);
    }
    const auto m = static_cast<double>(size);
    EXPECT_NEAR(fair_crps(members, truth), distance / m - pairs / (2 * m * (m - 1)), 1e-11);
  }
}

TEST(FairCrps, OneMemberGivesTheAbsoluteError) {
  std::vector<double> member{3.5};
  EXPECT_DOUBLE_EQ(fair_crps(member, 5), 1.5);
}

TEST(Ensemble, MomentsAndDebiasedErrorByHand) {
  const std::vector<double> members{1, 2, 6};
  const EnsembleMoments moments = ensemble_moments(members);
  EXPECT_DOUBLE_EQ(moments.mean, 3);
  EXPECT_DOUBLE_EQ(moments.variance, 7);
  EXPECT_DOUBLE_EQ(moments.debiased_squared_error(5), 4 - 7.0 / 3);
  EXPECT_DOUBLE_EQ(spread_error_ratio(4, 9, 3), 2.0 / 3 * std::sqrt(4.0 / 3));
}

TEST(RankHistogram, AReliableEnsembleIsFlatAndTiesAreShared) {
  const Philox random(2, "ranks");
  RankHistogram histogram(4, 7), constant(4, 7);
  std::vector<double> members(4);
  for (std::uint64_t sample = 0; sample < 5000; ++sample) {
    for (std::uint64_t i = 0; i < 4; ++i) members[i] = random.normal(5 * sample + i);
    histogram.add(members, random.normal(5 * sample + 4), sample);
    constant.add(std::vector<double>(4, 0.0), 0.0, sample);
  }
  for (const RankHistogram* h : {&histogram, &constant})
    for (const double count : h->counts()) EXPECT_NEAR(count, 1000, 120);
  EXPECT_DOUBLE_EQ(std::accumulate(histogram.counts().begin(), histogram.counts().end(), 0.0), 5000);
}

TEST(RankHistogram, RanksAndMergesByHand) {
  RankHistogram a(2, 1), b(2, 1);
  a.add(std::vector<double>{1, 2}, 0, 0);
  a.add(std::vector<double>{1, 2}, 1.5, 1);
  b.add(std::vector<double>{2, 1}, 3, 2);
  a.merge(b);
  EXPECT_EQ(std::vector<double>(a.counts().begin(), a.counts().end()), (std::vector<double>{1, 1, 1}));
}

}  // namespace
}  // namespace zonda::postproc
