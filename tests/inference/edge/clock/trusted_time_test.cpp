#include "inference/edge/clock/trusted_time.hpp"

#include <gtest/gtest.h>

#include <filesystem>

#include "core/atomic_file.hpp"
#include "inference/edge/clock/simulated_clock.hpp"

namespace zonda::edge {
namespace {

namespace fs = std::filesystem;

struct TrustedTimeTest : testing::Test {
  fs::path folder =
      fs::path(testing::TempDir()) / "trusted_time" / testing::UnitTest::GetInstance()->current_test_info()->name();
  fs::path file = folder / "last-known-time.json";
  Time start = parse_time("2026-03-01T00:00");
  SimulatedClock clock{start};
  void SetUp() override {
    fs::remove_all(folder);
    fs::create_directories(folder);
  }
};

TEST_F(TrustedTimeTest, WithoutSignedDataTheCalendarIsAllThereIs) {
  TrustedTime time(clock, file);
  EXPECT_EQ(time.now(), start);
  clock.pass(Steady(90));
  EXPECT_EQ(time.now(), start + Duration(90));
}

TEST_F(TrustedTimeTest, ACalendarSetBackIsNotBelieved) {
  TrustedTime time(clock, file);
  time.learn(start - std::chrono::hours(1));
  clock.set_calendar_error(-std::chrono::hours(24 * 365 * 30));
  EXPECT_EQ(time.now(), start - std::chrono::hours(1));
  clock.pass(Steady(600));
  EXPECT_EQ(time.now(), start - std::chrono::hours(1) + Duration(600)) << "the steady clock goes on";
  EXPECT_TRUE(time.calendar_is_behind());
}

TEST_F(TrustedTimeTest, ACalendarSetForwardIsForgottenOnceItIsMended) {
  {
    TrustedTime time(clock, file);
    time.learn(start);
    clock.set_calendar_error(std::chrono::hours(24 * 365 * 10));
    EXPECT_GT(time.now(), start + std::chrono::hours(24 * 365 * 9));
    time.remember();
  }
  clock.set_calendar_error(Duration(0));
  EXPECT_EQ(TrustedTime(clock, file).now(), start);
}

TEST_F(TrustedTimeTest, TheBoundOutlivesARestart) {
  {
    TrustedTime time(clock, file);
    time.learn(start);
    clock.pass(Steady(3600));
    time.remember();
  }
  clock.set_calendar_error(-std::chrono::hours(24 * 365));
  TrustedTime again(clock, file);
  EXPECT_EQ(again.now(), start + Duration(3600));
  again.learn(start);  // older than what is known
  EXPECT_EQ(again.bound(), start + Duration(3600));
}

TEST_F(TrustedTimeTest, ADamagedFileIsSetAside) {
  write_file(file, "{\"not_before\": \"yesterday\"");
  TrustedTime time(clock, file);
  EXPECT_EQ(time.bound(), Time{});
  EXPECT_EQ(time.now(), start);
}

}  // namespace
}  // namespace zonda::edge
