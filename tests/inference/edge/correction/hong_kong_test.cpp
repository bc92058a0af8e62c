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
  double rejected;             ///< share of the genuine reports at most; one hygrometer stood at 100 % for days
};
const Measured everything[] = {{"t_degC", "2t", "2t", 1, 273.15, 39, {2, -3}, 0.06},
                               {"rh_percent", "r", "r1000", 1, 0, 26, {6, -9}, 0.1},
                               {"wind_speed10min_kmh", "10si", "10si", 1 / 3.6, 0, 30, {1.5, 2.5}, 0.06}};

struct Outcome {
  double raw_rmse = 0, rmse = 0;  ///< over all forecasts
  double bias_after = 0;          ///< mean error of corrected forecasts from day 14 on
  double correction_after = 0;    ///< mean correction from day 14 on
  double sampling_error = 0;      ///< standard error of the mean over such days of the best estimate of a constant bias
  std::size_t rejected = 0, reports = 0;
};

/// Of a bias that is known to be constant the best estimate on day d is the mean of the d daily errors before it. Its
/// standard error, averaged over the days from the 14th on, where the days' errors are independent of one another:
/// what the weather of these days leaves no method to go below.
double sampling_error(const std::vector<double>& daily_errors) {
  const std::size_t days = daily_errors.size(), from = 14;
  double variance = 0, squares = 0;
  for (const double error : daily_errors) variance += error * error / static_cast<double>(days);
  std::vector<double> weights(days);
  for (std::size_t d = from; d < days; ++d)
    for (std::size_t i = 0; i < d; ++i) weights[i] += 1 / static_cast<double>(d * (days - from));
  for (const double weight : weights) squares += weight * weight;
  return std::sqrt(variance * squares);
}

/// What happens to a share of the reports, drawn at random.
enum class Fate { none, five_deviations_off, missing };
constexpr double share_of_fate = 0.02;

/// Each day a forecast is corrected with what is known when it begins, and then the day's reports come in.
Outcome follow_station(const Measured& what, const test::Series& truth, const test::Series& means, double bias,
                       Fate fate) {
  CorrectionConfig config;
  config.variables = {{what.observed, what.quantity}};
  StationCorrection correction(config, 22.4, 114.1);
  double departures = 0;
  for (const auto& [time, value] : truth) departures += std::pow(test::between(means, time) - value, 2);
  const double sigma = std::sqrt(departures / static_cast<double>(truth.size()));
  const Philox random(2025, "poison");
  std::vector<double> daily_errors;
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
    double error = 0;
    for (auto observed = truth.upper_bound(run.valid(0)); observed != end; ++observed) {
      const double forecast = test::between(raw_values, observed->first);
      const double corrected = test::between(corrected_values, observed->first);
      error += forecast - bias - observed->second;
      raw += std::pow(forecast - observed->second, 2);
      squares += std::pow(corrected - observed->second, 2);
      ++count;
      if (day - first >= std::chrono::days(14)) {
        late += corrected - observed->second;
        corrected_by += forecast - corrected;
        ++late_count;
      }
      const bool drawn = random.uniform(report_number++) < share_of_fate;
      if (drawn && fate == Fate::missing) continue;
      const bool poisoned = drawn && fate == Fate::five_deviations_off;
      reports.push_back({observed->first, what.observed, observed->second + (poisoned ? 5 * sigma : 0)});
    }
    if (!reports.empty()) daily_errors.push_back(error / static_cast<double>(reports.size()));
    outcome.reports += reports.size();
    outcome.rejected += correction.observe(reports).rejected.size();
  }
  outcome.sampling_error = sampling_error(daily_errors);
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
  Outcome follow(const std::string& name, double bias, Fate fate = Fate::none) const {
    return follow_station(what_, stations_.at(name), means_.at(name), bias, fate);
  }
  const Measured& what_ = GetParam();
  std::map<std::string, test::Series> stations_, means_;
};

TEST_P(HongKong, OfAnInjectedBiasATenthRemainsAfterFourteenDays) {
  double worst = 0, sum = 0;
  for (const double bias : what_.biases) {
    for (const auto& [name, series] : stations_) {
      const Outcome outcome = follow(name, bias);
      const double remaining = std::abs(outcome.bias_after / bias),
                   unknowable = outcome.sampling_error / std::abs(bias);
      if (remaining > 0.10) {
        std::printf("%s at %s: %.3f of a bias of %g remains; a constant bias's standard error is %.3f of it\n",
                    what_.observed, name.c_str(), remaining, bias, unknowable);
        EXPECT_GT(unknowable, 0.10) << name << ", bias " << bias;
        EXPECT_LE(remaining, 1.5 * unknowable) << name << ", bias " << bias;
      }
      EXPECT_LT(outcome.rmse, outcome.raw_rmse) << name;
      worst = std::max(worst, remaining);
      sum += remaining;
    }
  }
  std::printf("%s: remaining bias: mean %.3f, worst station %.3f\n", what_.observed,
              sum / static_cast<double>(what_.biases.size() * what_.stations), worst);
}

TEST_P(HongKong, UnbiasedForecastsAreNotMadeWorse) {
  double worst = -1, sum = 0, total_rejected = 0;
  const auto stations = static_cast<double>(what_.stations);
  for (const auto& [name, series] : stations_) {
    const Outcome outcome = follow(name, 0);
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
    const double bias = what_.biases.front();
    const Outcome clean = follow(name, bias), poisoned = follow(name, bias, Fate::five_deviations_off),
                  missing = follow(name, bias, Fate::missing);
    EXPECT_NEAR(poisoned.rmse / clean.rmse, 1, 0.01) << name;
    // A report that is poisoned is a report the less, whatever finds it: that alone is more at one station.
    const double lost = std::abs(missing.correction_after / clean.correction_after - 1);
    EXPECT_NEAR(poisoned.correction_after / clean.correction_after, 1, std::max(0.01, lost)) << name;
    EXPECT_GT(poisoned.rejected, clean.rejected) << name;
    if (lost > 0.01)
      std::printf("%s at %s: without the poisoned reports the correction changes by %.4f\n", what_.observed,
                  name.c_str(), lost);
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
