// What the replay phase draws, and what its buffer holds.
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <numeric>

#include "model/training/replay.hpp"

namespace zonda::model {
namespace {

constexpr std::int64_t steps = 300;
constexpr int entries = 3, lead_steps = 5;
const Duration d{6 * 3600};

std::vector<Time> axis() {
  std::vector<Time> times;
  for (int i = 0; i < 80; ++i)
    if (i != 41) times.push_back(parse_time("2001-01-01") + i * d);
  return times;
}

struct ReplayTest : testing::Test {
  std::vector<Time> times = axis();
  std::vector<Example> examples = examples_within(times, times.front(), times.back(), std::vector{d, 2 * d}, 1);
  Sampler sampler{examples, 1, "replay"};
  ReplaySchedule schedule(SampleRange range, double share = 0.6) const {
    return {sampler, examples, times, 7, steps, range, entries, lead_steps, share};
  }
};

TEST_F(ReplayTest, AnEntryHoldsTheStateThatFollowsWhatWasDrawn) {
  const ReplaySchedule all = schedule({0, 4, 4});
  std::size_t from_archive = 0, longest = 0;
  std::map<std::pair<std::size_t, int>, std::pair<Time, int>> held;  // (sample, entry) -> time of its state, lead steps
  for (std::int64_t n = 0; n < steps; ++n)
    for (std::size_t s = 0; s < 4; ++s) {
      const ReplayDraw draw = all.at(n)[s];
      EXPECT_TRUE(std::find(examples.begin(), examples.end(), draw.example) != examples.end());
      if (draw.from < 0) {
        ++from_archive;
        EXPECT_EQ(draw.lead_steps, 0);
      } else {
        const auto entry = held.at({s, draw.from});
        EXPECT_EQ(times[draw.example.time_index], entry.first);
        EXPECT_EQ(draw.lead_steps, entry.second);
        EXPECT_TRUE(draw.to == draw.from || draw.to < 0);
        held.erase({s, draw.from});
      }
      longest = std::max(longest, static_cast<std::size_t>(draw.lead_steps));
      EXPECT_LT(draw.to, entries);
      if (draw.to >= 0) held[{s, draw.to}] = {times[draw.example.time_index] + draw.example.step, draw.lead_steps + 1};
    }
  EXPECT_EQ(longest, static_cast<std::size_t>(lead_steps) - 1);
  // 40 % of 1200 draws, and those that found no entry.
  EXPECT_GT(from_archive, 430U);
  EXPECT_LT(from_archive, 700U);
}

TEST_F(ReplayTest, ARankDrawsItsPartOfTheWhole) {
  const ReplaySchedule all = schedule({0, 4, 4});
  for (const std::uint64_t first : {0, 1, 3}) {
    const ReplaySchedule part = schedule({first, 1, 4});
    for (std::int64_t n = 0; n < steps; ++n) {
      EXPECT_EQ(part.at(n)[0].example, all.at(n)[first].example);
      EXPECT_EQ(part.at(n)[0].from, all.at(n)[first].from);
      EXPECT_EQ(part.at(n)[0].to, all.at(n)[first].to);
    }
  }
}

TEST_F(ReplayTest, WithoutAShareAllComesFromTheArchive) {
  const ReplaySchedule none = schedule({0, 2, 2}, 0);
  for (std::int64_t n = 0; n < steps; ++n)
    for (const ReplayDraw& draw : none.at(n)) EXPECT_EQ(draw.from, -1);
}

TEST(ReplayBuffer, TheStateBeforeMovesUp) {
  const std::size_t state = 6;
  ReplayBuffer buffer(2, entries, state);
  Batch batch;
  batch.states.resize(2 * 3 * state);
  std::iota(batch.states.begin(), batch.states.end(), 0.0F);
  const std::vector<float> first(state, 100), second(state, 200);
  ReplayDraw draw{{3, d}, 0, -1, 2};
  buffer.keep(1, draw, batch, first);
  const ReplayDraw next{{4, d}, 1, 2, 2};
  const ReplayDraw drawn[] = {ReplayDraw{{0, d}, 0, -1, -1}, next};
  auto starts = buffer.starts(drawn);
  EXPECT_EQ(starts[0].current, nullptr);
  EXPECT_EQ(starts[1].lead_steps, 1);
  EXPECT_TRUE(std::equal(first.begin(), first.end(), starts[1].current));
  EXPECT_EQ(starts[1].previous[0], batch.states[(3 + 1) * state]);  // x(t) of sample 1
  buffer.keep(1, next, batch, second);
  starts = buffer.starts(drawn);
  EXPECT_TRUE(std::equal(first.begin(), first.end(), starts[1].previous));
  EXPECT_TRUE(std::equal(second.begin(), second.end(), starts[1].current));
}

}  // namespace
}  // namespace zonda::model
