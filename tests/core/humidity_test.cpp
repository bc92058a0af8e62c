#include "core/humidity.hpp"

#include <gtest/gtest.h>

#include "core/standard_atmosphere.hpp"

namespace zonda {
namespace {

TEST(Humidity, saturates_as_the_tables_say) {
  // Over water, WMO-No. 49 (Goff-Gratch): 6.1078 hPa at 0 C, 23.373 at 20 C, 1.2540 at -20 C.
  EXPECT_NEAR(saturation_vapour_pressure(273.15), 610.78, 1);
  EXPECT_NEAR(saturation_vapour_pressure(293.15), 2337.3, 5);
  EXPECT_NEAR(saturation_vapour_pressure(253.15), 125.40, 0.5);
}

TEST(Humidity, has_inverses_and_slopes) {
  for (const double t : {230.0, 260.0, 281.2, 305.0}) {
    EXPECT_NEAR(dew_point(saturation_vapour_pressure(t)), t, 1e-10);
    const double h = 1e-4;
    const double slope =
        (std::log(saturation_vapour_pressure(t + h)) - std::log(saturation_vapour_pressure(t - h))) / (2 * h);
    EXPECT_NEAR(saturation_log_slope(t), slope, 1e-6 * slope);
  }
  EXPECT_NEAR(vapour_pressure(specific_humidity(1234, 9e4), 9e4), 1234, 1e-9);
}

TEST(StandardAtmosphere, has_the_pressures_of_its_tables) {
  // ISO 2533, hPa: 1013.25, 898.746, 540.20, 226.32, 120.45 (15 km), 54.75 (20 km).
  EXPECT_DOUBLE_EQ(standard_pressure(0), 101325);
  EXPECT_NEAR(standard_pressure(1000), 89874.6, 1);
  EXPECT_NEAR(standard_pressure(5000), 54019.9, 2);
  EXPECT_NEAR(standard_pressure(11000), 22632, 1);
  EXPECT_NEAR(standard_pressure(15000), 12044.5, 2);
  EXPECT_NEAR(standard_pressure(20000), 5474.9, 2);
}

}  // namespace
}  // namespace zonda
