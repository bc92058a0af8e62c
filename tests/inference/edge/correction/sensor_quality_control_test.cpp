#include "inference/edge/correction/sensor_quality_control.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

namespace zonda::edge {
namespace {

using ::testing::HasSubstr;

Time hour(int h) {
  return parse_time("2026-01-01") + std::chrono::hours(h);
}

TEST(SensorQualityControl, LimitsStepAndOrder) {
  SensorQualityControl sensor(default_limits("2t"));
  EXPECT_EQ(sensor.check(hour(0), 280), "");
  EXPECT_THAT(sensor.check(hour(1), 372), HasSubstr("outside 213.15 to 333.15"));
  EXPECT_THAT(sensor.check(hour(1), std::nan("")), HasSubstr("outside"));
  EXPECT_THAT(sensor.check(hour(1), 291), HasSubstr("a step of 11"));
  EXPECT_EQ(sensor.check(hour(1), 281), "");
  EXPECT_THAT(sensor.check(hour(1), 281), HasSubstr("not later"));
  EXPECT_EQ(sensor.check(hour(5), 294), "") << "13 K in four hours";
}

TEST(SensorQualityControl, ANewLevelIsTakenTheFourthTime) {
  SensorQualityControl sensor(default_limits("msl"));
  EXPECT_EQ(sensor.check(hour(0), 101000), "");
  for (int h = 1; h <= 3; ++h) EXPECT_NE(sensor.check(hour(h), 99000 + h), "") << h;
  EXPECT_EQ(sensor.check(hour(4), 99004), "");
  EXPECT_EQ(sensor.check(hour(5), 99000), "");
}

TEST(SensorQualityControl, AStuckSensorIsSeenAndComesBack) {
  SensorQualityControl sensor(default_limits("2t"));
  for (int h = 0; h <= 12; ++h) EXPECT_EQ(sensor.check(hour(h), 283.4), "") << h;
  EXPECT_THAT(sensor.check(hour(13), 283.4), HasSubstr("stuck at 283.4 for 13h"));
  EXPECT_EQ(sensor.check(hour(14), 283.5), "");
}

TEST(SensorQualityControl, DeparturesAreJudgedByTheirOwnRecentSpread) {
  SensorQualityControl sensor(default_limits("2t"));
  for (int n = 0; n < 100; ++n) EXPECT_EQ(sensor.check_departure(3 + std::sin(n)), "");
  EXPECT_EQ(sensor.check_departure(5.5), "");
  EXPECT_THAT(sensor.check_departure(-3), HasSubstr("robust deviations"));
  EXPECT_EQ(sensor.departures().size(), 101u) << "what is refused does not join";
  for (int n = 0; n < 22; ++n) EXPECT_NE(sensor.check_departure(20 + std::sin(n)), "") << n;
  EXPECT_EQ(sensor.check_departure(20), "") << "a day of it is another model";
  EXPECT_EQ(sensor.check_departure(21), "");
}

TEST(SensorQualityControl, TheStepIsFromTheLastReportThatWasBelieved) {
  SensorQualityControl sensor(default_limits("10si"));
  for (int h = 0; h < 40; ++h) {
    ASSERT_EQ(sensor.check(hour(h), 4 + std::sin(h)), "") << h;
    ASSERT_EQ(sensor.check_departure(std::sin(h)), "") << h;
  }
  EXPECT_EQ(sensor.check(hour(40), 19), "") << "a step of 15 m/s can be";
  EXPECT_THAT(sensor.check_departure(-15), HasSubstr("robust deviations"));
  EXPECT_EQ(sensor.check(hour(41), 3.2), "") << "no step back from what was refused";
  EXPECT_EQ(sensor.check_departure(0.8), "");
}

TEST(SensorQualityControl, SpikesOfFiveDeviationsAreSeen) {
  SensorQualityControl sensor(default_limits("2t"));
  int missed = 0, spikes = 0;
  for (int n = 0; n < 5000; ++n) {
    // Deviation 1, slow as the errors of forecasts are.
    const double noise = 1.4 * std::sin(0.11 * n) + 0.15 * std::sin(1.3 * n * n);
    const bool spike = n > 50 && n % 50 == 0;
    const bool passed = sensor.check_departure(noise + (spike ? 5 : 0)).empty();
    spikes += spike;
    missed += spike && passed;
    EXPECT_TRUE(spike || passed) << n;
  }
  EXPECT_EQ(spikes, 98);
  EXPECT_EQ(missed, 0);
}

}  // namespace
}  // namespace zonda::edge
