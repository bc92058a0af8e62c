// Scores of events: SEEPS, contingency tables, fractions skill.
#include <gtest/gtest.h>

#include <cmath>

#include "core/error.hpp"
#include "core/philox.hpp"
#include "postproc/verification/contingency.hpp"
#include "postproc/verification/fractions_skill.hpp"
#include "postproc/verification/seeps.hpp"

namespace zonda::postproc {
namespace {

TEST(Seeps, AnyConstantForecastAveragesOneUnderClimatology) {
  for (const double p1 : {0.15, 0.4, 0.8}) {
    // Dry, light and heavy have probabilities p1, 2(1 - p1)/3, (1 - p1)/3.
    const double truth[] = {p1, 2 * (1 - p1) / 3, (1 - p1) / 3};
    for (const auto& row : seeps_matrix(p1))
      EXPECT_NEAR(row[0] * truth[0] + row[1] * truth[1] + row[2] * truth[2], 1, 1e-12);
  }
}

TEST(Seeps, ConstantForecastsAverageOneOnValuesToo) {
  const Philox random(3, "rain");
  std::vector<double> rain(30000);
  for (std::size_t i = 0; i < rain.size(); ++i) rain[i] = std::max(0.0, random.normal(i) * 3e-3);
  std::vector<double> sorted = rain;
  const double dry = seeps_dry_threshold(24);
  const SeepsClimate climate = seeps_climate(sorted, dry);
  ASSERT_TRUE(climate.usable());
  for (const double forecast : {0.0, 0.5 * (dry + climate.heavy_threshold), 1.0}) {
    double sum = 0;
    for (const double truth : rain) sum += seeps(forecast, truth, dry, climate);
    EXPECT_NEAR(sum / static_cast<double>(rain.size()), 1, 1e-3) << forecast;
  }
  EXPECT_EQ(seeps(4e-3, 4e-3, dry, climate), 0);
}

TEST(Seeps, TheMatrixHasForecastsInRows) {
  const auto m = seeps_matrix(0.5);
  EXPECT_DOUBLE_EQ(m[0][2], 0.5 * 4 / 0.5);              // forecast dry, truth heavy
  EXPECT_DOUBLE_EQ(m[2][0], 0.5 * (1 / 0.5 + 3 / 2.5));  // forecast heavy, truth dry
  EXPECT_DOUBLE_EQ(seeps_dry_threshold(6), 1e-4);
  EXPECT_THROW(seeps_dry_threshold(12), Error);
}

TEST(Contingency, FinleysTornadoes) {
  // Finley (1884) as in Jolliffe & Stephenson, table 3.1: published values.
  const Contingency finley{28, 72, 23, 2680};
  EXPECT_NEAR(finley.probability_of_detection(), 0.549, 5e-4);
  EXPECT_NEAR(finley.probability_of_false_detection(), 0.0262, 5e-5);
  EXPECT_NEAR(finley.false_alarm_ratio(), 0.720, 5e-4);
  EXPECT_NEAR(finley.critical_success_index(), 0.228, 5e-4);
  EXPECT_NEAR(finley.equitable_threat_score(), 0.216, 5e-4);
  EXPECT_NEAR(finley.heidke(), 0.355, 5e-4);
  EXPECT_NEAR(finley.hanssen_kuipers(), 0.523, 5e-4);
  EXPECT_NEAR(finley.frequency_bias(), 1.96, 5e-3);
  const double h = 28.0 / 51, f = 72.0 / 2752;
  EXPECT_NEAR(finley.extremal_dependence_index(),
              (std::log(f) - std::log(h) - std::log(1 - f) + std::log(1 - h)) /
                  (std::log(f) + std::log(h) + std::log(1 - f) + std::log(1 - h)),
              1e-12);
}

TEST(Contingency, CountsAndMerges) {
  const std::vector<float> forecast{1, 5, 5, 0}, truth{5, 5, 1, 0};
  Contingency table;
  table.add(forecast, truth, 3);
  Contingency twice = table;
  twice.merge(table);
  EXPECT_EQ(twice.hits, 2);
  EXPECT_EQ(twice.false_alarms, 2);
  EXPECT_EQ(twice.misses, 2);
  EXPECT_EQ(twice.correct_negatives, 2);
}

TEST(FractionsSkill, ByHandAndByWindow) {
  // One event a cell apart: no skill point by point, full overlap of 3 x 3 windows but for the edges.
  std::vector<float> forecast(25, 0.0F), truth(25, 0.0F);
  forecast[11] = 1;
  truth[12] = 1;
  FractionsSkill point(0.5, 1), window(0.5, 3);
  point.add(forecast, truth, 5, 5);
  window.add(forecast, truth, 5, 5);
  EXPECT_DOUBLE_EQ(point.score(), 0);
  // Windows of 9 cells overlap in 6: sum of squares 9/81 each, difference 6/81.
  EXPECT_NEAR(window.score(), 1 - 6.0 / 18.0, 1e-12);
  const std::vector<double> corner = event_fractions(std::vector<float>(9, 1.0F), 3, 3, 0.5, 3);
  EXPECT_DOUBLE_EQ(corner[0], 4.0 / 9);  // zeros beyond the edge
  EXPECT_DOUBLE_EQ(corner[4], 1);
  EXPECT_THROW(event_fractions(truth, 5, 5, 0.5, 2), Error);
}

TEST(FractionsSkill, SumsOfFieldsMerge) {
  std::vector<float> a(25, 0.0F), b(25, 0.0F);
  a[3] = b[3] = a[20] = 1;
  b[7] = 1;
  FractionsSkill both(0.5, 3), first(0.5, 3), second(0.5, 3);
  both.add(a, b, 5, 5);
  both.add(b, a, 5, 5);
  first.add(a, b, 5, 5);
  second.add(b, a, 5, 5);
  first.merge(second);
  EXPECT_DOUBLE_EQ(first.score(), both.score());
}

}  // namespace
}  // namespace zonda::postproc
