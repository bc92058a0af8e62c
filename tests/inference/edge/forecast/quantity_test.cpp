#include "inference/edge/forecast/quantity.hpp"

#include <gtest/gtest.h>

#include <cmath>

#include "analytic_forecast.hpp"
#include "core/error.hpp"
#include "core/humidity.hpp"

namespace zonda::edge {
namespace {

std::vector<std::string> names(std::span<const Quantity> quantities) {
  std::vector<std::string> all;
  for (const Quantity& q : quantities) all.push_back(q.name);
  return all;
}

TEST(Quantity, DerivedOnesFollowFromTheChannels) {
  const auto forecast = test::analytic_forecast();
  EXPECT_EQ(names(quantities_of(forecast.channels)),
            (std::vector<std::string>{"z500", "t850", "u850", "v850", "q850", "2t", "10u", "10v", "msl", "gh500",
                                      "ws850", "wdir850", "r850", "10si", "10wdir"}));
  EXPECT_EQ(names(quantities_of(test::analytic_forecast({"u850", "v500", "r850", "q850", "t850"}).channels)),
            (std::vector<std::string>{"u850", "v500", "r850", "q850", "t850"}));
}

TEST(Quantity, DirectionsAreWhereTheWindComesFrom) {
  const auto all = quantities_of(test::analytic_forecast({"10u", "10v"}).channels);
  const Quantity& direction = find_quantity(all, "10wdir");
  const auto from = [&](double u, double v) { return direction.evaluate(std::vector{u, v}); };
  EXPECT_NEAR(from(0, -5), 0, 1e-12);    // a northerly
  EXPECT_NEAR(from(-5, 0), 90, 1e-12);   // an easterly
  EXPECT_NEAR(from(0, 5), 180, 1e-12);   // a southerly
  EXPECT_NEAR(from(5, 0), 270, 1e-12);   // a westerly
  EXPECT_NEAR(from(3, -3), 315, 1e-12);  // a north-westerly
  EXPECT_NEAR(find_quantity(all, "10si").evaluate(std::vector{3.0, -4.0}), 5, 1e-12);
}

TEST(Quantity, HumidityIsSaturatedAtTheSaturationPressure) {
  const auto all = quantities_of(test::analytic_forecast({"q850", "t850"}).channels);
  const double temperature = 281.3;
  const double q = specific_humidity(saturation_vapour_pressure(temperature), 850e2);
  EXPECT_NEAR(find_quantity(all, "r850").evaluate(std::vector{q, temperature}), 100, 1e-9);
  EXPECT_EQ(find_quantity(all, "r850").evaluate(std::vector{-1e-5, temperature}), 0);
}

TEST(Quantity, WindIsInterpolatedBeforeItsSpeedIsTaken) {
  RegionalForecast forecast = test::analytic_forecast({"10u", "10v"}, Grid::regional(1, 0, 2, 0, 1, 2), 1);
  forecast.values = ForecastValues(std::vector<float>{5, -5, 5, -5, 0, 0, 0, 0});
  const auto all = quantities_of(forecast.channels);
  EXPECT_NEAR(point_series(forecast, find_quantity(all, "10si"), *bilinear_weights(forecast.grid, 0.5, 0.5))[0], 0,
              1e-12);
  EXPECT_EQ(quantity_field(forecast, find_quantity(all, "10si"), 0), (std::vector<float>{5, 5, 5, 5}));
}

TEST(Quantity, UnknownNamesGetTheNearestOne) {
  const auto all = quantities_of(test::analytic_forecast().channels);
  try {
    find_quantity(all, "10sj");
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::usage);
    EXPECT_NE(std::string(error.what()).find("did you mean '10si'"), std::string::npos) << error.what();
  }
}

}  // namespace
}  // namespace zonda::edge
