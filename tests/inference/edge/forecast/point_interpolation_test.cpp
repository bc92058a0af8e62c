#include "inference/edge/forecast/point_interpolation.hpp"

#include <gtest/gtest.h>

#include "analytic_forecast.hpp"

namespace zonda::edge {
namespace {

TEST(PointInterpolation, IsExactForLinearFieldsAcrossTheMeridian) {
  const RegionalForecast forecast = test::analytic_forecast();
  for (const double latitude : {30.0, 30.1, 41.3, 59.99, 60.0}) {
    for (const double longitude : {-20.0, -3.3, -0.01, 0.0, 0.01, 12.5, 29.9, 30.0}) {
      const auto point = bilinear_weights(forecast.grid, latitude, longitude);
      ASSERT_TRUE(point) << latitude << " " << longitude;
      const auto turned = bilinear_weights(forecast.grid, latitude, longitude + 360);
      ASSERT_TRUE(turned);
      const double expected = test::analytic_value(5, latitude, longitude + 360, 12);
      EXPECT_NEAR(point->at(forecast.field(2, 5)), expected, 2e-5);
      EXPECT_NEAR(turned->at(forecast.field(2, 5)), expected, 2e-5);
    }
  }
}

TEST(PointInterpolation, HoldsTheOutermostValueInItsCellAndEndsThere) {
  const RegionalForecast forecast = test::analytic_forecast();  // cells of 2.5 by 5 degrees
  EXPECT_NEAR(bilinear_weights(forecast.grid, 61.2, 10)->at(forecast.field(0, 0)), test::analytic_value(0, 60, 370, 0),
              1e-4);
  EXPECT_NEAR(bilinear_weights(forecast.grid, 45, -22.4)->at(forecast.field(0, 0)), test::analytic_value(0, 45, 340, 0),
              1e-4);
  EXPECT_FALSE(bilinear_weights(forecast.grid, 61.3, 10));
  EXPECT_FALSE(bilinear_weights(forecast.grid, 28.7, 10));
  EXPECT_FALSE(bilinear_weights(forecast.grid, 45, -22.6));
  EXPECT_FALSE(bilinear_weights(forecast.grid, 45, 32.6));
  EXPECT_FALSE(bilinear_weights(forecast.grid, std::numeric_limits<double>::quiet_NaN(), 10));
  EXPECT_FALSE(bilinear_weights(forecast.grid, 45, std::numeric_limits<double>::infinity()));
}

TEST(PointInterpolation, WrapsRoundTheGlobe) {
  const Grid grid = Grid::latlon(19, 36, true);
  std::vector<float> field(grid.size());
  for (std::size_t i = 0; i < grid.nlat(); ++i)
    for (std::size_t j = 0; j < grid.nlon(); ++j) field[i * grid.nlon() + j] = j == 35 ? 10.0f : j == 0 ? 20.0f : 0.0f;
  EXPECT_NEAR(bilinear_weights(grid, 45, 355)->at(field), 15, 1e-5);
  EXPECT_NEAR(bilinear_weights(grid, -90, -2.5)->at(field), 17.5, 1e-5);
}

TEST(PointInterpolation, WeightsAreAPartitionOfOne) {
  const Grid grid = Grid::parse("regional 68.7/65.0/61.2 300..30x25");
  for (double latitude = 59.5; latitude < 70.4; latitude += 0.37) {
    for (double longitude = 298.2; longitude < 391.8; longitude += 1.13) {
      const auto point = bilinear_weights(grid, latitude, longitude);
      ASSERT_TRUE(point) << latitude << " " << longitude;
      double sum = 0;
      for (std::size_t k = 0; k < 4; ++k) {
        sum += point->weights[k];
        EXPECT_GE(point->weights[k], -1e-12);
        EXPECT_LT(point->cells[k], grid.size());
      }
      EXPECT_NEAR(sum, 1, 1e-12);
    }
  }
}

}  // namespace
}  // namespace zonda::edge
