// Variational analyses of an atmosphere: they fit the observations, and have the same bits on any number of ranks.
#include <gtest/gtest.h>

#include "atmosphere_analyses.hpp"
#include "core/error.hpp"

namespace zonda::assimilation {
namespace {

class EverySharedAnalysis : public testing::TestWithParam<SharedAnalysis> {};

TEST_P(EverySharedAnalysis, lowers_the_cost_and_has_the_same_bits_on_any_number_of_ranks) {
  const VariationalAnalysis alone = shared_analysis(parallel::Communicator::self(), GetParam());
  for (std::size_t i = 1; i < alone.costs.size(); ++i) EXPECT_LE(alone.costs[i], alone.costs[i - 1]);
  if (GetParam().observations > 0) {
    EXPECT_LT(alone.costs.back(), 0.9 * alone.costs.front());
    EXPECT_GT(alone.background_cost, 0);
  } else {
    EXPECT_EQ(alone.background_cost, 0);
  }
  for (const int ranks : {2, 4, 8})
    parallel::run_on_threads(ranks, [&](const parallel::Communicator& communicator) {
      const VariationalAnalysis shared = shared_analysis(communicator, GetParam());
      EXPECT_EQ(shared.state, alone.state) << ranks;
      EXPECT_EQ(shared.costs, alone.costs) << ranks;
    });
}

INSTANTIATE_TEST_SUITE_P(assimilation, EverySharedAnalysis, testing::ValuesIn(shared_analyses()), [](const auto& test) {
  return "of_" + test.param.method + "_with_" + std::to_string(test.param.observations);
});

/// Blocks of an operator are the whole one, but for the order of the adjoint's sums.
TEST(DistributedOperator, is_the_whole_operator) {
  const AtmosphereLayout layout = small_atmosphere(Grid::gaussian(4, 8));
  for (const std::size_t count : {0U, 3U, 100U}) {
    std::vector<std::size_t> components;
    for (std::size_t i = 0; i < count; ++i) components.push_back(i * i % layout.state_size());
    const SelectedComponents whole(layout.state_size(), components);
    parallel::run_on_threads(3, [&](const parallel::Communicator& communicator) {
      const DistributedOperator shared(communicator, layout.state_size(), count, [&](parallel::Range range) {
        return std::make_shared<SelectedComponents>(
            layout.state_size(), std::vector<std::size_t>(components.begin() + static_cast<std::ptrdiff_t>(range.begin),
                                                          components.begin() + static_cast<std::ptrdiff_t>(range.end)));
      });
      const Vector state = random_vector(layout.state_size(), 1), values = random_vector(count, 2);
      Vector one(count), other(count), from_one(state.size()), from_other(state.size());
      whole.apply(state, one);
      shared.apply(state, other);
      EXPECT_EQ(one, other);
      shared.tangent(state, state, other);
      EXPECT_EQ(one, other);
      whole.adjoint(state, values, from_one);
      shared.adjoint(state, values, from_other);
      EXPECT_LE(norm(difference(from_one, from_other)), 1e-14 * norm(from_one));
    });
  }
}

/// All ranks end with the error of the one whose block does not fit.
TEST(DistributedOperator, ends_all_ranks_where_one_cannot_make_its_block) {
  EXPECT_THROW(parallel::run_on_threads(2,
                                        [&](const parallel::Communicator& communicator) {
                                          DistributedOperator(communicator, 4, 20, [&](parallel::Range range) {
                                            return std::make_shared<SelectedComponents>(
                                                4, std::vector<std::size_t>(range.size() + (range.begin > 15), 0));
                                          });
                                        }),
               Error);
}

}  // namespace
}  // namespace zonda::assimilation
