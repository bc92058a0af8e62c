#include <gtest/gtest.h>

#include <cmath>

#include "postproc/verification/field_sums.hpp"

namespace zonda::postproc {
namespace {

struct Fields {
  Grid grid = Grid::latlon(5, 7, true);
  std::vector<float> forecast, truth;
  std::vector<double> climatology;
  std::vector<RegionWeights> regions;
  Fields() {
    for (std::size_t i = 0; i < grid.size(); ++i) {
      forecast.push_back(static_cast<float>(std::sin(0.7 * static_cast<double>(i)) + 3));
      truth.push_back(static_cast<float>(std::cos(0.4 * static_cast<double>(i)) + 3));
      climatology.push_back(3 + 0.1 * std::sin(static_cast<double>(i)));
    }
    for (const char* name : {"global", "tropics", "northern-hemisphere"}) regions.emplace_back(grid, region(name));
  }
  FieldMeans global() const {
    std::vector<FieldMeans> means(regions.size());
    field_means(regions, grid.nlon(), forecast, truth, climatology, means);
    return means[0];
  }
};

TEST(FieldMeans, EqualTheSumsWrittenOut) {
  const Fields f;
  std::vector<FieldMeans> means(f.regions.size());
  field_means(f.regions, f.grid.nlon(), f.forecast, f.truth, f.climatology, means);
  const double bounds[] = {90, 67.5, 22.5, -22.5, -67.5, -90};
  for (std::size_t r = 0; r < f.regions.size(); ++r) {
    double weights = 0, square = 0, error = 0, absolute = 0, ff = 0, oo = 0, fo = 0, fa = 0;
    const double south = r == 2 ? 20 : r == 1 ? -20 : -90, north = r == 1 ? 20 : 90;
    for (std::size_t row = 0; row < 5; ++row) {
      if (f.grid.latitudes()[row] < south || f.grid.latitudes()[row] > north) continue;
      const double w = std::sin(bounds[row] * M_PI / 180) - std::sin(bounds[row + 1] * M_PI / 180);
      for (std::size_t i = row * 7; i < row * 7 + 7; ++i) {
        const double d = static_cast<double>(f.forecast[i]) - f.truth[i];
        const double a = f.forecast[i] - f.climatology[i], b = f.truth[i] - f.climatology[i];
        weights += w;
        square += w * d * d;
        error += w * d;
        absolute += w * std::abs(d);
        ff += w * a * a;
        oo += w * b * b;
        fo += w * a * b;
        fa += w * a;
      }
    }
    EXPECT_NEAR(means[r].squared_error, square / weights, 1e-12);
    EXPECT_NEAR(means[r].error, error / weights, 1e-12);
    EXPECT_NEAR(means[r].absolute_error, absolute / weights, 1e-12);
    EXPECT_NEAR(means[r].anomaly_correlation(), fo / std::sqrt(ff * oo), 1e-12);
    EXPECT_NEAR(means[r].activity(), std::sqrt(ff / weights - std::pow(fa / weights, 2)), 1e-12);
  }
}

TEST(FieldMeans, APerfectForecastScoresPerfectly) {
  Fields f;
  f.forecast = f.truth;
  EXPECT_EQ(f.global().squared_error, 0);
  EXPECT_EQ(f.global().error, 0);
  EXPECT_NEAR(f.global().anomaly_correlation(), 1, 1e-15);
}

TEST(FieldMeans, TheAnomalyCorrelationIsUncentredAndKnowsTheSign) {
  Fields f;
  for (std::size_t i = 0; i < f.truth.size(); ++i) {
    f.climatology[i] = 10;
    f.truth[i] = 12;
    f.forecast[i] = 8;
  }
  // Centred, constant anomalies would have no correlation at all.
  EXPECT_DOUBLE_EQ(f.global().anomaly_correlation(), -1);
  EXPECT_NEAR(f.global().activity(), 0, 1e-12);
}

TEST(FieldMeans, AConstantErrorIsBiasAndRoot) {
  Fields f;
  for (std::size_t i = 0; i < f.truth.size(); ++i) f.forecast[i] = f.truth[i] + 0.5F;
  EXPECT_NEAR(f.global().error, 0.5, 1e-7);
  EXPECT_NEAR(f.global().squared_error, 0.25, 1e-7);
  EXPECT_NEAR(f.global().absolute_error, 0.5, 1e-7);
}

}  // namespace
}  // namespace zonda::postproc
