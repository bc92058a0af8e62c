// Exchanges in levels against the plain ones: equal bytes, counted messages.
#include "parallel/levels.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <numeric>

#include "communicator_checks.hpp"
#include "core/error.hpp"
#include "core/philox.hpp"
#include "parallel/canonical.hpp"
#include "parallel/counting.hpp"

namespace zonda::parallel {
namespace {

struct Case {
  Levels levels;
  std::string name() const {
    std::string text = levels.gather_order.empty() ? "last_first_" : "first_first_";
    for (std::size_t i = 0; i < levels.sizes.size(); ++i) text += (i > 0 ? "x" : "") + std::to_string(levels.sizes[i]);
    return text;
  }
};

class InLevels : public testing::TestWithParam<Case> {
 protected:
  const Levels& levels() const { return GetParam().levels; }
  std::size_t ranks() const { return static_cast<std::size_t>(levels().ranks()); }
};

INSTANTIATE_TEST_SUITE_P(nodes, InLevels,
                         testing::Values(Case{{{2, 2}}}, Case{{{2, 4}}}, Case{{{4, 2}}}, Case{{{2, 4}, {0, 1}}},
                                         Case{{{2, 2, 2}}}, Case{{{2, 2, 2}, {0, 1, 2}}}, Case{{{3, 2}}}),
                         [](const auto& test) { return test.param.name(); });

TEST_P(InLevels, TheChecksOfSumsAndGathersHold) {
  for (const CommunicatorCheck& check : communicator_checks()) {
    const std::string name = check.name;
    if (name != "uneven_gather" && name != "canonical_nodes" && name != "canonical_columns_are_spent" &&
        name != "wrong_use_is_refused")
      continue;
    run_on_threads(levels().ranks(), [&](const Communicator& plain) { check.run(in_levels(plain, levels())); });
  }
}

TEST_P(InLevels, SumsAreThePlainOnesBitForBit) {
  const Philox random(5, "levels");
  for (const std::size_t terms : {ranks() - 1, ranks(), 3 * ranks() + 1, std::size_t{64}})
    for (const std::size_t width : {std::size_t{7}, std::size_t{1001}})
      run_on_threads(levels().ranks(), [&](const Communicator& plain) {
        const auto rank = static_cast<std::size_t>(plain.rank());
        const Range own = partition(terms, ranks(), rank);
        std::vector<float> mine(own.size() * width);
        for (std::size_t i = 0; i < mine.size(); ++i)
          mine[i] = static_cast<float>(random.normal(own.begin * width + i)) * (i % 3 == 0 ? 1e6F : 1e-3F);
        const Communicator in = in_levels(plain, levels());
        std::vector<float> expected(width), found(width);
        canonical_all_reduce(plain, terms, width, mine, expected);
        canonical_all_reduce(in, terms, width, mine, found);
        EXPECT_EQ(std::memcmp(expected.data(), found.data(), width * sizeof(float)), 0)
            << terms << " terms of width " << width;
      });
}

TEST_P(InLevels, MessagesAndBytesAreThoseOfTheFormula) {
  const std::size_t part = 40, width = part * ranks();
  run_on_threads(levels().ranks(), [&](const Communicator& plain) {
    const auto rank = static_cast<std::size_t>(plain.rank());
    const auto bytes_of = [](const LevelTraffic& traffic) {
      return std::accumulate(traffic.bytes.begin(), traffic.bytes.end(), std::size_t{0});
    };
    {
      const auto traffic = std::make_shared<Traffic>();
      const Communicator in = in_levels(counted(plain, traffic), levels());
      const std::vector<float> mine(width, 1.0F);
      std::vector<float> share(part);
      canonical_reduce_scatter(in, ranks(), width, std::span<const float>(mine), std::span(share));
      EXPECT_THAT(share, testing::Each(static_cast<float>(ranks())));
      // Groups of a size that is no power of two hold several nodes of the tree.
      if (levels().sizes[0] != 3) {
        const LevelTraffic expected = sum_traffic(levels(), width * sizeof(float));
        EXPECT_EQ(traffic->messages(), expected.messages);
        EXPECT_EQ(traffic->bytes(), bytes_of(expected));
      }
    }
    const auto traffic = std::make_shared<Traffic>();
    const Communicator in = in_levels(counted(plain, traffic), levels());
    std::vector<std::size_t> offset(ranks() + 1);
    for (std::size_t r = 0; r <= ranks(); ++r) offset[r] = r * part;
    std::vector<std::byte> all(offset.back());
    const std::vector<std::byte> mine(part, static_cast<std::byte>(rank + 1));
    in.all_gather(mine, all, offset).wait();
    for (std::size_t i = 0; i < all.size(); ++i) ASSERT_EQ(all[i], static_cast<std::byte>(i / part + 1));
    const LevelTraffic expected = gather_traffic(levels(), all.size());
    EXPECT_EQ(traffic->messages(), expected.messages);
    EXPECT_EQ(traffic->bytes(), bytes_of(expected));
  });
}

TEST_P(InLevels, GathersOverlap) {
  run_on_threads(levels().ranks(), [&](const Communicator& plain) {
    const Communicator in = in_levels(plain, levels());
    constexpr std::size_t count = 5;
    std::vector<std::vector<std::byte>> all(count), mine(count);
    std::vector<Event> events;
    for (std::size_t g = 0; g < count; ++g) {
      std::vector<std::size_t> offset{0};
      for (std::size_t r = 0; r < ranks(); ++r) offset.push_back(offset.back() + (r + g) % 3 * 100);
      const auto me = static_cast<std::size_t>(in.rank());
      mine[g].assign(offset[me + 1] - offset[me], static_cast<std::byte>(10 * g + me));
      all[g].resize(offset.back());
      events.push_back(in.all_gather(mine[g], all[g], offset));
    }
    // Ranks wait in different orders.
    for (std::size_t g = 0; g < count; ++g) events[in.rank() % 2 == 0 ? g : count - 1 - g].wait();
    for (std::size_t g = 0; g < count; ++g) {
      std::size_t at = 0;
      for (std::size_t r = 0; r < ranks(); ++r)
        for (std::size_t i = 0; i < (r + g) % 3 * 100; ++i)
          ASSERT_EQ(all[g][at++], static_cast<std::byte>(10 * g + r)) << "gather " << g << " rank " << r;
    }
  });
}

TEST(Levels, FollowNodesAndKeepGroupsNarrow) {
  EXPECT_THAT(levels_for(8, 1).sizes, testing::ElementsAre(8));
  EXPECT_THAT(levels_for(8, 8).sizes, testing::ElementsAre(8));
  EXPECT_THAT(levels_for(64, 8).sizes, testing::ElementsAre(8, 8));
  EXPECT_THAT(levels_for(512, 1).sizes, testing::ElementsAre(16, 32));
  EXPECT_THAT(levels_for(4096, 8).sizes, testing::ElementsAre(8, 16, 32));
  EXPECT_THAT(levels_for(37, 1).sizes, testing::ElementsAre(37)) << "a prime";
  for (int ranks = 1; ranks <= 600; ++ranks) EXPECT_EQ(levels_for(ranks, 4).ranks(), ranks);
  EXPECT_THROW(in_levels(Communicator::self(), {{2, 2}}), Error);
  run_on_threads(4, [](const Communicator& threads) {
    EXPECT_THROW(in_levels(threads, {{2, 2}, {0, 0}}), Error);
    EXPECT_EQ(ranks_per_node(threads), 4);
  });
}

}  // namespace
}  // namespace zonda::parallel
