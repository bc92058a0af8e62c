// The LETKF on an atmosphere: batches, search, interpolated weights, adaptive inflation, ranks.
#include <gtest/gtest.h>

#include <cmath>
#include <set>

#include "assimilation/ensemble/atmosphere_batches.hpp"
#include "assimilation/ensemble/ensemble_transform.hpp"
#include "assimilation/ensemble/letkf.hpp"
#include "core/error.hpp"
#include "small_atmosphere.hpp"

namespace zonda::assimilation {
namespace {

using parallel::Communicator;
constexpr std::size_t members = 9;

const AtmosphereLayout& layout() {
  static const AtmosphereLayout small = small_atmosphere(Grid::gaussian(12, 24), 2);
  return small;
}

Localisation localisation() {
  return {std::make_shared<SphereMetric>(), 1.5e6, 0.4};
}

/// [member][state] after one analysis on so many ranks.
Vector analysed(int ranks, const Observations& observations, std::size_t stride = 1, LetkfSettings settings = {},
                Vector* factors = nullptr) {
  static const std::vector<Vector> background = [] {
    std::vector<Vector> all;
    for (std::size_t k = 0; k < members; ++k) all.push_back(small_member(layout(), k));
    return all;
  }();
  const std::size_t size = layout().state_size();
  const bool adaptive = settings.adaptive != nullptr;
  Vector all(members * size);
  parallel::run_on_threads(ranks, [&](const Communicator& communicator) {
    const auto own = parallel::partition(members, static_cast<std::size_t>(communicator.size()),
                                         static_cast<std::size_t>(communicator.rank()));
    Ensemble ensemble(members, size, own);
    for (std::size_t k = 0; k < own.size(); ++k) copy(background[own.begin + k], ensemble.member(k));
    std::vector<Batch> batches = atmosphere_batches(layout(), stride);
    LetkfSettings of_rank = settings;
    if (adaptive) of_rank.adaptive = std::make_shared<AdaptiveInflation>(*settings.adaptive);
    Letkf(communicator, size, std::move(batches), localisation(), of_rank).analyse(ensemble, observations, 0);
    copy(ensemble.values(), View(all).subspan(own.begin * size, own.size() * size));
    if (factors && communicator.rank() + 1 == communicator.size())
      factors->assign(of_rank.adaptive->factors().begin(), of_rank.adaptive->factors().end());
  });
  return all;
}

std::vector<std::size_t> spread_out(std::size_t count, std::size_t below) {
  const Philox random(3, "observed");
  std::vector<std::size_t> components;
  for (std::size_t i = 0; i < count; ++i) components.push_back(random.integer(i, below));
  return components;
}

TEST(AtmosphereBatches, hold_every_number_once_and_surface_fields_with_the_lowest_level) {
  const std::vector<Batch> batches = atmosphere_batches(layout());
  ASSERT_EQ(batches.size(), 3 * layout().grid.size());
  std::set<std::size_t> seen;
  for (const Batch& batch : batches) {
    EXPECT_TRUE(batch.shares.empty());
    for (const std::size_t variable : batch.variables) {
      EXPECT_TRUE(seen.insert(variable).second);
      const Position at = position_of(layout(), variable);
      EXPECT_EQ(batch.position.x, at.x);
      EXPECT_EQ(batch.position.y, at.y);
      EXPECT_NEAR(batch.position.z, std::min(at.z, std::log(850e2)), 1e-12);
    }
  }
  EXPECT_EQ(seen.size(), layout().state_size());
  EXPECT_EQ(batches.front().variables.size(), 2 * 2U);  // u, v of two slots
  EXPECT_EQ(batches.back().variables.size(), 2 * 6U);   // u, v, t, q, sp, 2t
}

TEST(AtmosphereBatches, on_sigma_levels_follow_the_orography) {
  const Grid grid = Grid::gaussian(4, 8);
  Vector orography(grid.size());
  orography[5] = 3000;
  const std::vector<std::string> upper{"t"}, surface{"sp"};
  const auto batches = atmosphere_batches(sigma_layout(grid, upper, Vector{0.2, 0.9}, surface, orography));
  ASSERT_EQ(batches.size(), 2 * grid.size());
  EXPECT_NEAR(batches[0].position.z, std::log(200e2), 1e-12);
  EXPECT_NEAR(batches[grid.size() + 5].position.z - std::log(0.9), std::log(692e2), 3e-3);
  EXPECT_NEAR(batches[5].position.z - batches[grid.size() + 5].position.z, std::log(0.2 / 0.9), 1e-12);
}

TEST(AtmosphereBatches, share_weights_between_every_kth_row_and_column) {
  for (const bool whole : {true, false}) {
    const Grid grid = whole ? Grid::gaussian(8, 16) : Grid::regional(60, 40, 8, 350, 5, 16);
    const auto batches = atmosphere_batches(small_atmosphere(grid), 3);
    std::size_t solved = 0;
    for (const Batch& batch : batches) {
      solved += batch.shares.empty();
      double total = 0, latitude = 0;
      for (const auto& [other, weight] : batch.shares) {
        EXPECT_TRUE(batches[other].shares.empty());
        EXPECT_GT(weight, 0);
        EXPECT_EQ(batches[other].position.z, batch.position.z);
        EXPECT_LE(SphereMetric().distance(batches[other].position, batch.position), 3 * 1.5 * 360 / 16 * 112e3);
        total += weight;
        latitude += weight * batches[other].position.y;
      }
      if (!batch.shares.empty()) {
        EXPECT_NEAR(total, 1, 1e-14);
        EXPECT_NEAR(latitude, batch.position.y, whole ? 0.2 : 1e-9);
      }
    }
    EXPECT_EQ(solved, 3U * 4 * 6);  // rows 0, 3, 6, 7; columns 0, 3, ... 15
  }
  EXPECT_THROW(atmosphere_batches(layout(), 0), Error);
}

/// What looking at all observations finds.
std::vector<std::size_t> within_reach(const Localisation& near, std::span<const Position> all, const Position& centre) {
  std::vector<std::size_t> indices;
  for (std::size_t i = 0; i < all.size(); ++i)
    if (near.weight(centre, all[i]) > 0) indices.push_back(i);
  return indices;
}

TEST(LocalSearch, finds_in_cells_what_looking_at_all_finds) {
  const auto sphere = std::make_shared<SphereMetric>();
  const auto plane = std::make_shared<PeriodicMetric>(360, 170), ring = std::make_shared<PeriodicMetric>(360);
  const Vector random = random_vector(3 * 1000, 1);
  std::vector<Position> positions;
  for (std::size_t i = 0; i < 1000; ++i)
    positions.push_back(
        {360 * std::fmod(std::abs(random[3 * i]), 1), 90 * std::sin(random[3 * i + 1]), 9 + 0.7 * random[3 * i + 2]});
  positions[3].x = 0;
  positions[4].x = 359.999999;
  positions[5].y = 90;
  for (const auto& [metric, half_support] : {std::pair<std::shared_ptr<const Metric>, double>{sphere, 3e5},
                                             {sphere, 1e6},
                                             {sphere, 4e6},
                                             {sphere, 1.5e7},
                                             {plane, 8},
                                             {plane, 70},
                                             {ring, 3}})
    for (const double vertical : {0.1, std::numeric_limits<double>::infinity()}) {
      const Localisation near(metric, half_support, vertical);
      const LocalSearch search(near, positions, 0, 100000);
      std::size_t total = 0;
      for (std::size_t c = 0; c < 60; ++c) {
        Position centre{6.0 * static_cast<double>(c) - 0.01, 90 - 3.05 * static_cast<double>(c), 9};
        if (c == 7) centre = {0, 90, 9.1};
        std::vector<std::size_t> found;
        for (const LocalObservation& o : search.near(centre)) {
          found.push_back(o.index);
          EXPECT_EQ(o.weight, near.weight(centre, positions[o.index]));
        }
        EXPECT_EQ(found, within_reach(near, positions, centre)) << half_support << " at " << centre.y;
        total += found.size();
      }
      EXPECT_GT(total, 0U);
    }
}

/// Fewer observations than members are solved for in their own space; rows of zeros, which say nothing, make them more.
TEST(EnsembleTransform, is_the_same_in_either_space) {
  for (const double inflation : {1.0, 1.7})
    for (const std::size_t p : {1U, 4U, 8U}) {
      const Vector raw = random_vector(p * members, p), departures = random_vector(p, 90);
      Vector anomalies = raw;
      for (std::size_t i = 0; i < p; ++i) {
        double mean = 0;
        for (std::size_t k = 0; k < members; ++k) mean += raw[i * members + k] / members;
        for (std::size_t k = 0; k < members; ++k) anomalies[i * members + k] -= mean;
      }
      EnsembleTransform few(members), many(members);
      few.solve(anomalies, departures, inflation);
      Vector padded = anomalies, more = departures;
      padded.resize(12 * members);
      more.resize(12);
      many.solve(padded, more, inflation);
      EXPECT_LT(norm(difference(few.weights(), many.weights())), 1e-12 * norm(many.weights()));
      EXPECT_LT(norm(difference(few.transform(), many.transform())), 1e-12 * norm(many.transform()));
      Vector one = random_vector(3 * members, 5), other = one;
      EnsembleTransform not_formed(members);
      not_formed.solve(anomalies, departures, inflation);
      not_formed.update({1.1, 0.2, 0.1}, one);
      many.update({1.1, 0.2, 0.1}, other);
      EXPECT_LT(norm(difference(one, other)), 1e-12 * norm(other));
    }
}

TEST(WeightInterpolation, is_exact_with_stride_one_and_at_the_nodes) {
  const Observations observations = observe_components(layout(), spread_out(300, layout().state_size()));
  const Vector exact = analysed(1, observations), coarse = analysed(1, observations, 2);
  const std::size_t size = layout().state_size();
  std::size_t nodes = 0;
  for (const Batch& batch : atmosphere_batches(layout(), 2)) {
    if (!batch.shares.empty()) continue;
    for (const std::size_t variable : batch.variables)
      for (std::size_t k = 0; k < members; ++k, ++nodes)
        ASSERT_NEAR(coarse[k * size + variable], exact[k * size + variable], 1e-12);
  }
  EXPECT_GT(nodes, 0U);
}

/// Root-mean-square error of the analysis against weights solved everywhere, in units of the increment's.
TEST(WeightInterpolation, errs_by_a_fraction_of_the_increment) {
  const Observations observations = observe_components(layout(), spread_out(300, layout().state_size()));
  const Vector exact = analysed(1, observations), background = analysed(1, observe_components(layout(), {}));
  double before = 0;
  for (const std::size_t stride : {2, 3}) {
    const double error =
        norm(difference(analysed(1, observations, stride), exact)) / norm(difference(exact, background));
    RecordProperty("stride_" + std::to_string(stride), std::to_string(error));
    EXPECT_GT(error, before);
    EXPECT_LT(error, stride == 2 ? 0.35 : 0.6);
    before = error;
  }
}

struct RanksCase {
  const char* name;
  std::vector<std::size_t> components;
  std::size_t stride = 1;
  bool adaptive = false;
};

class EveryAtmosphereCase : public testing::TestWithParam<RanksCase> {};

TEST_P(EveryAtmosphereCase, has_the_same_bits_on_any_number_of_ranks) {
  const Observations observations = observe_components(layout(), GetParam().components);
  LetkfSettings settings;
  settings.inflation = {1.02, 0.3, 0.2};
  settings.most_observations = 30;
  if (GetParam().adaptive)
    settings.adaptive = std::make_shared<AdaptiveInflation>(atmosphere_batches(layout(), GetParam().stride).size(),
                                                            AdaptiveInflationSettings{1.1, 0.2, 0.9, 3});
  Vector expected_factors, factors;
  Vector* of = GetParam().adaptive ? &factors : nullptr;
  const Vector expected = analysed(1, observations, GetParam().stride, settings, of);
  expected_factors = factors;
  for (const double value : expected) ASSERT_TRUE(std::isfinite(value));
  for (const int ranks : {2, 4, 8}) {
    EXPECT_EQ(analysed(ranks, observations, GetParam().stride, settings, of), expected) << ranks;
    EXPECT_EQ(factors, expected_factors) << ranks;
  }
}

std::vector<RanksCase> ranks_cases() {
  // The first rows of the first field: northern upper air, so that ranks further on see none.
  return {{"observed_everywhere", spread_out(400, small_atmosphere(Grid::gaussian(12, 24), 2).state_size())},
          {"ranks_without_observations", spread_out(60, 48)},
          {"no_observations", {}},
          {"ten_at_one_point", std::vector<std::size_t>(10, 30)},
          {"interpolated_weights", spread_out(400, small_atmosphere(Grid::gaussian(12, 24), 2).state_size()), 3},
          {"adaptive_inflation", spread_out(400, small_atmosphere(Grid::gaussian(12, 24), 2).state_size()), 1, true},
          {"both", spread_out(60, 48), 2, true}};
}

INSTANTIATE_TEST_SUITE_P(assimilation, EveryAtmosphereCase, testing::ValuesIn(ranks_cases()),
                         [](const auto& test) { return std::string(test.param.name); });

/// Departures whose variance is that of `truth` times the spread plus the observations' teach the factor `truth`.
TEST(AdaptiveInflation, learns_what_the_spread_lacks) {
  constexpr std::size_t observed = 200, size = 20;
  constexpr double truth = 1.8;
  const AdaptiveInflation inflation(1, {1, 0.1, 0.5, 10});
  double factor = 1;
  double late = 0;
  for (std::size_t cycle = 0; cycle < 150; ++cycle) {
    Vector anomalies = random_vector(observed * size, 1000 + cycle);
    for (std::size_t i = 0; i < observed; ++i) {
      double mean = 0;
      for (std::size_t k = 0; k < size; ++k) mean += anomalies[i * size + k] / size;
      for (std::size_t k = 0; k < size; ++k) anomalies[i * size + k] -= mean;
    }
    const Vector departures = random_vector(observed, 5000 + cycle, std::sqrt(truth + 1));
    factor = inflation.learned(factor, anomalies, departures, observed);
    if (cycle >= 100) late += factor / 50;
  }
  EXPECT_NEAR(late, truth, 0.15);
  EXPECT_EQ(inflation.learned(1.3, {}, {}, 0), 1.3);
}

/// Two cycles, and one with what the other's factors were kept as.
TEST(AdaptiveInflation, goes_on_from_its_factors_with_the_same_bits) {
  const Observations observations = observe_components(layout(), spread_out(300, layout().state_size()));
  const std::size_t batches = atmosphere_batches(layout()).size();
  LetkfSettings settings;
  settings.adaptive = std::make_shared<AdaptiveInflation>(batches, AdaptiveInflationSettings{1.1, 0.2, 0.9, 3});
  const auto cycle = [&] {
    Ensemble ensemble(members, layout().state_size());
    for (std::size_t k = 0; k < members; ++k) copy(small_member(layout(), k), ensemble.member(k));
    Letkf(Communicator::self(), layout().state_size(), atmosphere_batches(layout()), localisation(), settings)
        .analyse(ensemble, observations, 0);
    return Vector(ensemble.values().begin(), ensemble.values().end());
  };
  cycle();
  const Vector kept(settings.adaptive->factors().begin(), settings.adaptive->factors().end());
  const Vector second = cycle();
  settings.adaptive = std::make_shared<AdaptiveInflation>(batches, AdaptiveInflationSettings{1, 0.2, 0.9, 3});
  EXPECT_NE(cycle(), second);
  copy(kept, settings.adaptive->factors());
  EXPECT_EQ(cycle(), second);
}

TEST(AdaptiveInflation, stays_within_bounds_and_refuses_none) {
  const AdaptiveInflation inflation(1, {1, 1, 0.9, 1.2});
  const Vector anomalies{1, -1}, large{100}, none{0};
  EXPECT_EQ(inflation.learned(1, anomalies, large, 1), 1.2);
  EXPECT_GE(inflation.learned(1, anomalies, none, 1), 0.9);
  EXPECT_THROW(AdaptiveInflation(1, {1, 0, 1, 2}), Error);
  EXPECT_THROW(AdaptiveInflation(1, {3, 0.1, 1, 2}), Error);
  LetkfSettings settings;
  settings.adaptive = std::make_shared<AdaptiveInflation>(7, AdaptiveInflationSettings{});
  EXPECT_THROW(
      Letkf(Communicator::self(), layout().state_size(), atmosphere_batches(layout()), localisation(), settings),
      Error);
}

TEST(Letkf, refuses_shares_of_a_batch_that_is_not_solved_for) {
  auto batches = ring_batches(4, 1);
  batches[1].shares = {{0, 0.5}, {2, 0.5}};
  EXPECT_NO_THROW(Letkf(Communicator::self(), 4, batches, {}, {}));
  batches[2].shares = {{1, 1}};
  EXPECT_THROW(Letkf(Communicator::self(), 4, batches, {}, {}), Error);
  batches[2].shares = {{4, 1}};
  EXPECT_THROW(Letkf(Communicator::self(), 4, batches, {}, {}), Error);
}

}  // namespace
}  // namespace zonda::assimilation
