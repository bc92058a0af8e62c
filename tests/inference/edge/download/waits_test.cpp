#include <gtest/gtest.h>

#include <cmath>

#include "core/error.hpp"
#include "inference/edge/download/backoff.hpp"
#include "inference/edge/download/transfer_window.hpp"

namespace zonda::edge {
namespace {

TEST(Backoff, GrowsToItsCeilingAndStartsAgain) {
  Backoff backoff({.first_seconds = 2, .longest_seconds = 100}, "one");
  double longest = 0;
  for (int i = 0; i < 200; ++i) {
    const double wait = backoff.next().count();
    EXPECT_GE(wait, 0);
    EXPECT_LE(wait, std::min(100.0, 2 * std::pow(2, i)));
    longest = std::max(longest, wait);
  }
  EXPECT_GT(longest, 90);
  backoff.succeeded();
  EXPECT_LE(backoff.next().count(), 2);
}

TEST(Backoff, StationsDoNotComeBackTogether) {
  Backoff one({.first_seconds = 60, .longest_seconds = 600}, "one"),
      two({.first_seconds = 60, .longest_seconds = 600}, "two");
  Backoff one_again({.first_seconds = 60, .longest_seconds = 600}, "one");
  const double wait = one.next().count();
  EXPECT_GT(std::abs(wait - two.next().count()), 1e-3);
  EXPECT_EQ(wait, one_again.next().count());
}

TEST(TransferWindow, IsOpenAlwaysUnlessHoursAreGiven) {
  EXPECT_TRUE(TransferWindow().open(parse_time("2026-03-01T12:00")));
}

TEST(TransferWindow, AcrossMidnight) {
  const TransferWindow window("22:00-05:30", 1000);
  EXPECT_TRUE(window.open(parse_time("2026-03-01T22:00")));
  EXPECT_TRUE(window.open(parse_time("2026-03-01T05:29")));
  EXPECT_FALSE(window.open(parse_time("2026-03-01T05:30")));
  EXPECT_EQ(window.until_open(parse_time("2026-03-01T05:30")), std::chrono::minutes(16 * 60 + 30));
  EXPECT_EQ(window.bytes_per_second(), 1000U);
}

TEST(TransferWindow, WithinADay) {
  const TransferWindow window("01:00-02:00", 0);
  EXPECT_FALSE(window.open(parse_time("2026-03-01T00:59")));
  EXPECT_TRUE(window.open(parse_time("2026-03-01T01:00")));
  EXPECT_EQ(window.until_open(parse_time("2026-03-01T02:00")), std::chrono::hours(23));
}

TEST(TransferWindow, RefusesWhatIsNoWindow) {
  for (const char* text : {"", "22-5", "24:00-05:00", "22:60-05:00", "22:00 05:00", "2a:00-05:00", "22:00-05:0"})
    EXPECT_THROW(TransferWindow(text, 0), Error) << text;
}

}  // namespace
}  // namespace zonda::edge
