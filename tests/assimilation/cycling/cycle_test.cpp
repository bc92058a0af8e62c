#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <fstream>
#include <nlohmann/json.hpp>

#include "assimilation/cycling/cycle_table.hpp"
#include "assimilation/diagnostics/departure_statistics.hpp"
#include "core/atomic_file.hpp"
#include "core/error.hpp"
#include "core/signals.hpp"
#include "ingest/observations/files/observation_file.hpp"
#include "tests/assimilation/cycling/small_cycle.hpp"

namespace zonda::assimilation {
namespace {

TEST_F(CycleTest, AnalysesAreNearerToTheTruthThanBackgroundsAndThanAFreeRun) {
  CycleConfig config = small_cycle("letkf");
  config.analyses.push_back(config.analyses[0]);
  config.analyses[1].method = "none";
  run(config, path("run"));
  const Json analysed = Json::parse(read_file(path("run") / "letkf" / "summary.json")),
             free = Json::parse(read_file(path("run") / "none" / "summary.json"));
  for (const std::string channel : {"u500", "t500"}) {
    const double error = analysed["analysis"][channel]["error"];
    EXPECT_LT(error, analysed["background"][channel]["error"].get<double>()) << channel;
    EXPECT_LT(error, 0.9 * free["analysis"][channel]["error"].get<double>()) << channel;
    EXPECT_GT(error, 0);
  }
}

TEST_F(CycleTest, VariationalAnalysesAreNearerToTheTruthThanTheirBackgrounds) {
  CycleConfig config = small_cycle("3dvar");
  config.end = config.start;
  config.analyses[0].covariance.samples = 20;
  config.analyses[0].covariance.every = std::chrono::hours(24);
  for (const std::string method : {"envar", "hybrid"}) {
    config.analyses.push_back(config.analyses[0]);
    config.analyses.back().method = method;
  }
  run(config, path("run"));
  for (const std::string method : {"3dvar", "envar", "hybrid"}) {
    const Json record = records(path("run"), method)[0];
    EXPECT_LT(record["analysis"]["t500"]["error"].get<double>(), record["background"]["t500"]["error"].get<double>())
        << method;
    const auto costs = record["cost"]["values"].get<std::vector<double>>();
    ASSERT_GE(costs.size(), 2u);
    EXPECT_LT(costs.back(), costs.front());
  }
}

TEST_F(CycleTest, EveryValueIsUsedOrRejectedForAReason) {
  CycleConfig config = small_cycle("letkf");
  config.end = config.start;
  config.observations.quality_control.background_limit = 1.5;
  run(config, path("run"));
  const Json observations = records(path("run"), "letkf")[0]["observations"];
  std::size_t rejected = 0;
  for (const auto& [reason, count] : observations["rejected"].items()) rejected += count.get<std::size_t>();
  EXPECT_GT(rejected, 0u);
  EXPECT_EQ(observations["read"].get<std::size_t>(), observations["used"].get<std::size_t>() + rejected);
  EXPECT_TRUE(observations["rejected"].contains("background")) << observations.dump();
}

TEST_F(CycleTest, AStoppedCycleGoesOnWithTheSameBits) {
  const CycleConfig config = small_cycle("letkf");
  run(config, path("whole"));
  request_stop(SIGTERM);
  EXPECT_THROW(run(config, path("broken")), Interrupted);
  request_stop(0);
  EXPECT_EQ(records(path("broken"), "letkf").size(), 1u);
  // What a kill in the middle of a cycle leaves: a line without its states.
  std::ofstream(path("broken") / "letkf" / "cycles.jsonl", std::ios::app) << "{\"cycle\": 1, \"ti";
  run(config, path("broken"));
  EXPECT_EQ(results(path("broken"), "letkf", config), results(path("whole"), "letkf", config));
}

TEST_F(CycleTest, ALongerCycleGoesOnWhereAShorterOneEnded) {
  CycleConfig config = small_cycle("letkf");
  run(config, path("whole"));
  config.end = parse_time("2000-01-01T06");
  run(config, path("parts"));
  config.end = parse_time("2000-01-01T18");
  run(config, path("parts"));
  EXPECT_EQ(results(path("parts"), "letkf", config), results(path("whole"), "letkf", config));
}

TEST_F(CycleTest, RanksDoNotChangeTheBits) {
  CycleConfig config = small_cycle("letkf");
  config.end = parse_time("2000-01-01T06");
  config.analyses.push_back(config.analyses[0]);
  config.analyses[1].method = "envar";
  run(config, path("one"));
  for (const int ranks : {2, 4}) {
    const fs::path directory = path(fmt::format("on {}", ranks));
    run(config, directory, true, ranks);
    for (const std::string method : {"letkf", "envar"})
      EXPECT_EQ(results(directory, method, config), results(path("one"), method, config)) << ranks << " ranks";
  }
}

/// Files that any number of ranks write, with the departures that the record sums up.
TEST_F(CycleTest, FeedbackSaysWhatEachObservationDid) {
  CycleConfig config = small_cycle("letkf");
  config.end = parse_time("2000-01-01T12");
  config.observations.quality_control.background_limit = 1.5;
  run(config, path("one"));
  run(config, path("three"), true, 3);
  const auto file = [&](const char* of, const char* time) {
    return path(of) / "letkf" / "feedback" / fmt::format("feedback_{}.h5", time);
  };
  EXPECT_FALSE(fs::exists(file("one", "2000010100"))) << "two are kept";
  for (const char* time : {"2000010106", "2000010112"})
    EXPECT_TRUE(read_file(file("one", time)) == read_file(file("three", time))) << time;

  const ingest::ObservationTable table = ingest::read_observations(file("one", "2000010112"), nullptr).table;
  const Json record = records(path("one"), "letkf")[2];
  EXPECT_EQ(table.size(), record["observations"]["read"].get<std::size_t>());
  EXPECT_EQ(table.used().size(), record["observations"]["used"].get<std::size_t>());
  DepartureStatistics sums = departures_of_record(record["departures"]), found;
  Vector analysis, nothing(table.used().size());
  for (const std::size_t i : table.used()) analysis.push_back(table.analysis[i]);
  found = departure_statistics(table, table.used(), analysis, nothing);
  ASSERT_EQ(found.size(), sums.size());
  for (const auto& [key, value] : found) {
    EXPECT_NEAR(value.background_square, sums[key].background_square, 1e-9 * value.background_square);
    EXPECT_NEAR(value.analysis_square, sums[key].analysis_square, 1e-9 * value.analysis_square);
  }
  std::size_t rejected = 0;
  for (std::size_t i = 0; i < table.size(); ++i) {
    EXPECT_EQ(table.given_flag[i], ingest::QualityFlag::accepted);
    if (table.flag[i] != ingest::QualityFlag::background) continue;
    ++rejected;
    EXPECT_TRUE(std::isfinite(table.background[i]) && std::isfinite(table.analysis[i])) << table.describe(i);
  }
  EXPECT_GT(rejected, 0u);

  config.feedback.write = false;
  run(config, path("none"));
  EXPECT_FALSE(fs::exists(path("none") / "letkf" / "feedback"));
}

/// Rows of a file: two that are used, one before every window, one without a place, one of a temperature that nothing
/// has.
TEST_F(CycleTest, ValuesOutsideEveryWindowAndDamagedReportsAreCounted) {
  CycleConfig config = small_cycle("letkf");
  config.end = config.start;
  config.observations.synthetic.reset();
  fs::create_directories(root_);
  write_file(path("reports.csv"),
             "station,time,latitude,longitude,temperature\n"
             "a,2000-01-01T00:00:00Z,50,10,285\n"
             "b,2000-01-01T01:00:00Z,-30,20,290\n"
             "c,1999-12-31T12:00:00Z,50,10,285\n"
             "d,2000-01-01T00:00:00Z,,10,285\n"
             "e,2000-01-01T00:00:00Z,50,10,372\n");
  ingest::ColumnMap columns;
  columns.values = {{"temperature", "2t", "K", 1.0}};
  config.observations.files = {{{path("reports.csv").string()}, columns}};
  config.observations.quality_control.background_limit = 0;
  run_single_analysis(config, parallel::Communicator::self(), {}, path("run"));
  const Json counts = Json::parse(read_file(path("run") / "letkf" / "summary.json"))["observations"];
  EXPECT_EQ(counts["read"], 4);
  EXPECT_EQ(counts["used"], 2);
  EXPECT_EQ(counts["rejected"].dump(), R"({"bounds":1,"window":1})");
  EXPECT_EQ(counts["reports"]["read"], 5);
  EXPECT_EQ(counts["reports"]["rejected"].dump(), R"({"position":1})");
  EXPECT_THAT(cycle_table(path("run"), false), testing::HasSubstr("letkf: values 4 read, 2 used, bounds 1, window 1"));

  config.observations.files[0].columns->values[0].unit = "furlong";
  try {
    run_single_analysis(config, parallel::Communicator::self(), {}, path("units"));
    FAIL() << "an unknown unit was taken";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::data);
    EXPECT_THAT(error.what(), testing::HasSubstr("furlong"));
  }
}

TEST_F(CycleTest, BeginsWithTheMembersAndTheTruthOfAnother) {
  CycleConfig config = small_cycle("letkf");
  config.end = parse_time("2000-01-01T06");
  run(config, path("first"));
  CycleConfig next = config;
  next.start = config.end;
  next.initial.from = (path("first") / "letkf" / "states" / compact(config.end)).string();
  next.core->spinup_days = 1;  // the truth is not this one's
  run(next, path("next"));
  for (const std::string channel : {"u500", "t500"})
    for (const std::string score : {"error", "spread"})
      EXPECT_EQ(records(path("next"), "letkf")[0]["background"][channel][score],
                records(path("first"), "letkf")[1]["analysis"][channel][score])
          << channel;
  next.initial.from = path("nowhere").string();
  EXPECT_THROW(run(next, path("other")), Error);
}

/// What the inflation has learned of each place is carried on as well.
TEST_F(CycleTest, AdaptiveInflationGoesOnAfterAStopAndOnRanks) {
  CycleConfig config = small_cycle("letkf");
  config.analyses[0].inflation.adaptive = AdaptiveInflationSettings{1.1, 0.2, 0.9, 3};
  config.end = parse_time("2000-01-01T12");
  run(config, path("whole"));
  const Json learned = records(path("whole"), "letkf").back()["inflation"];
  EXPECT_GT(learned["largest"].get<double>(), 1.1);
  config.end = config.start;
  run(config, path("parts"), true, 2);
  config.end = parse_time("2000-01-01T12");
  run(config, path("parts"), true, 3);
  EXPECT_EQ(results(path("parts"), "letkf", config), results(path("whole"), "letkf", config));
}

TEST_F(CycleTest, StatesOfAnotherModelAreRefused) {
  CycleConfig config = small_cycle("letkf");
  config.end = config.start;
  run(config, path("run"));
  const fs::path background = path("run") / "letkf" / "states" / compact(config.start);
  const auto self = parallel::Communicator::self();
  run_single_analysis(config, self, background, path("again"));
  EXPECT_TRUE(fs::exists(path("again") / "letkf" / "summary.json"));

  CycleConfig other = config;
  other.core->diffusion_time = std::chrono::seconds(7200);
  try {
    run_single_analysis(other, self, background, path("other"));
    FAIL() << "a background of another model was taken";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::data);
    EXPECT_THAT(error.what(), testing::HasSubstr("another model"));
  }
  other = config;
  other.start = other.end = parse_time("2000-01-01T06");
  try {
    run_single_analysis(other, self, background, path("later"));
    FAIL() << "a background of another time was taken";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::data);
    EXPECT_THAT(error.what(), testing::HasSubstr("2000-01-01T06:00:00Z"));
  }
}

TEST_F(CycleTest, AnotherConfigurationDoesNotGoOn) {
  CycleConfig config = small_cycle("letkf");
  config.end = config.start;
  run(config, path("run"));
  config.analyses[0].localisation.horizontal = 500e3;
  EXPECT_THROW(run(config, path("run")), Error);
  run(config, path("run"), false);
  EXPECT_EQ(records(path("run"), "letkf").size(), 1u);
}

TEST_F(CycleTest, TheGateStopsARunThatGathersNoise) {
  CycleConfig config = small_cycle("letkf");
  config.gate.factor = 1.5;
  config.analyses[0].inflation.factor = 4;
  try {
    run(config, path("run"));
    FAIL() << "the gate stayed open";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::numerical);
    EXPECT_THAT(error.what(), testing::HasSubstr("gate.factor"));
  }
}

TEST_F(CycleTest, OldMembersGo) {
  CycleConfig config = small_cycle("none");
  config.keep = 1;
  run(config, path("run"));
  EXPECT_FALSE(fs::exists(path("run") / "none" / "states" / compact(config.start)));
  EXPECT_TRUE(fs::exists(path("run") / "none" / "states" / compact(config.end) / "cycle.json"));
}

}  // namespace
}  // namespace zonda::assimilation
