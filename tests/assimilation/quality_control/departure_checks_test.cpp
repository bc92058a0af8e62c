#include "assimilation/quality_control/departure_checks.hpp"

#include <gtest/gtest.h>

#include <Eigen/Cholesky>
#include <cmath>

#include "assimilation/interfaces/position.hpp"
#include "core/philox.hpp"

namespace zonda::assimilation {
namespace {

using ingest::Observation;
using ingest::ObservationTable;
using ingest::QualityFlag;

/// Surface stations over a region, whose departures are background errors of standard deviation `sigma_b`, correlated
/// as exp(-r^2 / (2 length^2)), plus observation errors of 1; a share of them carries a gross error of `size` more.
struct Network {
  ObservationTable table;
  Vector background_error;
  std::vector<bool> gross;
};

Network make_network(std::uint64_t seed, std::size_t stations, double sigma_b, double length, double share,
                     double size) {
  const Philox places(seed, "places"), noise(seed, "noise"), errors(seed, "gross errors");
  Network made;
  std::vector<Position> positions;
  for (std::size_t i = 0; i < stations; ++i)
    positions.push_back({20 * places.uniform(2 * i), 40 + 15 * places.uniform(2 * i + 1), 0});
  const auto n = static_cast<Eigen::Index>(stations);
  Eigen::MatrixXd covariance(n, n);
  const SphereMetric metric;
  for (Eigen::Index a = 0; a < n; ++a)
    for (Eigen::Index b = 0; b < n; ++b) {
      const double r =
          metric.distance(positions[static_cast<std::size_t>(a)], positions[static_cast<std::size_t>(b)]) / length;
      covariance(a, b) = sigma_b * sigma_b * std::exp(-0.5 * r * r) + (a == b ? 1e-8 : 0);
    }
  Eigen::VectorXd normal(n);
  for (Eigen::Index a = 0; a < n; ++a) normal(a) = noise.normal(static_cast<std::uint64_t>(a));
  const Eigen::VectorXd background = covariance.llt().matrixL() * normal;
  for (std::size_t i = 0; i < stations; ++i) {
    const bool bad = errors.uniform(2 * i) < share;
    Observation entry;
    const std::string station = std::to_string(i);
    entry.station = station;
    entry.latitude = positions[i].y;
    entry.longitude = positions[i].x;
    entry.time = parse_time("2020-01-01");
    entry.variable = ingest::variable_number("2t");
    entry.error = 1;
    entry.value = 280 + noise.normal(stations + i) + (bad ? (errors.uniform(2 * i + 1) < 0.5 ? -size : size) : 0);
    made.table.add(entry);
    made.table.background.back() = 280 + background(static_cast<Eigen::Index>(i));
    made.gross.push_back(bad);
  }
  made.background_error.assign(stations, sigma_b);
  return made;
}

struct Rates {
  double caught = 0, false_alarms = 0;
};

/// Over five seeds.
template <class Check>
Rates rates_of(std::size_t stations, double sigma_b, double length, double size, Check check) {
  double gross = 0, good = 0, caught = 0, alarms = 0;
  for (std::uint64_t seed = 1; seed <= 5; ++seed) {
    Network network = make_network(seed, stations, sigma_b, length, 0.02, size);
    check(network);
    for (std::size_t i = 0; i < stations; ++i) {
      const bool rejected = !network.table.accepted(i);
      (network.gross[i] ? gross : good) += 1;
      (network.gross[i] ? caught : alarms) += rejected ? 1 : 0;
    }
  }
  return {caught / gross, alarms / good};
}

TEST(GrossErrors, of_five_standard_deviations_are_caught_by_the_background_check) {
  // Standard deviations of departures: 5 sqrt(1 + 1).
  const Rates rates = rates_of(1000, 1, 300e3, 5 * std::sqrt(2.0),
                               [](Network& network) { check_background(network.table, network.background_error, 3); });
  EXPECT_GE(rates.caught, 0.95);
  EXPECT_LE(rates.false_alarms, 0.01);
  RecordProperty("caught", std::to_string(rates.caught));
  RecordProperty("false_alarms", std::to_string(rates.false_alarms));
}

TEST(GrossErrors, of_five_observation_errors_are_caught_with_the_help_of_the_neighbours) {
  const auto by_background = [](Network& network) { check_background(network.table, network.background_error, 4); };
  const auto by_both = [&](Network& network) {
    by_background(network);
    check_buddies(network.table, network.background_error, {.length = 400e3, .most = 20, .limit = 2.8});
  };
  const Rates alone = rates_of(1000, 1.5, 400e3, 5, by_background), both = rates_of(1000, 1.5, 400e3, 5, by_both);
  EXPECT_LT(alone.caught, 0.5);  // the background's own errors hide them
  EXPECT_GE(both.caught, 0.95);
  EXPECT_LE(both.false_alarms, 0.01);
  RecordProperty("caught", std::to_string(both.caught));
  RecordProperty("false_alarms", std::to_string(both.false_alarms));
}

TEST(BackgroundCheck, keeps_the_departure_of_what_it_rejects_and_leaves_what_has_no_background) {
  Network network = make_network(1, 10, 1, 300e3, 0, 0);
  network.table.value[4] = 300;
  network.table.background[7] = NAN;
  network.table.value[7] = 300;
  check_background(network.table, network.background_error, 5);
  EXPECT_EQ(network.table.flag[4], QualityFlag::background);
  EXPECT_GT(network.table.value[4] - network.table.background[4], 10);
  EXPECT_TRUE(network.table.accepted(7));
}

TEST(BuddyCheck, says_nothing_of_lonely_stations) {
  Network network = make_network(1, 3, 1, 300e3, 0, 0);
  network.table.value[1] = 400;
  check_buddies(network.table, network.background_error, {});
  EXPECT_EQ(network.table.used().size(), 3u);
}

TEST(BackgroundErrors, come_from_rules_or_the_observation_error) {
  Network network = make_network(1, 3, 1, 300e3, 0, 0);
  EXPECT_EQ(background_errors(network.table, {{"2t", 2.5}}), (Vector{2.5, 2.5, 2.5}));
  EXPECT_EQ(background_errors(network.table, {{"sp", 2.5}}, 0.5), (Vector{0.5, 0.5, 0.5}));
}

class EveryNorm : public testing::TestWithParam<std::pair<const char*, RobustNorm>> {};

TEST_P(EveryNorm, has_its_weight_as_slope_and_is_quadratic_near_zero) {
  const RobustNorm& norm = GetParam().second;
  for (const double x : {-12.0, -3.3, -0.4, 0.7, 2.6, 4.0, 9.0}) {
    const double h = 1e-5, slope = (norm.cost(x + h) - norm.cost(x - h)) / (2 * h);
    EXPECT_NEAR(slope, norm.weight(x) * x, 1e-6 * (1 + std::abs(slope))) << x;
    EXPECT_DOUBLE_EQ(norm.weight(x), norm.weight(-x));
    EXPECT_GE(norm.weight(x), 0);
    EXPECT_LE(norm.weight(x), 1);
  }
  EXPECT_NEAR(norm.cost(0.3), 0.045, 2e-3);
  EXPECT_LT(norm.weight(8), 0.5);
}

INSTANTIATE_TEST_SUITE_P(quality_control, EveryNorm,
                         testing::Values(std::pair{"huber", RobustNorm::huber(2.5)},
                                         std::pair{"flat", RobustNorm::flat(0.01, 5)}),
                         [](const auto& test) { return std::string(test.param.first); });

TEST(RobustNorm, is_known_at_some_points) {
  EXPECT_DOUBLE_EQ(RobustNorm::huber(2).cost(5), 2 * 5 - 2);
  EXPECT_DOUBLE_EQ(RobustNorm::huber(2).weight(5), 0.4);
  // The flat part weighs as much as the Gaussian where exp(-x^2 / 2) = gamma.
  const double gamma = 0.02 * std::sqrt(2 * 3.14159265358979323846) / (0.98 * 2 * 6);
  EXPECT_NEAR(RobustNorm::flat(0.02, 6).weight(std::sqrt(-2 * std::log(gamma))), 0.5, 1e-12);
}

TEST(RobustNorm, enlarges_the_errors_of_outliers) {
  Network network = make_network(1, 3, 1, 300e3, 0, 0);
  ObservationTable& table = network.table;
  for (std::size_t i = 0; i < 3; ++i) table.background[i] = table.value[i] - 0.5;
  table.value[1] += 9.5;
  reweigh_errors(table, RobustNorm::huber(2));
  EXPECT_DOUBLE_EQ(table.error[0], 1);
  EXPECT_DOUBLE_EQ(table.error[1], std::sqrt(10 / 2.0));
}

}  // namespace
}  // namespace zonda::assimilation
