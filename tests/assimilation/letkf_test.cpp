// LETKF: its limits, its locality, and the same bits on any number of ranks.
#include "assimilation/ensemble/letkf.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <memory>
#include <numeric>

#include "assimilation/ensemble/ensemble_transform.hpp"
#include "assimilation/ensemble/etkf.hpp"
#include "assimilation/observations/selected_components.hpp"
#include "core/error.hpp"
#include "random_vectors.hpp"

namespace zonda::assimilation {
namespace {

using parallel::Communicator;
constexpr std::size_t size = 60, members = 11;

Localisation near(double half_support) {
  return {std::make_shared<PeriodicMetric>(static_cast<double>(size)), half_support, 1};
}

Observations at(std::vector<std::size_t> components) {
  Observations result;
  for (std::size_t i = 0; i < components.size(); ++i) {
    result.values.push_back(std::sin(static_cast<double>(i)));
    result.errors.push_back(0.5 + 0.1 * static_cast<double>(i % 5));
    result.positions.push_back({static_cast<double>(components[i]), 0, 0});
  }
  result.instrument = std::make_shared<SelectedComponents>(size, std::move(components));
  return result;
}

Ensemble background(parallel::Range own = {0, members}) {
  Ensemble ensemble(members, size, own);
  for (std::size_t k = 0; k < own.size(); ++k) copy(random_vector(size, 200 + own.begin + k), ensemble.member(k));
  return ensemble;
}

/// [member][state] after the analysis on so many ranks.
Vector analysed(int ranks, const Observations& observations, const Localisation& localisation,
                const LetkfSettings& settings = {}, std::size_t width = 2) {
  Vector all(members * size);
  parallel::run_on_threads(ranks, [&](const Communicator& communicator) {
    const auto own = parallel::partition(members, static_cast<std::size_t>(communicator.size()),
                                         static_cast<std::size_t>(communicator.rank()));
    Ensemble ensemble = background(own);
    Letkf(communicator, size, ring_batches(size, width), localisation, settings).analyse(ensemble, observations, 0);
    copy(ensemble.values(), View(all).subspan(own.begin * size, own.size() * size));
  });
  return all;
}

Vector unanalysed() {
  Ensemble ensemble = background();
  return {ensemble.values().begin(), ensemble.values().end()};
}

const Observations& everywhere() {
  static const Observations observations = [] {
    std::vector<std::size_t> all(size);
    std::iota(all.begin(), all.end(), std::size_t{0});
    return at(all);
  }();
  return observations;
}

class EveryWidth : public testing::TestWithParam<std::size_t> {};

TEST_P(EveryWidth, without_localisation_is_the_etkf) {
  Ensemble ensemble = background();
  Etkf({1.1, 0.2, 0.3}).analyse(ensemble, everywhere(), 0);
  const Vector expected(ensemble.values().begin(), ensemble.values().end());
  const Vector found = analysed(1, everywhere(), {}, {{1.1, 0.2, 0.3}}, GetParam());
  EXPECT_LT(norm(difference(found, expected)), 1e-10 * norm(expected));
}

INSTANTIATE_TEST_SUITE_P(assimilation, EveryWidth, testing::Values(1, 2, 7, size));

struct RanksCase {
  const char* name;
  Observations observations;
  LetkfSettings settings;
};

std::vector<RanksCase> ranks_cases() {
  LetkfSettings capped;
  capped.most_observations = 5;
  capped.inflation = {1.05, 0, 0.5};
  return {{"observed_everywhere", everywhere(), {{1.04, 0.3, 0}}},
          {"observed_on_one_side", at({0, 1, 2, 3, 5, 8, 13}), {{1.04, 0, 0.9}}},
          {"ten_observations_at_one_point", at(std::vector<std::size_t>(10, 30)), {}},
          {"one_observation", at({59}), {}},
          {"none", at({}), {{1.5, 0, 0}}},
          {"at_most_five", everywhere(), capped}};
}

class EveryRanksCase : public testing::TestWithParam<RanksCase> {};

/// More ranks than members and ranks without observations among them.
TEST_P(EveryRanksCase, has_the_same_bits_on_any_number_of_ranks) {
  const auto& [name, observations, settings] = GetParam();
  const Vector expected = analysed(1, observations, near(3), settings);
  if (observations.size() == 0) {
    EXPECT_EQ(expected, unanalysed());
  } else {
    EXPECT_NE(expected, unanalysed());
  }
  for (const double value : expected) ASSERT_TRUE(std::isfinite(value));
  for (const int ranks : {2, 3, 4, 8, 13})
    EXPECT_EQ(analysed(ranks, observations, near(3), settings), expected) << ranks;
}

INSTANTIATE_TEST_SUITE_P(assimilation, EveryRanksCase, testing::ValuesIn(ranks_cases()),
                         [](const auto& test) { return std::string(test.param.name); });

/// Ranks decide where in memory the rows of a batch begin.
TEST(EnsembleTransform, has_the_same_bits_wherever_its_rows_begin) {
  for (const std::size_t n : {3, 4, 5, 8, 11, 20})
    for (const std::size_t observed : {std::size_t{2}, n, 3 * n}) {
      constexpr std::size_t rows = 4;
      EnsembleTransform transform(n);
      transform.solve(random_vector(observed * n, 21), random_vector(observed, 22));
      const Vector variables = random_vector(rows * n, 23, 300);
      Vector results[4];
      for (std::size_t shift = 0; shift < 4; ++shift) {
        Vector memory(shift + rows * n);
        const View at = View(memory).subspan(shift);
        copy(variables, at);
        transform.update({1.05, 0.3, 0.1}, at);
        results[shift].assign(at.begin(), at.end());
        EXPECT_EQ(results[shift], results[0]) << n << " members, " << observed << " values, begun at " << shift;
      }
    }
}

TEST(Letkf, changes_nothing_out_of_reach_and_does_not_inflate_there) {
  const Vector before = unanalysed(), after = analysed(1, at({20}), near(3), {{2, 0, 0}}, 1);
  for (std::size_t k = 0; k < members; ++k)
    for (std::size_t i = 0; i < size; ++i) {
      const double distance = std::abs(static_cast<double>(i) - 20);
      if (gaspari_cohn(distance / 3) > 1e-3) {
        EXPECT_NE(after[k * size + i], before[k * size + i]) << i;
      } else {
        EXPECT_EQ(after[k * size + i], before[k * size + i]) << i;
      }
    }
}

/// Ten readings of one point with the same error weigh as one of their mean with a tenth of the variance.
TEST(Letkf, takes_ten_observations_at_one_point_as_one_of_their_mean) {
  Observations ten = at(std::vector<std::size_t>(10, 30)), one = at({30});
  one.values[0] = 0;
  for (std::size_t i = 0; i < 10; ++i) {
    ten.errors[i] = 0.8;
    one.values[0] += ten.values[i] / 10;
  }
  one.errors[0] = 0.8 / std::sqrt(10);
  const Vector expected = analysed(1, one, near(3));
  EXPECT_LT(norm(difference(analysed(1, ten, near(3)), expected)), 1e-12 * norm(expected));
}

TEST(Letkf, gives_ranks_with_many_observations_few_batches) {
  std::vector<std::size_t> crowd(300);
  for (std::size_t i = 0; i < crowd.size(); ++i) crowd[i] = i % 15;
  const Observations observations = at(crowd);
  parallel::run_on_threads(4, [&](const Communicator& communicator) {
    const Letkf letkf(communicator, size, ring_batches(size, 1), near(1), {});
    const auto shares = letkf.shares(observations);
    ASSERT_EQ(shares.size(), 4U);
    EXPECT_EQ(shares.front().begin, 0U);
    EXPECT_EQ(shares.back().end, size);
    const Localisation one_apart = near(1);
    const LocalSearch search(one_apart, observations.positions, 1e-3, 1000);
    std::vector<double> work;
    for (const auto& share : shares) {
      work.push_back(0);
      for (std::size_t b = share.begin; b < share.end; ++b) {
        const Position centre{static_cast<double>(b), 0, 0};
        work.back() += 1 + static_cast<double>(search.near(centre).size());
      }
    }
    const double mean = std::accumulate(work.begin(), work.end(), 0.0) / 4;
    for (const double w : work) EXPECT_NEAR(w, mean, 0.2 * mean);
    EXPECT_LT(shares[1].size(), 10U);
    EXPECT_GT(shares[3].size(), 40U);
  });
}

TEST(LocalSearch, keeps_the_heaviest_and_of_equals_the_first) {
  const std::vector<Position> positions{{11, 0, 0}, {10, 0, 0}, {9, 0, 0}, {10, 0, 0}, {40, 0, 0}, {12, 0, 0}};
  const Localisation localisation = near(3);
  const auto indices = [&](std::size_t most) {
    std::vector<std::size_t> result;
    for (const LocalObservation& o : LocalSearch(localisation, positions, 1e-3, most).near({10, 0, 0}))
      result.push_back(o.index);
    return result;
  };
  EXPECT_EQ(indices(100), (std::vector<std::size_t>{0, 1, 2, 3, 5}));
  EXPECT_EQ(indices(3), (std::vector<std::size_t>{0, 1, 3}));
  EXPECT_EQ(indices(1), (std::vector<std::size_t>{1}));
}

/// The search by latitude finds what looking at all of them finds, at the poles and across the date line as well.
TEST(LocalSearch, finds_on_the_sphere_what_is_within_reach) {
  const Localisation localisation(std::make_shared<SphereMetric>(), 1e6, 0.2);
  const Vector random = random_vector(3 * 500, 1);
  std::vector<Position> positions;
  for (std::size_t i = 0; i < 500; ++i)
    positions.push_back(
        {std::fmod(500 + 100 * random[3 * i], 360), 90 * std::sin(random[3 * i + 1]), 0.1 * random[3 * i + 2]});
  const LocalSearch search(localisation, positions, 0, 1000);
  for (const Position& centre : {Position{0, 90, 0}, {359.5, -3, 0}, {10, 60, 0.1}, {180, -89.9, 0}}) {
    std::vector<std::size_t> expected, found;
    for (std::size_t i = 0; i < positions.size(); ++i)
      if (localisation.weight(centre, positions[i]) > 0) expected.push_back(i);
    for (const LocalObservation& o : search.near(centre)) found.push_back(o.index);
    EXPECT_GT(expected.size(), 0U);
    EXPECT_LT(expected.size(), 100U);
    EXPECT_EQ(found, expected);
  }
}

TEST(BalancedShares, cover_all_work_whatever_it_is) {
  for (const std::vector<std::size_t>& work :
       {std::vector<std::size_t>{}, {5}, {1, 1, 1, 1}, {100, 1, 1, 1, 1}, {0, 0, 0}, {1, 2, 3, 4, 5, 6, 7, 8}})
    for (const std::size_t parts : {1, 2, 3, 8}) {
      const auto shares = balanced_shares(work, parts);
      ASSERT_EQ(shares.size(), parts);
      std::size_t next = 0;
      for (const auto& share : shares) {
        EXPECT_EQ(share.begin, next);
        EXPECT_GE(share.end, share.begin);
        next = share.end;
      }
      EXPECT_EQ(next, work.size());
    }
}

TEST(Letkf, refuses_what_does_not_fit) {
  const Communicator self = Communicator::self();
  std::vector<Batch> batches = ring_batches(size, 2);
  batches[3].variables[0] = 0;
  EXPECT_THROW(Letkf(self, size, batches, near(3), {}), Error);
  EXPECT_THROW(Letkf(self, size + 1, ring_batches(size, 2), near(3), {}), Error);
  const Letkf letkf(self, size, ring_batches(size, 2), near(3), {});
  Ensemble part = background({0, 4});
  EXPECT_THROW(letkf.analyse(part, everywhere(), 0), Error);
  Ensemble whole = background();
  Observations without_positions = everywhere();
  without_positions.positions.clear();
  EXPECT_THROW(letkf.analyse(whole, without_positions, 0), Error);
}

/// A background that is not a number on one rank ends all of them with the same message.
TEST(Letkf, names_a_background_that_is_no_number) {
  try {
    parallel::run_on_threads(4, [&](const Communicator& communicator) {
      const auto own = parallel::partition(members, 4, static_cast<std::size_t>(communicator.rank()));
      Ensemble ensemble = background(own);
      if (communicator.rank() == 2) ensemble.member(0)[7] = std::nan("");
      Letkf(communicator, size, ring_batches(size, 2), near(3), {}).analyse(ensemble, everywhere(), 0);
    });
    FAIL() << "no error";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::numerical);
    EXPECT_STREQ(error.what(), "LETKF: an observed value of the background is not a number");
  }
}

}  // namespace
}  // namespace zonda::assimilation
