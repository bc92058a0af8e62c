#include "inference/edge/station/station.hpp"

#include <gmock/gmock.h>

#include "tests/inference/edge/station/small_world.hpp"

namespace zonda::edge {
namespace {

using namespace std::chrono_literals;
using testing::Contains;
using testing::HasSubstr;

struct StationTest : testing::Test {
  fs::path folder = test_folder("station") / testing::UnitTest::GetInstance()->current_test_info()->name();
  MemoryTransport transport;
  SmallHub hub{transport};
  Time begin = parse_time("2026-03-01T00:00");
  SimulatedClock clock{begin};
  StationSettings settings{.id = "one", .directory = folder, .download = {.attempts = 3, .reserve_bytes = 0}};
  int published = 0;
  std::unique_ptr<Station> station;

  void SetUp() override {
    fs::remove_all(folder);
    fs::create_directories(folder);
    restart();
  }
  void TearDown() override {
    station.reset();
    fs::remove_all(folder);
  }
  void restart() {
    station.reset();
    station = std::make_unique<Station>(
        settings, Station::Parts{.clock = clock,
                                 .transport = transport,
                                 .hub = hub,
                                 .open = open_small_model(),
                                 .inventory =
                                     [](const StationView& view) {
                                       return std::string(to_string(view.condition)) + " " +
                                              (view.update.release ? view.update.release->version : "none");
                                     },
                                 .publish = [this](const StationView&) { ++published; }});
    station->start();
  }
  /// The station's loop for so long; a feed every six hours if `feeds`.
  void live(Duration duration, bool feeds) {
    const Time end = clock.truth() + duration;
    while (clock.truth() < end) {
      const Time cycle = begin + std::chrono::floor<std::chrono::hours>(clock.truth() - begin) / 6h * 6h;
      if (feeds) hub.offer_feed(cycle);
      station->tick();
      clock.pass(std::max(Steady(1), std::min(station->until_due(), Steady(600))));
    }
  }
  std::string version() const {
    const auto release = station->view().update.release;
    return release ? release->version : "none";
  }
};

TEST_F(StationTest, ServesAFreshForecastOfEachFeed) {
  hub.assign("1");
  live(48h, true);
  const StationView view = station->view();
  EXPECT_EQ(view.condition, StationCondition::fresh) << testing::PrintToString(view.reasons);
  ASSERT_TRUE(view.forecast);
  EXPECT_EQ(view.forecast->initial, begin + 42h);
  EXPECT_FALSE(view.update.on_trial);
  EXPECT_THAT(hub.reports, Contains("FRESH 1"));
  EXPECT_GT(published, 8);
}

TEST_F(StationTest, ThirtyDaysOfflineItStillServesAndSaysStale) {
  hub.assign("1");
  live(24h, true);
  const Time last = station->view().forecast->initial;
  transport.down = true;
  live(30 * 24h, false);
  StationView view = station->view();
  ASSERT_TRUE(view.forecast);
  EXPECT_EQ(view.forecast->initial, last);
  EXPECT_EQ(view.condition, StationCondition::stale);
  EXPECT_THAT(view.reasons, Contains("the hub was not reached for 30 d"));
  EXPECT_THAT(view.reasons, Contains(HasSubstr("the forecast starts 30 d ago")));
  EXPECT_LT(hub.polls, 30 * 24 * 20) << "it asks no more often than it should";
  restart();
  view = station->view();
  ASSERT_TRUE(view.forecast) << "and after a restart";
  EXPECT_EQ(view.condition, StationCondition::stale);
  EXPECT_NE(station->agent().model(), nullptr);
  transport.down = false;
  live(7h, true);
  EXPECT_EQ(station->view().condition, StationCondition::fresh);
}

TEST_F(StationTest, WithoutAFeedTheLastForecastStays) {
  hub.assign("1");
  live(12h, true);
  const auto forecast = station->view().forecast;
  live(3h, false);
  EXPECT_EQ(station->view().forecast->initial, forecast->initial);
  EXPECT_EQ(station->view().condition, StationCondition::fresh) << "the hub is there, the forecast young enough";
  live(20h, false);
  EXPECT_EQ(station->view().condition, StationCondition::stale);
}

TEST_F(StationTest, ABadForecastOnTrialBringsTheModelBeforeBack) {
  hub.assign("1");
  live(6h, true);
  const auto good = station->view().forecast;
  hub.assign("2", "fails its forecast");
  live(1h, true);
  EXPECT_EQ(version(), "1");
  EXPECT_EQ(station->view().update.rollbacks, 1);
  EXPECT_THAT(station->view().update.problem, HasSubstr("2t at lead 0h is 1000000 K"));
  EXPECT_EQ(station->view().forecast->model, "1");
  EXPECT_EQ(station->view().forecast->field(0, 0)[0], 280.0F);
  live(6h, true);
  EXPECT_EQ(version(), "1");
  EXPECT_GT(station->view().forecast->initial, good->initial);
}

TEST_F(StationTest, ADamagedFeedIsNoForecast) {
  hub.assign("1");
  live(6h, true);
  const auto before = station->view().forecast;
  hub.offer_feed(begin + 6h);
  transport.files.at("hub:/feeds/" + compact(begin + 6h)) = "feed of something else that was not signed";
  live(1h, false);
  EXPECT_EQ(station->view().forecast, before);
  EXPECT_EQ(station->view().condition, StationCondition::degraded);
  EXPECT_THAT(station->view().reasons, Contains(HasSubstr("the newest feed did not arrive")));
}

TEST_F(StationTest, ClockJumpsStopNothing) {
  hub.assign("1");
  live(12h, true);
  clock.set_calendar_error(-24h * 365 * 40);
  live(12h, true);
  StationView view = station->view();
  EXPECT_TRUE(view.calendar_behind);
  EXPECT_EQ(view.forecast->initial, begin + 18h) << "forecasts go on";
  EXPECT_EQ(view.condition, StationCondition::degraded);
  EXPECT_THAT(view.reasons, Contains("the clock of this machine is behind"));
  restart();
  EXPECT_GE(station->view().time, begin + 18h) << "the time of signed data is kept";
  clock.set_calendar_error(24h * 365);
  live(12h, true);
  EXPECT_EQ(station->view().forecast->initial, begin + 30h);
  EXPECT_EQ(station->view().condition, StationCondition::stale) << "by the clock it has, which may be right";
  clock.set_calendar_error(0h);
  live(12h, true);
  EXPECT_EQ(station->view().condition, StationCondition::fresh);
}

TEST_F(StationTest, TheForecastIsMadeAgainWithANewModel) {
  hub.assign("1");
  live(6h, true);
  EXPECT_EQ(station->view().forecast->model, "1");
  hub.assign("2");
  live(1h, false);
  EXPECT_EQ(station->view().forecast->model, "2");
}

TEST_F(StationTest, PollsKeepTheirInterval) {
  hub.assign("1");
  live(24h, true);
  EXPECT_GE(hub.polls, 24 * 6);
  EXPECT_LE(hub.polls, 24 * 6 * 5 / 4 + 1);
}

}  // namespace
}  // namespace zonda::edge
