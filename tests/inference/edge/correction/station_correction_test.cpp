#include "inference/edge/correction/station_correction.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cmath>

#include "core/atomic_file.hpp"
#include "core/config/node.hpp"
#include "core/error.hpp"
#include "tests/inference/edge/forecast/analytic_forecast.hpp"

namespace zonda::edge {
namespace {

using ::testing::HasSubstr;

/// Three-hourly up to two days, from a time on; truth at the station is known.
RegionalForecast run_from(Time initial, double bias_first_day, double bias_second_day) {
  RegionalForecast run(Grid::regional(51, 49, 3, 9, 11, 3));
  for (const char* name : {"2t", "10u", "10v"}) run.channels.push_back(parse_channel(name));
  run.initial = initial;
  std::vector<float> values;
  for (int h = 0; h <= 48; h += 3) {
    run.leads.emplace_back(h * 3600);
    const double truth = 280 + 3 * std::sin((second_of_day(initial) / 3600 + h) * M_PI / 12);
    const double wind = h <= 24 ? 1.5 : 3;
    values.insert(values.end(), 9, static_cast<float>(truth + (h <= 24 ? bias_first_day : bias_second_day)));
    values.insert(values.end(), 9, static_cast<float>(wind));
    values.insert(values.end(), 9, 0.0f);
  }
  run.values = ForecastValues(std::move(values));
  return run;
}

double truth_at(Time time) {
  return 280 + 3 * std::sin(second_of_day(time) / 3600 * M_PI / 12);
}

StationCorrection taught(int days) {
  CorrectionConfig config;
  config.variables = {{"2t", ""}, {"10si", "10si"}};
  StationCorrection correction(config, 50, 10);
  const Time first = parse_time("2026-01-01");
  for (int hour = 0; hour < 24 * days; hour += 3) {
    const Time now = first + std::chrono::hours(hour);
    if (hour % 6 == 0) correction.follow(run_from(now, 2, 4));
    const auto receipt = correction.observe({{now, "10si", 1.0}, {now, "2t", truth_at(now) + 0.3 * std::sin(hour)}});
    EXPECT_TRUE(receipt.rejected.empty() || hour > 47) << receipt.rejected[0];
  }
  return correction;
}

TEST(StationCorrection, LeadsHaveBiasesOfTheirOwn) {
  const StationCorrection correction = taught(20);
  const RegionalForecast run = run_from(parse_time("2026-01-21"), 2, 4);
  const auto series = correction.correct(run);
  ASSERT_EQ(series.size(), 2u);
  EXPECT_EQ(series[0].quantity, "2t");
  EXPECT_EQ(series[0].unit, "K");
  for (std::size_t k = 0; k < run.leads.size(); ++k) {
    EXPECT_NEAR(series[0].corrected[k], truth_at(run.valid(k)), k > 8 ? 0.4 : 0.25) << k;
    EXPECT_NEAR(series[0].forecast[k] - truth_at(run.valid(k)), k > 8 ? 4 : 2, 1e-4);
    EXPECT_GT(series[0].uncertainty[k], 0.1);
    EXPECT_LT(series[0].uncertainty[k], 1.5);
  }
}

TEST(StationCorrection, WindSpeedStaysPositive) {
  CorrectionConfig config;
  config.variables = {{"10si", ""}};
  StationCorrection correction(config, 50, 10);
  for (int hour = 0; hour < 24 * 10; hour += 3) {
    const Time now = parse_time("2026-01-01") + std::chrono::hours(hour);
    if (hour % 24 == 0) correction.follow(run_from(now, 0, 0));
    correction.observe({{now, "10si", 0.0001 * hour}});
  }
  RegionalForecast calm = run_from(parse_time("2026-01-11"), 0, 0);
  calm.values = ForecastValues(std::vector<float>(calm.values.size(), 0.1f));
  const auto series = correction.correct(calm);
  for (const double speed : series[0].corrected) EXPECT_GE(speed, 0);
  EXPECT_LT(series[0].corrected[3], series[0].forecast[3]);
}

TEST(StationCorrection, BeforeItHasLearntTheForecastIsLeftAlone) {
  CorrectionConfig config;
  config.variables = {{"2t", ""}};
  const StationCorrection correction(config, 50, 10);
  const auto series = correction.correct(run_from(parse_time("2026-01-21"), 2, 4));
  EXPECT_EQ(series[0].corrected, series[0].forecast);
  EXPECT_TRUE(std::isnan(series[0].uncertainty[0]));
}

TEST(StationCorrection, ReportsThatCannotBeUsedSayWhy) {
  StationCorrection correction = taught(1);
  const auto receipt = correction.observe({{parse_time("2026-01-05"), "tp", 1}, {parse_time("2026-01-05"), "2t", 400}});
  EXPECT_EQ(receipt.accepted, 0u);
  ASSERT_EQ(receipt.rejected.size(), 2u);
  EXPECT_THAT(receipt.rejected[0], HasSubstr("tp at 2026-01-05T00:00:00Z: not a variable that is corrected"));
  EXPECT_THAT(receipt.rejected[1], HasSubstr("outside"));
}

TEST(StationCorrection, StateOutlivesARestartAndStaysSmall) {
  const auto path =
      std::filesystem::temp_directory_path() / ("zonda_correction_" + std::to_string(::getpid()) + ".json");
  const StationCorrection before = taught(20);
  before.save(path);
  EXPECT_LT(std::filesystem::file_size(path), 1'000'000u);
  CorrectionConfig config;
  config.variables = {{"10si", ""}, {"2t", ""}};
  StationCorrection after(config, 50, 10);
  after.load(path);
  const RegionalForecast run = run_from(parse_time("2026-01-21"), 2, 4);
  const auto a = before.correct(run)[0], b = after.correct(run)[1];
  for (std::size_t k = 0; k < run.leads.size(); ++k) {
    EXPECT_NEAR(a.corrected[k], b.corrected[k], 1e-5);
    EXPECT_NEAR(a.uncertainty[k], b.uncertainty[k], 1e-5);
  }
  // It goes on learning from the runs it had.
  EXPECT_EQ(after.observe({{parse_time("2026-01-21T03"), "2t", truth_at(parse_time("2026-01-21T03"))}}).accepted, 1u);
  EXPECT_NE(after.correct(run)[1].corrected[3], b.corrected[3]);

  const std::string whole = read_file(path);
  for (const auto& [from, to] :
       std::vector<std::pair<std::string, std::string>>{{"\"format\"", "\"formal\""},
                                                        {"\"bias\":[", "\"bias\":[1,"},
                                                        {"\"variance\":", "\"variance\":-"},
                                                        {"\"leads_s\":[", "\"leads_s\":[999999,"},
                                                        {"\"departures\":[", "\"departures\":[null,"}}) {
    std::string damaged = whole;
    damaged.replace(damaged.find(from), from.size(), to);
    write_file(path, damaged);
    try {
      after.load(path);
      ADD_FAILURE() << to;
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::data);
      EXPECT_THAT(error.what(), HasSubstr(path.string()));
    }
  }
  write_file(path, whole.substr(0, whole.size() / 2));
  EXPECT_THROW(after.load(path), Error);
  EXPECT_NEAR(after.correct(run)[1].corrected[0], b.corrected[0], 0.3) << "a refused file changes nothing";
  std::filesystem::remove(path);
}

TEST(StationCorrection, TenDaysOfHourlyLeadsOfFourVariablesStayUnderAMegabyte) {
  CorrectionConfig config;
  config.variables = {{"2t", ""}, {"2d", ""}, {"msl", ""}, {"10si", ""}};
  StationCorrection correction(config, 50, 10);
  for (int cycle = 0; cycle < 50; ++cycle) {
    RegionalForecast run(Grid::regional(51, 49, 2, 9, 11, 2));
    for (const char* name : {"2t", "2d", "msl", "10u", "10v"}) run.channels.push_back(parse_channel(name));
    run.initial = parse_time("2026-01-01") + std::chrono::hours(6 * cycle);
    for (int h = 0; h <= 240; ++h) run.leads.emplace_back(h * 3600);
    std::vector<float> values(241 * 5 * 4);
    for (std::size_t i = 0; i < values.size(); ++i)
      values[i] = 280.123f + static_cast<float>(std::sin(static_cast<double>(i)));
    run.values = ForecastValues(std::move(values));
    correction.follow(run);
    for (int h = 1; h <= 6; ++h) {
      const Time time = run.initial + std::chrono::hours(h);
      correction.observe({{time, "2t", 281 + std::sin(h)}, {time, "2d", 279 + std::sin(h)}});
    }
  }
  const auto path = std::filesystem::temp_directory_path() / ("zonda_correction_size_" + std::to_string(::getpid()));
  correction.save(path);
  EXPECT_GT(std::filesystem::file_size(path), 300'000u);
  EXPECT_LT(std::filesystem::file_size(path), 1'000'000u);
  StationCorrection again(config, 50, 10);
  again.load(path);
  std::filesystem::remove(path);
}

TEST(StationCorrection, WrongConfigurationsAreNamed) {
  CorrectionConfig config;
  config::read(config::parse_yaml("variables: [{observed: 2t, quantity: 2t}]\nlead_class: 12h\n", "c.yaml"), config);
  EXPECT_EQ(config.lead_class, std::chrono::hours(12));
  EXPECT_THROW(config::read(config::parse_yaml("variables: [{quantity: 2t}]\n", "c.yaml"), config), Error);
  config.variables = {{"2t", ""}, {"2t", "t850"}};
  EXPECT_THROW(StationCorrection(config, 50, 10), Error);
  config.variables = {{"2t", "t850"}};
  StationCorrection lacking(config, 50, 10);
  EXPECT_THROW(lacking.follow(run_from(parse_time("2026-01-01"), 0, 0)), Error);
  config.variables = {{"2t", ""}};
  StationCorrection outside(config, 10, 10);
  EXPECT_THROW(outside.follow(run_from(parse_time("2026-01-01"), 0, 0)), Error);
}

}  // namespace
}  // namespace zonda::edge
