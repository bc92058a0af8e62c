// What observations of a cycle did to later forecasts.
#include <gmock/gmock.h>

#include <cmath>

#include "core/error.hpp"
#include "tests/assimilation/cycling/small_cycle.hpp"

namespace zonda::assimilation {
namespace {

class ForecastImpactTest : public CycleTest {
 protected:
  static CycleConfig cycle_of(std::initializer_list<const char*> methods) {
    CycleConfig config = small_cycle("3dvar");
    config.end = parse_time("2000-01-01T06");
    config.impact.emplace();
    config.impact->every = std::chrono::hours(6);
    config.impact->lead = std::chrono::hours(6);
    AnalysisConfig analysis = config.analyses[0];
    analysis.covariance.samples = 20;
    analysis.covariance.every = std::chrono::hours(24);
    analysis.inner_iterations = 40;
    analysis.inner_tolerance = 1e-6;
    config.analyses.clear();
    for (const char* method : methods) {
      config.analyses.push_back(analysis);
      config.analyses.back().method = method;
    }
    return config;
  }

  /// The shares of all observations are the change of the error, as far as the model is linear over the increment.
  static void expect_shared_out(const Json& record, const std::string& method) {
    ASSERT_TRUE(record.contains("impact")) << method;
    const Json& impact = record["impact"];
    const double before = impact["background_error"], after = impact["analysis_error"], total = impact["total"];
    EXPECT_LT(after, before) << method << ": the analysis is the better start";
    EXPECT_NEAR(total / (after - before), 1, 0.2) << method;
    double count = 0, of_stations = 0;
    for (const Json& item : impact["by_kind"]) count += item["count"].get<double>();
    for (const Json& item : impact["by_station"]) of_stations += item["share"].get<double>();
    EXPECT_EQ(count, record["observations"]["used"].get<double>()) << method;
    EXPECT_NEAR(of_stations, total, 1e-9 * std::abs(total)) << method;
  }
};

TEST_F(ForecastImpactTest, SharesOutWhatAnAnalysisChanged) {
  const CycleConfig config = cycle_of({"3dvar", "4dvar", "hybrid", "letkf"});
  run(config, path("run"));
  for (const std::string method : {"3dvar", "4dvar", "hybrid"}) {
    const std::vector<Json> cycles = records(path("run"), method);
    ASSERT_EQ(cycles.size(), 2u);
    for (const Json& cycle : cycles) expect_shared_out(cycle, method);
    const Json summary = Json::parse(read_file(path("run") / method / "summary.json"));
    EXPECT_EQ(summary["impact"]["analyses"], 2);
    const double both = cycles[0]["impact"]["total"].get<double>() + cycles[1]["impact"]["total"].get<double>();
    EXPECT_NEAR(summary["impact"]["total"].get<double>(), both, 1e-12 * std::abs(both));
  }
  EXPECT_FALSE(records(path("run"), "letkf")[0].contains("impact")) << "its gain is no one matrix";
}

TEST_F(ForecastImpactTest, TakesObservationsOfTheirOwnTimes) {
  CycleConfig config = cycle_of({"3dvar", "4dvar"});
  config.slot = std::chrono::hours(1);
  for (AnalysisConfig& analysis : config.analyses) {
    analysis.covariance.samples = 6;
    analysis.inner_iterations = 15;
  }
  run(config, path("run"));
  for (const std::string method : {"3dvar", "4dvar"}) expect_shared_out(records(path("run"), method)[1], method);
}

TEST_F(ForecastImpactTest, HasTheSameBitsOnRanksAndChangesNoAnalysis) {
  CycleConfig config = cycle_of({"hybrid"});
  config.end = config.start;
  config.analyses[0].static_deviations = "ensemble";
  run(config, path("one"));
  run(config, path("three"), true, 3);
  EXPECT_EQ(results(path("one"), "hybrid", config), results(path("three"), "hybrid", config));
  config.impact.reset();
  run(config, path("without"));
  const Json with = records(path("one"), "hybrid")[0], without = records(path("without"), "hybrid")[0];
  EXPECT_EQ(with["analysis"], without["analysis"]);
}

TEST_F(ForecastImpactTest, NeedsAnAdjointAndALeadOfWholeSteps) {
  const auto complaint = [&](const CycleConfig& config) {
    try {
      run(config, path("run"));
    } catch (const Error& error) {
      return std::string(error.what());
    }
    return std::string();
  };
  CycleConfig config = cycle_of({"3dvar"});
  config.impact->lead = std::chrono::hours(5);
  EXPECT_THAT(complaint(config), testing::HasSubstr("cycle.impact.lead: 5h, expected a multiple"));
  EXPECT_FALSE(fs::exists(path("run") / "3dvar" / "cycles.jsonl")) << "known before the first cycle";
  config = cycle_of({"3dvar"});
  config.core->moisture = true;
  EXPECT_THAT(complaint(config), testing::HasSubstr("has no adjoint"));
}

}  // namespace
}  // namespace zonda::assimilation
