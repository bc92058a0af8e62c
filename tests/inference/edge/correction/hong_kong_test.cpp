// The correction on real stations, June to December 2025: temperature of 39, humidity of 26, wind of 30.
#include <gtest/gtest.h>

#include <cmath>
#include <cstdio>

#include "core/philox.hpp"
#include "hong_kong_stations.hpp"
#include "inference/edge/correction/station_correction.hpp"

namespace zonda::edge {
namespace {

/// A column of the file, and what it is.
struct Measured {
  const char *column, *observed, *quantity;
  double scale, offset;
  std::size_t stations;
  std::vector<double> biases;  ///< injected, SI
  // What is asked of it. Winds are skewed: a correction by robust departures is one of the median rather than the mean,
  // which differ most on the hill of Ngong Ping.
  std::size_t stations_over_a_tenth;  ///< that may keep more of the bias
  double poisoned_correction;         ///< largest change of the mean correction
  double rejected;                    ///< share of the genuine reports; one hygrometer stood at 100 % for days
};
const Measured everything[] = {{"t_degC", "2t", "2t", 1, 273.15, 39, {2, -3}, 0, 0.01, 0.06},
                               {"rh_percent", "r", "r1000", 1, 0, 26, {6, -9}, 0, 0.01, 0.1},
                               {"wind_speed10min_kmh", "10si", "10si", 1 / 3.6, 0, 30, {1.5, 2.5}, 1, 0.04, 0.06}};

struct Outcome {
  double raw_rmse = 0, rmse = 0;  ///< over all forecasts
  double bias_after = 0;          ///< mean error of corrected forecasts from day 14 on
  double correction_after = 0;    ///< mean correction from day 14 on
  std::size_t rejected = 0, reports = 0;
};

/// Each day a forecast is corrected with what is known when it begins, and then the day's reports come in.
Outcome follow_station(const Measured& what, const test::Series& truth, const test::Series& means, double bias,
                       double poison) {
  CorrectionConfig config;
  config.variables = {{what.observed, what.quantity}};
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
    const RegionalForecast run = test::day_of_climatology(means, day, bias, what.quantity);
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
      reports.push_back({observed->first, what.observed, observed->second + (poisoned ? 5 * sigma : 0)});
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

class HongKong : public ::testing::TestWithParam<Measured> {
 protected:
  void SetUp() override {
    if (!std::filesystem::exists(test::hong_kong_file())) GTEST_SKIP() << test::hong_kong_file() << " is not here";
    for (auto& [name, series] : test::hong_kong(what_.column, what_.scale, what_.offset))
      stations_.emplace(name, std::move(series));
    for (const auto& [name, series] : stations_) means_.emplace(name, test::climatology(series));
    ASSERT_EQ(stations_.size(), what_.stations);
  }
  Outcome follow(const std::string& name, double bias, double poison) const {
    return follow_station(what_, stations_.at(name), means_.at(name), bias, poison);
  }
  const Measured& what_ = GetParam();
  std::map<std::string, test::Series> stations_, means_;
};

TEST_P(HongKong, OfAnInjectedBiasATenthRemainsAfterFourteenDays) {
  double worst = 0, sum = 0;
  for (const double bias : what_.biases) {
    std::size_t over = 0;
    for (const auto& [name, series] : stations_) {
      const Outcome outcome = follow(name, bias, 0);
      const double remaining = std::abs(outcome.bias_after / bias);
      if (remaining > 0.10) ++over;
      EXPECT_LE(remaining, 0.25) << name << ", bias " << bias;
      EXPECT_LT(outcome.rmse, outcome.raw_rmse) << name;
      worst = std::max(worst, remaining);
      sum += remaining;
    }
    EXPECT_LE(over, what_.stations_over_a_tenth) << "bias " << bias;
  }
  std::printf("%s: remaining bias: mean %.3f, worst station %.3f\n", what_.observed,
              sum / static_cast<double>(what_.biases.size() * what_.stations), worst);
}

TEST_P(HongKong, UnbiasedForecastsAreNotMadeWorse) {
  double worst = -1, sum = 0, total_rejected = 0;
  const auto stations = static_cast<double>(what_.stations);
  for (const auto& [name, series] : stations_) {
    const Outcome outcome = follow(name, 0, 0);
    const double worse = outcome.rmse / outcome.raw_rmse - 1;
    EXPECT_LE(worse, 0.01) << name;
    worst = std::max(worst, worse);
    sum += worse;
    total_rejected += static_cast<double>(outcome.rejected) / static_cast<double>(outcome.reports);
    EXPECT_LT(static_cast<double>(outcome.rejected), what_.rejected * static_cast<double>(outcome.reports)) << name;
  }
  std::printf("%s: RMSE without bias: mean %+.4f, worst station %+.4f; rejected %.4f\n", what_.observed, sum / stations,
              worst, total_rejected / stations);
}

TEST_P(HongKong, PoisonedReportsChangeNothing) {
  double worst = 0, worst_rmse = 0;
  for (const auto& [name, series] : stations_) {
    const Outcome clean = follow(name, what_.biases.front(), 0);
    const Outcome poisoned = follow(name, what_.biases.front(), 0.02);
    EXPECT_NEAR(poisoned.rmse / clean.rmse, 1, 0.01) << name;
    EXPECT_NEAR(poisoned.correction_after / clean.correction_after, 1, what_.poisoned_correction) << name;
    EXPECT_GT(poisoned.rejected, clean.rejected) << name;
    worst_rmse = std::max(worst_rmse, std::abs(poisoned.rmse / clean.rmse - 1));
    worst = std::max(worst, std::abs(poisoned.correction_after / clean.correction_after - 1));
  }
  std::printf("%s: poisoned reports: largest change of RMSE %.4f, of the correction %.4f\n", what_.observed, worst_rmse,
              worst);
}

std::string name_of(const ::testing::TestParamInfo<Measured>& measured) {
  return std::string(measured.param.column).substr(0, std::string(measured.param.column).find('_'));
}
INSTANTIATE_TEST_SUITE_P(, HongKong, ::testing::ValuesIn(everything), name_of);

}  // namespace
}  // namespace zonda::edge
