// The correction on real stations: temperature of 39, June to December 2025.
#include <gtest/gtest.h>

#include <cmath>
#include <cstdio>

#include "core/philox.hpp"
#include "hong_kong_stations.hpp"
#include "inference/edge/correction/station_correction.hpp"

namespace zonda::edge {
namespace {

struct Outcome {
  double raw_rmse = 0, rmse = 0;  ///< over all forecasts
  double bias_after = 0;          ///< mean error of corrected forecasts from day 14 on
  double correction_after = 0;    ///< mean correction from day 14 on
  std::size_t rejected = 0, reports = 0;
};

/// Each day a forecast is corrected with what is known when it begins, and then the day's reports come in.
Outcome follow_station(const test::Series& truth, const test::Series& means, double bias, double poison) {
  CorrectionConfig config;
  config.variables = {{"2t", ""}};
  StationCorrection correction(config, 22.4, 114.1);
  double departures = 0;
  for (const auto& [time, value] : truth) departures += std::pow(test::between(means, time) - value, 2);
  const double sigma = std::sqrt(departures / static_cast<double>(truth.size()));
  const Philox random(2025, "poison");
  Outcome outcome;
  double raw = 0, squares = 0, late = 0, corrected_by = 0;
  std::size_t count = 0, late_count = 0, report_number = 0;
  const Time first = std::chrono::floor<std::chrono::days>(truth.begin()->first);
  for (Time day = first; day < truth.rbegin()->first; day += std::chrono::days(1)) {
    const RegionalForecast run = test::day_of_climatology(means, day, bias, "2t");
    if (run.leads.empty()) continue;
    const CorrectedSeries series = correction.correct(run).at(0);
    correction.follow(run);
    std::vector<SensorReport> reports;
    const test::Series raw_values = test::by_time(run, series.forecast);
    const test::Series corrected_values = test::by_time(run, series.corrected);
    const auto end = truth.upper_bound(run.end());
    for (auto observed = truth.upper_bound(run.valid(0)); observed != end; ++observed) {
      const double forecast = test::between(raw_values, observed->first);
      const double corrected = test::between(corrected_values, observed->first);
      raw += std::pow(forecast - observed->second, 2);
      squares += std::pow(corrected - observed->second, 2);
      ++count;
      if (day - first >= std::chrono::days(14)) {
        late += corrected - observed->second;
        corrected_by += forecast - corrected;
        ++late_count;
      }
      const bool poisoned = random.uniform(report_number++) < poison;
      reports.push_back({observed->first, "2t", observed->second + (poisoned ? 5 * sigma : 0)});
    }
    outcome.reports += reports.size();
    outcome.rejected += correction.observe(reports).rejected.size();
  }
  outcome.raw_rmse = std::sqrt(raw / static_cast<double>(count));
  outcome.rmse = std::sqrt(squares / static_cast<double>(count));
  outcome.bias_after = late / static_cast<double>(late_count);
  outcome.correction_after = corrected_by / static_cast<double>(late_count);
  return outcome;
}

class HongKong : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!std::filesystem::exists(test::hong_kong_file())) GTEST_SKIP() << test::hong_kong_file() << " is not here";
    for (auto& [name, series] : test::hong_kong("t_degC", 1, 273.15)) stations_.emplace(name, std::move(series));
    for (const auto& [name, series] : stations_) means_.emplace(name, test::climatology(series));
    ASSERT_EQ(stations_.size(), 39u);
  }
  std::map<std::string, test::Series> stations_, means_;
};

TEST_F(HongKong, OfAnInjectedBiasATenthRemainsAfterFourteenDays) {
  double worst = 0, sum = 0;
  for (const double bias : {2.0, -3.0}) {
    for (const auto& [name, series] : stations_) {
      const Outcome outcome = follow_station(series, means_.at(name), bias, 0);
      const double remaining = std::abs(outcome.bias_after / bias);
      EXPECT_LE(remaining, 0.10) << name << ", bias " << bias;
      EXPECT_LT(outcome.rmse, outcome.raw_rmse) << name;
      worst = std::max(worst, remaining);
      sum += remaining;
    }
  }
  std::printf("remaining bias: mean %.3f, worst station %.3f\n", sum / 78, worst);
}

TEST_F(HongKong, UnbiasedForecastsAreNotMadeWorse) {
  double worst = -1, sum = 0, total_rejected = 0;
  for (const auto& [name, series] : stations_) {
    const Outcome outcome = follow_station(series, means_.at(name), 0, 0);
    const double worse = outcome.rmse / outcome.raw_rmse - 1;
    EXPECT_LE(worse, 0.01) << name;
    worst = std::max(worst, worse);
    sum += worse;
    total_rejected += static_cast<double>(outcome.rejected) / static_cast<double>(outcome.reports);
    EXPECT_LT(static_cast<double>(outcome.rejected), 0.06 * static_cast<double>(outcome.reports)) << name;
  }
  std::printf("rejected %.4f\n", total_rejected / 39);
  std::printf("RMSE without bias: mean %+.4f, worst station %+.4f\n", sum / 39, worst);
}

TEST_F(HongKong, PoisonedReportsChangeNothing) {
  double worst = 0, worst_rmse = 0;
  for (const auto& [name, series] : stations_) {
    const Outcome clean = follow_station(series, means_.at(name), 2, 0);
    const Outcome poisoned = follow_station(series, means_.at(name), 2, 0.02);
    EXPECT_NEAR(poisoned.rmse / clean.rmse, 1, 0.01) << name;
    EXPECT_NEAR(poisoned.correction_after / clean.correction_after, 1, 0.01) << name;
    EXPECT_GT(poisoned.rejected, clean.rejected) << name;
    worst_rmse = std::max(worst_rmse, std::abs(poisoned.rmse / clean.rmse - 1));
    worst = std::max(worst, std::abs(poisoned.correction_after / clean.correction_after - 1));
  }
  std::printf("poisoned reports: largest change of RMSE %.4f, of the correction %.4f\n", worst_rmse, worst);
}

}  // namespace
}  // namespace zonda::edge
