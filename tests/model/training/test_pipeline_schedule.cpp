// One forward, one backward: every pass once, in the order that the stages beside it can follow.
#include "model/training/pipeline_schedule.hpp"

#include <gtest/gtest.h>

#include <algorithm>

namespace zonda::model {
namespace {

using Pass = PipelineTurn::Pass;

TEST(PipelineSchedule, IsTheOneOfThePaper) {
  const auto letters = [](std::size_t stage) {
    std::string text;
    for (const auto& [pass, micro_batch] : one_forward_one_backward(3, stage, 4))
      text += (pass == Pass::forward ? 'F' : 'B') + std::to_string(micro_batch);
    return text;
  };
  EXPECT_EQ(letters(0), "F0F1F2B0F3B1B2B3");
  EXPECT_EQ(letters(1), "F0F1B0F2B1F3B2B3");
  EXPECT_EQ(letters(2), "F0B0F1B1F2B2F3B3");
}

TEST(PipelineSchedule, TakesEveryMicroBatchOnceEachWayAndKeepsFew) {
  for (std::size_t stages = 1; stages <= 6; ++stages)
    for (std::size_t micro_batches = 0; micro_batches <= 9; ++micro_batches)
      for (std::size_t stage = 0; stage < stages; ++stage) {
        std::size_t forward = 0, backward = 0, most = 0;
        for (const auto& [pass, micro_batch] : one_forward_one_backward(stages, stage, micro_batches)) {
          EXPECT_EQ(micro_batch, pass == Pass::forward ? forward++ : backward++);
          ASSERT_LE(backward, forward);
          most = std::max(most, forward - backward);
        }
        EXPECT_EQ(forward, micro_batches);
        EXPECT_EQ(backward, micro_batches);
        EXPECT_EQ(most, in_flight(stages, stage, micro_batches));
      }
}

/// Steps of time until all stages are done, each turn taking one; 0 where they wait for each other for ever.
std::size_t time_taken(std::size_t stages, std::size_t micro_batches) {
  std::vector<std::vector<PipelineTurn>> left;
  for (std::size_t s = 0; s < stages; ++s) {
    left.push_back(one_forward_one_backward(stages, s, micro_batches));
    std::reverse(left.back().begin(), left.back().end());
  }
  std::vector<std::vector<std::size_t>> onward(stages + 1, std::vector<std::size_t>(micro_batches, 1)), back = onward;
  for (std::size_t s = 1; s < stages; ++s) onward[s].assign(micro_batches, 0);  // of a stage: what has arrived
  for (std::size_t s = 0; s + 1 < stages; ++s) back[s].assign(micro_batches, 0);
  for (std::size_t time = 0;; ++time) {
    if (std::all_of(left.begin(), left.end(), [](const auto& turns) { return turns.empty(); })) return time;
    std::vector<std::pair<std::size_t, PipelineTurn>> taken;
    for (std::size_t s = 0; s < stages; ++s) {
      if (left[s].empty()) continue;
      const auto [pass, i] = left[s].back();
      if (pass == Pass::forward ? onward[s][i] : back[s][i]) taken.emplace_back(s, left[s].back());
    }
    if (taken.empty()) return 0;
    for (const auto& [s, turn] : taken) {
      left[s].pop_back();
      if (turn.pass == Pass::forward)
        onward[s + 1][turn.micro_batch] = 1;
      else if (s > 0)
        back[s - 1][turn.micro_batch] = 1;
    }
  }
}

TEST(PipelineSchedule, WaitsAsLongAsTheFormulaSays) {
  for (std::size_t stages = 1; stages <= 5; ++stages)
    for (std::size_t micro_batches = 1; micro_batches <= 8; ++micro_batches) {
      const std::size_t time = time_taken(stages, micro_batches);
      EXPECT_EQ(time, 2 * (micro_batches + stages - 1)) << stages << " stages, " << micro_batches << " micro-batches";
      EXPECT_NEAR(bubble_of_pipeline(stages, micro_batches),
                  1 - 2 * static_cast<double>(micro_batches) / static_cast<double>(time), 1e-12);
    }
}

}  // namespace
}  // namespace zonda::model
