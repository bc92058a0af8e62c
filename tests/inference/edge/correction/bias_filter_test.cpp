#include "inference/edge/correction/bias_filter.hpp"

#include <gtest/gtest.h>

#include <cmath>

#include "core/philox.hpp"

namespace zonda::edge {
namespace {

Time hour(int h) {
  return parse_time("2026-01-01") + std::chrono::hours(h);
}

TEST(BiasFilter, IsTheScalarFilterWhereAllHoursAreOne) {
  BiasFilterParameters p;
  p.common = 1;
  BiasFilter filter(p);
  const double r = p.first_deviation * p.first_deviation;
  double b = 0, variance = p.prior * r;
  for (int n = 0; n < 24; ++n) {  // R is fixed so far
    const double error = 1.5 + std::sin(n), passed = n == 0 ? 24 : 3;
    variance += r * (p.independent_hours / 24) / (p.memory_days * p.memory_days) * passed / 24;
    const double random = r * p.independent_hours / passed, gain = variance / (variance + random);
    b += gain * (error - b);
    variance *= 1 - gain;
    filter.observe(hour(3 * n), error);
    for (int h = 0; h < 24; ++h) ASSERT_NEAR(filter.bias(hour(h)), b, 1e-12);
    ASSERT_NEAR(filter.uncertainty(hour(5)), std::sqrt(variance + r), 1e-12);
  }
}

TEST(BiasFilter, FindsABiasThatFollowsTheHour) {
  BiasFilter filter;
  const Philox random(7, "errors");
  const auto truth = [](int h) { return 2 + 1.5 * std::cos(h * M_PI / 12); };
  for (int h = 0; h < 24 * 60; ++h) filter.observe(hour(h), truth(h) + 2 * (random.uniform(h) - 0.5));
  for (int h = 0; h < 24; ++h) EXPECT_NEAR(filter.bias(hour(h)), truth(h), 0.3) << h;
  EXPECT_NEAR(filter.uncertainty(hour(0)), 2 / std::sqrt(12.0), 0.15);
}

TEST(BiasFilter, ABiasAtOneHourIsLearntByItsNeighboursFirst) {
  BiasFilter filter;
  for (int day = 0; day < 5; ++day) filter.observe(hour(24 * day + 12), 3);
  EXPECT_GT(filter.bias(hour(12)), filter.bias(hour(15)));
  EXPECT_GT(filter.bias(hour(15)), filter.bias(hour(0)));
  EXPECT_GT(filter.bias(hour(0)), 0);
  EXPECT_NEAR(filter.bias(hour(9)), filter.bias(hour(15)), 1e-12);
}

TEST(BiasFilter, OneOutlierCountsUpToThreeDeviations) {
  BiasFilter a, b;
  for (int h = 0; h < 200; ++h) {
    a.observe(hour(h), std::sin(h));
    b.observe(hour(h), std::sin(h));
  }
  a.observe(hour(200), 40);
  b.observe(hour(200), 4000);
  EXPECT_EQ(a.bias(hour(8)), b.bias(hour(8)));
  EXPECT_LT(a.bias(hour(8)), 0.3);
}

TEST(BiasFilter, WhatIsNotLaterOrNotANumberIsPassedOver) {
  BiasFilter filter;
  filter.observe(hour(5), 1);
  const double before = filter.bias(hour(5));
  filter.observe(hour(5), 9);
  filter.observe(hour(4), 9);
  filter.observe(hour(6), std::nan(""));
  EXPECT_EQ(filter.bias(hour(5)), before);
  EXPECT_EQ(filter.observations(), 1u);
}

TEST(BiasFilter, GoesOnAfterARestartAsIfThereWereNone) {
  BiasFilter filter;
  for (int h = 0; h < 300; ++h) filter.observe(hour(h), 1 + std::cos(0.1 * h));
  auto restored = BiasFilter::restore({}, filter.state());
  ASSERT_TRUE(restored);
  for (int h = 300; h < 400; ++h) {
    filter.observe(hour(h), 2);
    restored->observe(hour(h), 2);
  }
  for (int h = 0; h < 24; ++h) {
    EXPECT_NEAR(restored->bias(hour(h)), filter.bias(hour(h)), 1e-5);
    EXPECT_NEAR(restored->uncertainty(hour(h)), filter.uncertainty(hour(h)), 1e-5);
  }
  BiasFilter::State broken = filter.state();
  broken.covariance[0] = -1;
  EXPECT_FALSE(BiasFilter::restore({}, broken));
  broken = filter.state();
  broken.variance = std::nan("");
  EXPECT_FALSE(BiasFilter::restore({}, broken));
}

}  // namespace
}  // namespace zonda::edge
