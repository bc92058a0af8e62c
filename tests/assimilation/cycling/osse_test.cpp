#include <gtest/gtest.h>

#include <cmath>
#include <set>

#include "assimilation/experiments/osse/station_network.hpp"
#include "assimilation/experiments/osse/synthetic_observations.hpp"
#include "core/error.hpp"

namespace zonda::assimilation {
namespace {

AtmosphereLayout flat_layout() {
  const std::vector<std::string> upper_air{"u", "v", "t"}, surface{"sp"};
  const Vector sigma{0.1, 0.3, 0.5, 0.7, 0.9};
  const Grid grid = Grid::latlon(19, 36, true);
  return sigma_layout(grid, upper_air, sigma, surface, Vector(grid.size(), 0.0));
}

Vector flat_state(const AtmosphereLayout& layout) {
  Vector state(layout.state_size());
  for (const LaidField& field : layout.fields)
    for (std::size_t k = 0; k < field.offset.size(); ++k)
      for (std::size_t i = 0; i < layout.grid.size(); ++i)
        state[field.offset[k] + i] = field.variable == "sp"  ? 1e5
                                     : field.variable == "t" ? 250 + 10.0 * static_cast<double>(k)
                                                             : 5;
  return state;
}

TEST(StationNetwork, IsDenserInTheNorthAndAlwaysTheSame) {
  const std::vector<Station> stations = populated_network(417, 0, "R");
  ASSERT_EQ(stations.size(), 417u);
  std::size_t north = 0;
  std::set<std::string> names;
  for (const Station& station : stations) {
    EXPECT_LE(std::abs(station.latitude), 90);
    EXPECT_GE(station.longitude, 0);
    EXPECT_LT(station.longitude, 360);
    north += station.latitude > 0 ? 1 : 0;
    names.insert(station.name);
  }
  EXPECT_GT(north, 417u * 6 / 10);
  EXPECT_LT(north, 417u * 9 / 10);
  EXPECT_EQ(names.size(), 417u);
  const std::vector<Station> again = populated_network(100, 0, "R");
  for (std::size_t i = 0; i < again.size(); ++i) EXPECT_EQ(again[i].latitude, stations[i].latitude);
}

TEST(StationNetwork, BuoysAreEverywhereAlike) {
  std::map<std::pair<int, int>, int> count;  // of 8 parts of equal area
  for (const Station& buoy : even_network(800, 0, "B"))
    ++count[{static_cast<int>(buoy.longitude / 90), buoy.latitude > 0 ? 1 : 0}];
  ASSERT_EQ(count.size(), 8u);
  for (const auto& [part, number] : count) EXPECT_NEAR(number, 100, 5);
}

TEST(Swath, KeepsToTheOrbit) {
  const std::vector<SwathPoint> points = orbital_swath(parse_time("2000-01-01"), std::chrono::hours(6), 500e3, 1000e3);
  EXPECT_GT(points.size(), 1000u);
  double furthest = 0;
  for (const SwathPoint& point : points) furthest = std::max(furthest, std::abs(point.latitude));
  EXPECT_GT(furthest, 80);
  EXPECT_LE(furthest, 90);
  // The track itself does not pass the orbit's inclination.
  for (std::size_t i = 2; i < points.size(); i += 5) EXPECT_LT(std::abs(points[i].latitude), 81.31);
}

TEST(SyntheticObservations, HaveTheErrorsTheySay) {
  const AtmosphereLayout layout = flat_layout();
  const Vector truth = flat_state(layout);
  const SyntheticObservations system({}, layout, std::chrono::hours(6));
  const Time time = parse_time("2000-01-01");
  const auto perfect = system.observe(truth, time, 3, true), real = system.observe(truth, time, 3, false);
  ASSERT_EQ(perfect.table.size(), real.table.size());
  std::map<std::string, std::pair<double, double>> sums;
  for (std::size_t i = 0; i < real.table.size(); ++i) {
    auto& [count, square] = sums[real.table.info(i).short_name];
    count += 1;
    square += std::pow((real.table.value[i] - perfect.table.value[i]) / real.table.error[i], 2);
  }
  ASSERT_EQ(sums.size(), 4u);  // no humidity in this atmosphere
  for (const auto& [variable, sum] : sums) {
    // The mean square of n normal numbers is 1 with a standard deviation of sqrt(2 / n).
    EXPECT_NEAR(sum.second / sum.first, 1, 5 * std::sqrt(2 / sum.first)) << variable;
    EXPECT_GE(sum.first, 417) << variable;
  }
  EXPECT_TRUE(real.account.balanced());
}

TEST(SyntheticObservations, DependOnTheCycleAndTheSeedAlone) {
  const AtmosphereLayout layout = flat_layout();
  const Vector truth = flat_state(layout);
  const Time time = parse_time("2000-01-01");
  SyntheticConfig other;
  other.seed = 2;
  const SyntheticObservations a({}, layout, std::chrono::hours(6)), b(other, layout, std::chrono::hours(6));
  const auto values = [&](const SyntheticObservations& system, std::size_t cycle) {
    return system.observe(truth, time, cycle, false).table.value;
  };
  EXPECT_EQ(values(a, 1), values(a, 1));
  EXPECT_NE(values(a, 1), values(a, 2));
  EXPECT_NE(values(a, 1), values(b, 1));
}

/// The same at every time, and as large as asked for.
TEST(SyntheticObservations, HaveStationsThatErrAlways) {
  const AtmosphereLayout layout = flat_layout();
  const Vector truth = flat_state(layout);
  const Time time = parse_time("2000-01-01");
  SyntheticConfig biased;
  biased.station_bias = 2;
  const SyntheticObservations with(biased, layout, std::chrono::hours(6)), without({}, layout, std::chrono::hours(6));
  std::map<std::pair<std::string, std::string>, double> found;
  for (const std::size_t cycle : {0u, 5u}) {
    const auto a = with.observe(truth, time, cycle, false).table, b = without.observe(truth, time, cycle, false).table;
    for (std::size_t i = 0; i < a.size(); ++i) {
      const double bias = (a.value[i] - b.value[i]) / a.error[i];
      const auto [place, first] = found.emplace(std::pair{std::string(a.station_name(i)), a.info(i).short_name}, bias);
      EXPECT_NEAR(place->second, bias, 1e-9);
    }
  }
  double square = 0;
  for (const auto& [key, bias] : found) square += bias * bias / static_cast<double>(found.size());
  EXPECT_NEAR(square, 4, 5 * 4 * std::sqrt(2.0 / static_cast<double>(found.size())));
  EXPECT_EQ(with.observe(truth, time, 0, true).table.value, without.observe(truth, time, 0, true).table.value);
}

TEST(SyntheticObservations, SeeNothingBelowTheGround) {
  AtmosphereLayout layout = flat_layout();
  Vector truth = flat_state(layout);
  for (std::size_t i = 0; i < layout.grid.size(); ++i) truth[layout.find("sp")->offset[0] + i] = 6e4;
  const auto read =
      SyntheticObservations({}, layout, std::chrono::hours(6)).observe(truth, parse_time("2000-01-01"), 0, true);
  ASSERT_GT(read.table.size(), 0u);
  for (std::size_t i = 0; i < read.table.size(); ++i)
    EXPECT_FALSE(read.table.pressure[i] >= 6e4) << read.table.describe(i);
}

TEST(SyntheticObservations, NameAVariableWithoutAnError) {
  SyntheticConfig config;
  config.networks.resize(1);
  config.networks[0].variables = {"z"};
  EXPECT_THROW(SyntheticObservations(config, flat_layout(), std::chrono::hours(6)), Error);
}

}  // namespace
}  // namespace zonda::assimilation
