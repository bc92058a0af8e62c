#include "assimilation/covariance/localisation.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "assimilation/covariance/dense_covariance.hpp"
#include "core/constants.hpp"
#include "core/error.hpp"

namespace zonda::assimilation {
namespace {

/// Values of Gaspari & Cohn (1999), eq. 4.10, by hand.
TEST(GaspariCohn, has_its_values) {
  EXPECT_EQ(gaspari_cohn(0), 1);
  EXPECT_DOUBLE_EQ(gaspari_cohn(1), 5.0 / 24);
  EXPECT_DOUBLE_EQ(gaspari_cohn(0.5), 1 - 0.25 * 5 / 3 + 5.0 / 64 + 1.0 / 32 - 1.0 / 128);
  EXPECT_EQ(gaspari_cohn(2), 0);
  EXPECT_EQ(gaspari_cohn(1e9), 0);
  EXPECT_EQ(gaspari_cohn(-0.7), gaspari_cohn(0.7));
}

TEST(GaspariCohn, is_smooth_and_falls) {
  constexpr double h = 1e-4;
  for (double r = h; r < 2 - h; r += 0.01) EXPECT_LT(gaspari_cohn(r + h), gaspari_cohn(r)) << r;
  for (const double seam : {1.0, 2.0}) {
    EXPECT_NEAR(gaspari_cohn(seam - 1e-12), gaspari_cohn(seam), 1e-11);
    const double before = (gaspari_cohn(seam) - gaspari_cohn(seam - h)) / h,
                 after = (gaspari_cohn(seam + h) - gaspari_cohn(seam)) / h;
    EXPECT_NEAR(before, after, 10 * h);
  }
}

class EveryMetric : public testing::TestWithParam<std::pair<const char*, std::shared_ptr<const Metric>>> {};

TEST_P(EveryMetric, is_a_metric) {
  const Metric& metric = *GetParam().second;
  const std::vector<Position> points{{0, 0, 0}, {10, 40, 0}, {350, -80, 0}, {180, 5, 0}, {90, 0, 0}};
  for (const Position& a : points)
    for (const Position& b : points) {
      EXPECT_DOUBLE_EQ(metric.distance(a, b), metric.distance(b, a));
      if (a == b) {
        EXPECT_EQ(metric.distance(a, b), 0);
      } else {
        EXPECT_GT(metric.distance(a, b), 0);
      }
      for (const Position& c : points)
        EXPECT_LE(metric.distance(a, c), (metric.distance(a, b) + metric.distance(b, c)) * (1 + 1e-12));
    }
}

TEST_P(EveryMetric, gives_symmetric_weights_of_one_at_home) {
  const Localisation localisation(GetParam().second, 1e6, 0.3);
  const Position a{10, 40, 0.1}, b{12, 41, 0.2};
  EXPECT_EQ(localisation.weight(a, a), 1);
  EXPECT_EQ(localisation.weight(a, b), localisation.weight(b, a));
  EXPECT_GT(localisation.weight(a, b), 0);
  EXPECT_LT(localisation.weight(a, b), 1);
  EXPECT_EQ(localisation.weight(a, {10, 40, 0.71}), 0);
}

INSTANTIATE_TEST_SUITE_P(assimilation, EveryMetric,
                         testing::Values(std::pair{"ring", std::make_shared<PeriodicMetric>(1000)},
                                         std::pair{"plane", std::make_shared<PeriodicMetric>(360, 170)},
                                         std::pair{"sphere", std::make_shared<SphereMetric>()}),
                         [](const auto& test) { return test.param.first; });

TEST(PeriodicMetric, goes_the_short_way_round) {
  EXPECT_DOUBLE_EQ(PeriodicMetric(40).distance({1, 0, 0}, {38, 7, 0}), 3);
  EXPECT_DOUBLE_EQ(PeriodicMetric(40, 10).distance({1, 1, 0}, {38, 7, 0}), 5);
}

TEST(SphereMetric, measures_great_circles) {
  const double quarter = constants::pi / 2 * constants::earth_radius;
  EXPECT_DOUBLE_EQ(SphereMetric().distance({0, 0, 0}, {0, 90, 0}), quarter);
  EXPECT_DOUBLE_EQ(SphereMetric().distance({350, 0, 0}, {80, 0, 0}), quarter);
  EXPECT_NEAR(SphereMetric().distance({0, 89, 0}, {180, 89, 0}), quarter * 2 / 90, 1e-6);
}

/// On the sphere the correlation of great circles stays positive definite for supports well below the circumference.
TEST(Localisation, gives_positive_matrices) {
  std::vector<Position> positions;
  for (double lat = -75; lat <= 75; lat += 30)
    for (double lon = 0; lon < 360; lon += 30) positions.push_back({lon, lat, 0.1 * std::cos(lon)});
  const Localisation localisation(std::make_shared<SphereMetric>(), 3e6, 0.5);
  EXPECT_NO_THROW(localisation_matrix(localisation, positions, 0));
  const Localisation endless(std::make_shared<SphereMetric>(), std::numeric_limits<double>::infinity(), 0.1);
  EXPECT_EQ(endless.weight({0, 0, 0}, {180, 0, 0}), 1);
  EXPECT_EQ(Localisation().weight({0, 0, 0}, {180, 0, 9}), 1);
  EXPECT_THROW(Localisation(std::make_shared<SphereMetric>(), 0, 1), Error);
}

}  // namespace
}  // namespace zonda::assimilation
