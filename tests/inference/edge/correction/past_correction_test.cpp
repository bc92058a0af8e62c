#include "inference/edge/correction/past_correction.hpp"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cmath>

#include "core/error.hpp"
#include "inference/edge/forecast/forecast_file.hpp"

namespace zonda::edge {
namespace {

TEST(PastCorrection, EachRunIsCorrectedWithWhatWasKnownThen) {
  const auto folder = std::filesystem::temp_directory_path() / ("zonda_past_" + std::to_string(::getpid()));
  const Time first = parse_time("2026-01-01");
  const auto truth = [&](Time time) { return 280 + 4 * std::sin(second_of_day(time) * M_PI / 43200); };
  std::vector<std::filesystem::path> files;
  for (int day = 39; day >= 0; --day) {  // in no order
    RegionalForecast run(Grid::regional(51, 49, 2, 9, 11, 2));
    run.channels.push_back(parse_channel("2t"));
    run.initial = first + std::chrono::days(day);
    std::vector<float> values;
    for (int h = 0; h <= 24; ++h) {
      run.leads.emplace_back(h * 3600);
      values.insert(values.end(), 4, static_cast<float>(truth(run.valid(run.leads.size() - 1)) + 2.5));
    }
    run.values = ForecastValues(std::move(values));
    files.push_back(folder / (compact(run.initial) + ".zfc"));
    write_forecast(run, files.back());
  }
  std::vector<SensorReport> reports;
  for (int h = 1; h <= 960; ++h) {
    const Time time = first + std::chrono::hours(h);
    reports.push_back({time, "2t", h == 700 ? 330 : truth(time) + 0.4 * std::sin(0.7 * h)});
  }
  CorrectionConfig config;
  config.variables = {{"2t", ""}};
  StationCorrection correction(config, 50, 10);
  const PastCorrection past = correct_past(correction, files, reports);
  EXPECT_EQ(past.receipt.accepted, 959u);
  EXPECT_EQ(past.receipt.rejected.size(), 1u);
  ASSERT_EQ(past.scores.size(), 1u);
  const CorrectionScore& score = past.scores[0];
  EXPECT_EQ(score.observed, "2t");
  EXPECT_EQ(score.pairs, 959u);
  EXPECT_NEAR(score.bias, 2.5, 0.01);
  EXPECT_NEAR(score.rmse, std::hypot(2.5, 0.4 / std::sqrt(2.0)), 0.01);
  EXPECT_LT(std::abs(score.corrected_bias), 0.2);  // the first days know little
  EXPECT_GT(score.corrected_bias, 0.05);
  EXPECT_LT(score.corrected_rmse, 0.65);
  files.push_back(folder / "none.zfc");
  EXPECT_THROW(correct_past(correction, files, {}), Error);
  std::filesystem::remove_all(folder);
}

}  // namespace
}  // namespace zonda::edge
