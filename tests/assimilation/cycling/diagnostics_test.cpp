#include <gtest/gtest.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "assimilation/diagnostics/departure_statistics.hpp"
#include "assimilation/diagnostics/energy_norm.hpp"
#include "assimilation/diagnostics/ensemble_scores.hpp"
#include "assimilation/diagnostics/observation_impact.hpp"
#include "assimilation/diagnostics/pressure_fields.hpp"
#include "assimilation/diagnostics/spectrum_drift.hpp"
#include "core/error.hpp"
#include "core/philox.hpp"

namespace zonda::assimilation {
namespace {

constexpr double pi = 3.14159265358979323846;

TEST(PressureFields, AreLinearInTheLogarithmOfPressure) {
  const std::vector<std::string> upper_air{"t"}, surface{"sp"};
  const Vector sigma{0.1, 0.4, 0.9};
  const AtmosphereLayout layout = sigma_layout(Grid::latlon(5, 8, true), upper_air, sigma, surface);
  Vector state(layout.state_size());
  for (std::size_t i = 0; i < layout.grid.size(); ++i) {
    const double ps = 9e4 + 500 * static_cast<double>(i);
    state[layout.find("sp")->offset[0] + i] = ps;
    for (std::size_t k = 0; k < 3; ++k) state[layout.find("t")->offset[k] + i] = 20 * std::log(sigma[k] * ps);
  }
  const std::vector<float> fields = PressureFields(layout, {{"t", 500}, {"sp", 0}, {"t", 1000}}).of(state);
  for (std::size_t i = 0; i < layout.grid.size(); ++i) {
    EXPECT_NEAR(fields[i], 20 * std::log(5e4), 1e-4);
    EXPECT_NEAR(fields[layout.grid.size() + i], 9e4 + 500 * static_cast<double>(i), 1e-2);
    // Below the lowest level: that level's value.
    EXPECT_NEAR(fields[2 * layout.grid.size() + i], state[layout.find("t")->offset[2] + i], 1e-4);
  }
  EXPECT_THROW(PressureFields(layout, {{"u", 500}}), Error);
  EXPECT_EQ(present_channels(layout, {{"u", 500}, {"t", 500}}), (std::vector<Channel>{{"t", 500}}));
}

TEST(EnsembleScores, KnowASmallEnsemble) {
  const Grid grid = Grid::latlon(4, 8, false);
  const std::vector<std::vector<float>> members{std::vector<float>(32, 1.0f), std::vector<float>(32, 3.0f)};
  const std::vector<float> truth(32, 5.0f);
  const EnsembleScore score = score_ensemble(grid, 1, members, truth, 0)[0];
  EXPECT_NEAR(score.error, 3, 1e-12);
  EXPECT_NEAR(score.bias, -3, 1e-12);
  EXPECT_NEAR(score.spread, std::sqrt(2), 1e-12);
  EXPECT_NEAR(score.crps, 3 - 1, 1e-12);  // mean |x - y| = 3, mean |x - x'| / 2 = 1
  ASSERT_EQ(score.ranks.size(), 3u);
  EXPECT_EQ(score.ranks[0] + score.ranks[1], 0);
  EXPECT_GT(score.ranks[2], 0);
  EXPECT_EQ(mean_field(members), std::vector<float>(32, 2.0f));
}

/// Observations of scalars whose background and observation errors are known, analysed with the right weights.
struct ScalarAnalyses {
  ingest::ObservationTable table;
  std::vector<std::size_t> used;
  Vector analysis, spread;

  ScalarAnalyses(std::size_t count, double background_error, double observation_error) {
    const Philox random(1, "scalar analyses");
    const double gain = background_error * background_error /
                        (background_error * background_error + observation_error * observation_error);
    for (std::size_t i = 0; i < count; ++i) {
      ingest::Observation entry;
      entry.station = "1";
      entry.kind = ingest::ReportKind::temp;
      entry.latitude = entry.longitude = 0;
      entry.pressure = 5e4;
      entry.variable = ingest::variable_number("t");
      entry.value = observation_error * random.normal(2 * i);
      entry.error = observation_error;
      table.add(entry);
      table.background[i] = background_error * random.normal(2 * i + 1);
      used.push_back(i);
      analysis.push_back(table.background[i] + gain * (table.value[i] - table.background[i]));
      spread.push_back(background_error);
    }
  }
};

TEST(DepartureStatistics, TellTheErrorsOfAnOptimalAnalysis) {
  constexpr std::size_t count = 40000;
  const ScalarAnalyses scalars(count, 2, 1);
  const DepartureStatistics statistics =
      departure_statistics(scalars.table, scalars.used, scalars.analysis, scalars.spread);
  ASSERT_EQ(statistics.size(), 1u);
  const auto& [key, sums] = *statistics.begin();
  EXPECT_EQ(key, (DepartureKey{"temp", "t", 500}));
  EXPECT_NEAR(sums.diagnosed_observation_error(), 1, 0.02);
  EXPECT_NEAR(sums.diagnosed_background_error(), 2, 0.03);
  // Each observation has the signal of its gain.
  EXPECT_NEAR(sums.degrees_of_freedom_for_signal() / count, 0.8, 0.02);
  const DepartureStatistics again = departures_of_record(to_record(statistics));
  EXPECT_EQ(again.at(key).product, sums.product);

  StationStatistics stations;
  add_stations(stations, scalars.table, scalars.used, scalars.analysis);
  ASSERT_EQ(stations.size(), 1u);
  EXPECT_EQ(stations.at("1").variables.at("t").count, count);
  EXPECT_EQ(stations_of_record(to_record(stations)).at("1").variables.at("t").background_square,
            stations.at("1").variables.at("t").background_square);
}

/// The mean over the mass of the atmosphere: a wind of 1 m/s everywhere is 1/2 J/kg, whatever the levels.
TEST(EnergyWeights, AreThoseOfDryTotalEnergy) {
  const std::vector<std::string> upper_air{"u", "t"}, surface{"sp"};
  const Vector sigma{0.1, 0.4, 0.9};
  AtmosphereLayout layout = sigma_layout(Grid::gaussian(8, 16), upper_air, sigma, surface);
  layout.slots = 2;
  const Vector weights = energy_weights(layout);
  const auto energy = [&](const char* variable, double value) {
    double sum = 0;
    for (const std::size_t offset : layout.find(variable)->offset)
      for (std::size_t i = 0; i < layout.grid.size(); ++i)
        sum += weights[layout.slot_size + offset + i] * value * value / 2;
    return sum;
  };
  EXPECT_NEAR(energy("u", 1), 0.5, 1e-12);
  EXPECT_NEAR(energy("t", 1), 0.5 * 1004.64 / 270, 0.005);
  EXPECT_NEAR(energy("sp", 100), 0.5 * 287.05 * 270 * 1e-6, 1e-4);
  for (std::size_t i = 0; i < layout.slot_size; ++i) EXPECT_EQ(weights[i], 0) << "an earlier slot";
}

TEST(ObservationImpact, IsSummedByKindAndStationAndReadBack) {
  const ScalarAnalyses scalars(5, 2, 1);
  const std::vector<std::size_t> used{0, 2, 4};
  ObservationImpact impact = sum_impacts(scalars.table, used, Vector{-3, 1, -2}, 10, 7);
  EXPECT_EQ(impact.total(), -4);
  const DepartureKey key{"temp", "t", 500};
  EXPECT_EQ(impact.by_kind.at(key).count, 3);
  EXPECT_EQ(impact.by_kind.at(key).useful, 2);
  impact.add(sum_impacts(scalars.table, {1}, Vector{-0.5}, 5, 4));
  const ObservationImpact again = impact_of_record(to_record(impact));
  EXPECT_EQ(again.analyses, 2);
  EXPECT_EQ(again.background_error, 15);
  EXPECT_EQ(again.analysis_error, 11);
  EXPECT_EQ(again.total(), -4.5);
  EXPECT_EQ(again.by_station.at("1").second.count, 4);
  EXPECT_THROW(sum_impacts(scalars.table, used, Vector{1}, 0, 0), Error);
}

TEST(SpectrumGate, OpensForNoiseAndNamesTheField) {
  const Grid grid = Grid::latlon(32, 64, false);
  std::vector<float> smooth(grid.size()), noisy(grid.size());
  for (std::size_t i = 0; i < grid.size(); ++i) {
    const double x = 2 * pi * static_cast<double>(i % 64) / 64;
    smooth[i] = static_cast<float>(std::cos(3 * x) + 0.1 * std::cos(18 * x));
    noisy[i] = static_cast<float>(smooth[i] + 0.3 * std::cos(18 * x));
  }
  const std::vector<double> reference = tail_power(grid, 1, smooth, 14, 21), tail = tail_power(grid, 1, noisy, 14, 21);
  EXPECT_NEAR(tail[0] / reference[0], 16, 1e-4);
  const SpectrumGate gate({{"u", 500}}, reference, 5);
  EXPECT_NO_THROW(gate.check(reference, "at the start"));
  try {
    gate.check(tail, "later");
    FAIL() << "the gate stayed open";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::numerical);
    EXPECT_NE(std::string(error.what()).find("u500"), std::string::npos);
  }
}

}  // namespace
}  // namespace zonda::assimilation
