#include "model/network/token_merging.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <numeric>
#include <optional>

#include "core/error.hpp"
#include "network_derivatives.hpp"

namespace zonda::model::testing {
namespace {

std::vector<float> noise(std::size_t count, std::uint64_t seed = 3) {
  const Philox random(seed, "tokens");
  std::vector<float> x(count);
  for (std::size_t i = 0; i < count; ++i) x[i] = static_cast<float>(random.normal(i));
  return x;
}

struct GridCase {
  const char* name;
  Grid grid;
};

class TokenMergings : public ::testing::TestWithParam<GridCase> {};

TEST_P(TokenMergings, EveryTokenHasOneNeighbourlyGroup) {
  const TokenGrid grid(GetParam().grid, 2);
  const std::int64_t tokens = grid.count(), width = 8, columns = grid.patches.token_columns;
  const std::vector<float> x = noise(static_cast<std::size_t>(tokens * width));
  for (std::int64_t groups = fewest_groups(grid); groups <= tokens; groups += 1 + tokens / 9) {
    const TokenGroups merged = merge_neighbours(grid, x, width, groups);
    ASSERT_EQ(merged.survivors.size(), static_cast<std::size_t>(groups));
    ASSERT_TRUE(std::is_sorted(merged.survivors.begin(), merged.survivors.end()));
    ASSERT_EQ(std::accumulate(merged.sizes.begin(), merged.sizes.end(), 0), tokens);
    for (std::int64_t t = 0; t < tokens; ++t) {
      const std::int64_t s = merged.survivors[static_cast<std::size_t>(merged.of_token[static_cast<std::size_t>(t)])];
      const std::int64_t rows = std::abs(s / columns - t / columns);
      std::int64_t across = std::abs(s % columns - t % columns);
      if (grid.periodic) across = std::min(across, columns - across);
      ASSERT_LE(rows + across, 3) << t;  // beside, then diagonally
    }
  }
  EXPECT_THROW(merge_neighbours(grid, x, width, fewest_groups(grid) - 1), Error);
  EXPECT_THROW(merge_neighbours(grid, x, width, tokens + 1), Error);
}

INSTANTIATE_TEST_SUITE_P(Grids, TokenMergings,
                         ::testing::Values(GridCase{"global", Grid::gaussian(16, 24)},
                                           GridCase{"odd", Grid::gaussian(18, 30)},
                                           GridCase{"regional", Grid::regional(60, 20, 14, 350, 40, 22)}),
                         [](const auto& case_) { return case_.param.name; });

TEST(TokenMerging, TheMostAlikeGoFirst) {
  const TokenGrid grid(Grid::regional(60, 20, 8, 350, 40, 8), 2);
  const std::int64_t width = 4;
  std::vector<float> x = noise(static_cast<std::size_t>(grid.count() * width));
  std::copy_n(&x[5 * 4], 4, &x[6 * 4]);  // token 6 as token 5, of the other colour
  const TokenGroups merged = merge_neighbours(grid, x, width, grid.count() - 1);
  EXPECT_EQ(merged.of_token[5], merged.of_token[6]);
}

TEST(TokenMerging, SurvivorsKeepTheirValuesAndChangesSpread) {
  const TokenGrid grid(Grid::gaussian(16, 24), 2);
  const std::int64_t width = 3, groups = grid.count() / 2;
  std::vector<float> x = noise(static_cast<std::size_t>(grid.count() * width));
  const std::vector<float> original = x;
  const TokenGroups merged = merge_neighbours(grid, x, width, groups);
  std::vector<float> before(static_cast<std::size_t>(groups * width)), after;
  gather_survivors<float>(merged, x, width, before);
  for (std::size_t g = 0; g < merged.survivors.size(); ++g)
    for (std::size_t d = 0; d < 3; ++d)
      ASSERT_EQ(before[g * 3 + d], x[static_cast<std::size_t>(merged.survivors[g]) * 3 + d]);
  spread_changes<float>(merged, before, before, width, x);
  EXPECT_EQ(x, original);
  after = before;
  for (float& value : after) value += 0.5F;
  spread_changes<float>(merged, before, after, width, x);
  for (std::size_t i = 0; i < x.size(); ++i) ASSERT_NEAR(x[i], original[i] + 0.5F, 1e-5);
}

/// Half and a quarter of the tokens lie on lattices, on which linear changes are found exactly away from the edges.
TEST(TokenMerging, ChangesBetweenSurvivorsAreInterpolated) {
  const TokenGrid grid(Grid::regional(60, 20, 16, 350, 40, 24), 2);
  const std::int64_t rows = grid.patches.token_rows, columns = grid.patches.token_columns, tokens = grid.count();
  const std::vector<float> x = noise(static_cast<std::size_t>(tokens));
  const auto change = [&](std::int64_t t) { return static_cast<float>(2 * (t / columns) - 3 * (t % columns)); };
  for (const std::int64_t groups : {tokens / 2, fewest_groups(grid)}) {
    const TokenGroups merged = merge_neighbours(grid, x, 1, groups);
    std::vector<float> before(static_cast<std::size_t>(groups)), after, y(static_cast<std::size_t>(tokens), 0.0F);
    for (const std::int32_t survivor : merged.survivors) after.push_back(change(survivor));
    spread_changes<float>(merged, before, after, 1, y);
    for (std::int64_t i = 1; i + 1 < rows; ++i)
      for (std::int64_t j = 1; j + 1 < columns; ++j)
        ASSERT_NEAR(y[static_cast<std::size_t>(i * columns + j)], change(i * columns + j), 1e-4) << i << ' ' << j;
  }
}

double difference(const Tensor& a, const Tensor& b) {
  double sum = 0;
  for (std::int64_t i = 0; i < a.count(); ++i) sum += std::pow(get(a, i) - get(b, i), 2);
  return std::sqrt(sum / double(a.count()));
}

TEST(TokenMerging, WithAllTokensTheNetworkIsItself) {
  for (const auto& [first, last] : {std::pair(0, 4), std::pair(1, 3), std::pair(2, 4), std::pair(0, 1)}) {
    Sample s(smallest_network(), Grid::gaussian(16, 24), 1, DType::f32, Use::inference);
    randomise(s.network.parameters());
    s.network.forward(s.x, s.condition, s.y);
    const Tensor exact = s.numbers.zeros(s.out);
    std::copy_n(s.y.as<float>(), s.y.count(), exact.as<float>());
    s.network.set_merging(TokenMerging{first, last, 96});
    s.network.plan(1, Use::inference);
    s.network.forward(s.x, s.condition, s.y);
    EXPECT_LT(difference(s.y, exact), 1e-5 * (1 + difference(exact, s.numbers.zeros(s.out)))) << first;
    s.network.set_merging(std::nullopt);
    s.network.plan(1, Use::inference);
    s.network.forward(s.x, s.condition, s.y);
    EXPECT_EQ(difference(s.y, exact), 0);
  }
}

TEST(TokenMerging, FewerTokensComeNearAndSmoothFieldsNearer) {
  for (const Grid& grid : {Grid::gaussian(16, 24), Grid::regional(60, 20, 16, 350, 40, 24)}) {
    Sample s(smallest_network(), grid, 1, DType::f32, Use::inference);
    randomise(s.network.parameters(), 0.05);
    s.network.forward(s.x, s.condition, s.y);
    const Tensor exact = s.numbers.zeros(s.out);
    std::copy_n(s.y.as<float>(), s.y.count(), exact.as<float>());
    double last = 0;
    for (const std::int64_t tokens : {72, 48, 24}) {
      s.network.set_merging(TokenMerging{0, 4, tokens});
      s.network.plan(1, Use::inference);
      s.network.forward(s.x, s.condition, s.y);
      const double off = difference(s.y, exact);
      EXPECT_GT(off, 0);
      EXPECT_LT(off, difference(exact, s.numbers.zeros(s.out)));
      EXPECT_GE(off, 0.8 * last);
      last = off;
    }
  }
}

TEST(TokenMerging, GivesTheSameBitsOnAnyNumberOfThreads) {
  std::vector<float> results[2];
  for (const int threads : {1, 2}) {
    Sample s(smallest_network(), Grid::gaussian(16, 24), 1, DType::f32, Use::inference, make_backend("cpu", threads));
    randomise(s.network.parameters());
    s.network.set_merging(TokenMerging{1, 4, 30});
    s.network.plan(1, Use::inference);
    s.network.forward(s.x, s.condition, s.y);
    results[threads - 1].assign(s.y.as<float>(), s.y.as<float>() + s.y.count());
  }
  EXPECT_EQ(results[0], results[1]);
}

/// Merged tokens answer.
NetworkConfig answering_network() {
  NetworkConfig config = smallest_network();
  config.merged_response = true;
  return config;
}

TEST(TokenMerging, DeparturesAreFromTheMeanAndTheirSpreadingIsTheAdjoint) {
  const TokenGrid grid(Grid::gaussian(16, 24), 2);
  const std::int64_t width = 3;
  const auto size = [&](std::size_t tokens) { return tokens * static_cast<std::size_t>(width); };
  const std::vector<float> noisy = noise(size(static_cast<std::size_t>(grid.count())));
  const TokenGroups groups = merge_neighbours(grid, noisy, width, 37);
  const std::vector<double> x(noisy.begin(), noisy.end());
  std::vector<double> survivors(size(37)), departures(size(groups.given_up.size()));
  EXPECT_EQ(groups.given_up.size() + groups.survivors.size(), static_cast<std::size_t>(grid.count()));
  gather_survivors<double>(groups, x, width, survivors);
  gather_departures<double>(groups, x, survivors, width, departures);
  for (std::size_t i = 0; i < groups.given_up.size(); ++i) {
    const auto t = static_cast<std::size_t>(groups.given_up[i]);
    for (std::size_t d = 0; d < 3; ++d) {
      double mean = 0;
      int count = 0;
      for (const std::int32_t g : groups.taken_from[t])
        if (g >= 0) mean += survivors[static_cast<std::size_t>(g) * 3 + d], ++count;
      ASSERT_NEAR(departures[i * 3 + d], x[t * 3 + d] - mean / count, 1e-6);
    }
  }
  const std::vector<float> other = noise(departures.size());
  const std::vector<double> w(other.begin(), other.end());
  std::vector<double> dx(x.size()), dsurvivors(survivors.size());
  add_departures<double>(groups, w, width, dx, dsurvivors);
  const auto dot = [](const std::vector<double>& a, const std::vector<double>& b) {
    return std::inner_product(a.begin(), a.end(), b.begin(), 0.0);
  };
  EXPECT_NEAR(dot(departures, w), dot(x, dx) + dot(survivors, dsurvivors), 1e-12 * std::sqrt(dot(w, w) * dot(x, x)));
}

/// Blocks at the trunk's start, middle and end; numbers of tokens that leave no choice, and one that does.
class MergedDerivatives : public ::testing::TestWithParam<TokenMerging> {};

TEST_P(MergedDerivatives, GradientsAdjointAndTangentAgree) {
  for (const Grid& grid : {Grid::gaussian(16, 24), Grid::regional(60, 20, 16, 350, 40, 24)})
    for (const NetworkConfig& config : {smallest_network(), answering_network()}) {
      Sample s(config, grid, 2, DType::f64, Use::tangent);
      randomise(s.network.parameters());
      s.network.set_merging(GetParam());
      s.network.plan(2, Use::tangent);
      expect_derivatives_agree(s);
    }
}

TEST_P(MergedDerivatives, ABatchIsItsSamples) {
  const Grid grid = Grid::regional(60, 20, 16, 350, 40, 24);
  Sample both(answering_network(), grid, 2, DType::f64, Use::training);
  randomise(both.network.parameters());
  both.network.set_merging(GetParam());
  both.network.plan(2, Use::training);
  both.network.forward(both.x, both.condition, both.y);
  both.network.backward(both.w, both.dx);
  const Tensor gradients = both.network.parameters().gradients();
  std::vector<double> sum(static_cast<std::size_t>(gradients.count()));
  for (std::int64_t sample = 0; sample < 2; ++sample) {
    Sample one(answering_network(), grid, 1, DType::f64, Use::training);
    randomise(one.network.parameters());
    one.network.set_merging(GetParam());
    one.network.set_recompute({2, 1});
    one.network.plan(1, Use::training);
    one.network.forward(both.x.slice(sample, 1), both.condition.slice(sample, 1), one.y);
    for (std::int64_t i = 0; i < one.y.count(); ++i) ASSERT_EQ(get(one.y, i), get(both.y.slice(sample, 1), i));
    one.network.backward(both.w.slice(sample, 1), one.dx);
    for (std::int64_t i = 0; i < one.dx.count(); ++i) ASSERT_EQ(get(one.dx, i), get(both.dx.slice(sample, 1), i));
    for (std::size_t i = 0; i < sum.size(); ++i)
      sum[i] += get(one.network.parameters().gradients(), static_cast<std::int64_t>(i));
  }
  for (std::size_t i = 0; i < sum.size(); ++i)
    ASSERT_NEAR(get(gradients, static_cast<std::int64_t>(i)), sum[i], 1e-10 * (1 + std::abs(sum[i])));
}

TEST_P(MergedDerivatives, TheFastBackendAgreesWithTheReference) {
  NetworkConfig config = answering_network();
  config.width = 128;
  const Grid grid = Grid::regional(60, 20, 16, 350, 40, 24);
  Sample truth(config, grid, 2, DType::f64, Use::training), fast(config, grid, 2, DType::f32, Use::training);
  for (Sample* s : {&truth, &fast}) {
    randomise(s->network.parameters(), 0.05);
    s->network.set_merging(GetParam());
    s->network.plan(2, Use::training);
    s->network.parameters().zero_gradients();
    s->network.forward(s->x, s->condition, s->y);
    s->network.backward(s->w, s->dx);
  }
  EXPECT_LT(difference(fast.y, truth.y), 1e-4);
  EXPECT_LT(difference(fast.dx, truth.dx), 1e-4);
  const Tensor wanted = truth.network.parameters().gradients(), found = fast.network.parameters().gradients();
  EXPECT_LT(difference(found, wanted), 1e-4 * (1 + difference(wanted, truth.numbers.zeros(wanted.shape))));
}

INSTANTIATE_TEST_SUITE_P(Blocks, MergedDerivatives,
                         ::testing::Values(TokenMerging{0, 4, 24}, TokenMerging{1, 3, 48}, TokenMerging{2, 4, 37},
                                           TokenMerging{0, 1, 48}),
                         [](const auto& m) {
                           return "from" + std::to_string(m.param.first) + "to" + std::to_string(m.param.last) + "of" +
                                  std::to_string(m.param.tokens);
                         });

TEST(TokenMerging, BlocksAndTokensThatAreNotThereAreRefused) {
  Sample s(smallest_network(), Grid::gaussian(16, 24), 1, DType::f32, Use::inference);
  for (const TokenMerging& wrong : {TokenMerging{0, 5, 48}, TokenMerging{2, 2, 48}, TokenMerging{-1, 2, 48},
                                    TokenMerging{0, 4, 23}, TokenMerging{0, 4, 97}})
    EXPECT_THROW(s.network.set_merging(wrong), Error);
}

}  // namespace
}  // namespace zonda::model::testing
