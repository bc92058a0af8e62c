// Rows travel between slabs while others are worked on: the order of what a rank does, and what a layer's cut is.
#include <gtest/gtest.h>

#include "model/network/trunk.hpp"
#include "network_sample.hpp"
#include "parallel/imagined.hpp"
#include "tests/parallel/diary.hpp"

namespace zonda::model {
namespace {

using testing::Operands;
using testing::Precision;

/// The diaries of all slabs: a forward and a backward pass through `blocks` blocks. `global_every`, beyond the blocks:
/// windows and shifted ones; 0: windows, and attention across them, in turn.
std::vector<std::vector<std::string>> diaries(int slabs, int blocks, int global_every, int samples) {
  const TokenGrid grid(Grid::gaussian(32, 36), 2);  // 16 x 18 tokens
  NetworkShape shape{.patch = 2, .width = 64, .blocks = blocks, .heads = 4, .windows = {{4, 6}}, .mlp_ratio = 2};
  shape.global_every = global_every;
  std::vector<std::vector<std::string>> all(static_cast<std::size_t>(slabs));
  parallel::run_on_threads(slabs, [&](const parallel::Communicator& threads) {
    const auto diary = std::make_shared<parallel::Diary>();
    const parallel::Communicator world = parallel::in_diary(threads, diary);
    const std::shared_ptr<Backend> backend = make_backend("cpu", 1);
    const Slab slab(grid, {world, 8}, 2);
    ParameterStore store(DType::f32);
    const Trunk trunk(store, shape, grid, slab, DType::f32, host_memory());
    testing::randomise(store);
    store.allocate_gradients();
    const std::int64_t mine = samples * slab.token_count(), width = shape.width;
    Operands operands(DType::f32);
    const Tensor x = operands.add({mine, width}, "x"), modulation = operands.add({samples, 6 * width}, "modulation");
    Trunk::Activations a;
    const Trunk::Watch watch{{}, {}, nullptr, [&](std::size_t layer, const char* what, bool begins) {
                               diary->write(fmt::format("{} of layer {} {}", what, layer, begins ? "begins" : "ends"));
                             }};
    testing::run_planned(*backend, Precision{DType::f32, DType::f32}, [&](Context& ctx) {
      diary->clear();
      Tensor in = ctx.take(x.shape), d = ctx.take(x.shape),
             dmodulation = ctx.take({slab.chunks_here() * samples, 6 * width});
      ctx->copy(ctx, x, in);
      ctx->copy(ctx, x, d);
      ctx->fill(ctx, dmodulation, 0);
      trunk.forward(
          ctx, in, modulation, a, [](std::size_t) { return Recompute::none; }, watch);
      trunk.backward(ctx, a, d, dmodulation, watch);
    });
    all[static_cast<std::size_t>(world.rank())] = diary->lines();
  });
  return all;
}

TEST(TrunkOverlap, RowsLeaveBehindTheEdgeAndComeWhileInnerSequencesAreWorkedOn) {
  for (const auto& lines : diaries(2, 2, 3, 2)) {
    const parallel::DiaryReading diary(lines, "all_to_all");
    SCOPED_TRACE(diary.text());
    ASSERT_EQ(diary.exchanges(), 6U) << "to windows, to shifted ones, row after row; and back";
    // A rank has rows for its neighbour in one of the two layers: at its northern edge in windows, at its southern one
    // in shifted ones.
    const bool gives = diary.has("forward, while rows go of layer 0 begins");
    const bool gets = diary.has("forward, while rows come of layer 1 begins");
    EXPECT_TRUE(gives || gets);
    if (gives) {
      EXPECT_LT(diary.at("forward, the edge of layer 0 ends"), diary.leaves(1));
      diary.expect_during("forward, while rows go of layer 0", 1);
    }
    if (gets) {
      diary.expect_during("forward, while rows come of layer 1", 1);
      EXPECT_GT(diary.at("forward, the edge of layer 1 begins"), diary.is_over(1));
    }
    // Backward, the input's gradient leaves ahead of what the weights' takes.
    diary.expect_during("backward, weights of layer 1", 4);
    diary.expect_during("backward, weights of layer 0", 5);
    EXPECT_GT(diary.at("backward, tokens of layer 0 begins"), diary.is_over(4));
  }
}

TEST(TrunkOverlap, OfSeveralSamplesSomeTravelWhileTheOthersAreWorkedOn) {
  for (const auto& lines : diaries(2, 3, 0, 3)) {  // windows, across them, shifted ones
    const parallel::DiaryReading diary(lines, "all_to_all");
    SCOPED_TRACE(diary.text());
    ASSERT_EQ(diary.exchanges(), 2U * 4 + 4);
    for (const int layer : {0, 1}) {
      const auto of = [&](const std::string& what) { return what + " of layer " + std::to_string(layer); };
      const std::size_t first = 2 * static_cast<std::size_t>(layer + 1);  // of the exchanges to the next layer
      diary.expect_during(of("forward, the other samples"), first);
      EXPECT_LT(diary.at(of("forward, the other samples") + " ends"), diary.leaves(first + 1));
      // The next layer's first samples do not wait for the others.
      const std::string next = " of layer " + std::to_string(layer + 1);
      EXPECT_GT(diary.at("forward, the first samples" + next + " begins"), diary.is_over(first));
      diary.expect_during("forward, the first samples" + next, first + 1);
      EXPECT_GT(diary.at("forward, the other samples" + next + " begins"), diary.is_over(first + 1));
    }
  }
}

TEST(TrunkOverlap, OfOneSampleHalfTheSequencesTravelWhileTheOthersAreWorkedOn) {
  for (const auto& lines : diaries(2, 3, 0, 1)) {
    const parallel::DiaryReading diary(lines, "all_to_all");
    SCOPED_TRACE(diary.text());
    // To windows; to attention across them: from their first half, from the second to the first, to the second; to
    // shifted ones: the same; row after row.
    ASSERT_EQ(diary.exchanges(), 1U + 3 + 3 + 1 + 4);
    for (const int layer : {0, 1}) {
      const std::string here = " of layer " + std::to_string(layer), next = " of layer " + std::to_string(layer + 1);
      const std::size_t first = layer == 0 ? 1 : 4;
      diary.expect_during("forward, the second half" + here, first);
      EXPECT_LT(diary.at("forward, the second half" + here + " ends"), diary.leaves(first + 1));
      EXPECT_GT(diary.at("forward, the first half" + next + " begins"), diary.is_over(first + 1));
      diary.expect_during("forward, the first half" + next, first + 2);
      EXPECT_GT(diary.at("forward, the second half" + next + " begins"), diary.is_over(first + 2));
    }
  }
}

/// 4 sequences of 32 tokens.
struct CutSample {
  TokenGrid grid{Grid::gaussian(32, 64), 2};  // 16 x 32 tokens
  Slab slab{grid, {parallel::imagined(1, 4), 4}, 4};
  LayerTokens tokens{draft_windows(grid, 4, 8, false, 8), slab, Cut::by_row, DType::f32, host_memory()};
  /// Sequences that need a portion's rows, or have rows of it.
  using Portions = std::vector<std::pair<int, int>>;
  LayerCut::Portions rows(const Portions& sequences) const {
    LayerCut::Portions list(static_cast<std::size_t>(tokens.count()), -1);
    for (const auto& [s, portion] : sequences) list[static_cast<std::size_t>(32 * s + 5)] = portion;
    return list;
  }
  LayerCut cut(const std::vector<int>& arriving, const std::vector<int>& leaving) const {
    const auto once = [&](const std::vector<int>& sequences) {
      Portions portions;
      for (const int s : sequences) portions.emplace_back(s, 0);
      return rows(portions);
    };
    return LayerCut::around_the_edge(tokens, once(arriving), once(leaving));
  }
};

using Rows = std::vector<std::pair<std::int64_t, std::int64_t>>;

enum Turns { before, edge, behind };

Rows rows(const LayerCut& cut, std::size_t turn) {
  Rows list;
  for (const LayerCut::Part& part : cut.turns().at(turn).parts)
    list.emplace_back(part.first, part.first + part.table.token_count());
  return list;
}

TEST(LayerCut, TheEdgeIsBetweenHalvesOfTheRest) {
  const CutSample sample;
  ASSERT_EQ(sample.tokens.count(), 128);
  const LayerCut cut = sample.cut({0}, {0, 3});
  EXPECT_EQ(rows(cut, before), (Rows{{32, 64}}));
  EXPECT_EQ(rows(cut, edge), (Rows{{0, 32}, {96, 128}}));
  EXPECT_EQ(rows(cut, behind), (Rows{{64, 96}}));
  EXPECT_EQ(cut.turns()[edge].parts[1].table.offsets, (std::vector<std::int32_t>{0, 32}));
  EXPECT_EQ(cut.turns()[before].needs, 0U);
  EXPECT_EQ(cut.turns()[before].gives, 0U);
  EXPECT_EQ(cut.turns()[edge].needs, 1U);
  EXPECT_GE(cut.turns()[edge].gives, 1U);
}

TEST(LayerCut, WhereRowsOnlyComeOrOnlyGoAllOfTheRestIsOnOneSide) {
  const CutSample sample;
  EXPECT_EQ(rows(sample.cut({3}, {}), before), (Rows{{0, 96}}));
  EXPECT_TRUE(rows(sample.cut({3}, {}), behind).empty());
  EXPECT_EQ(rows(sample.cut({}, {3}), behind), (Rows{{0, 96}}));
  EXPECT_TRUE(rows(sample.cut({}, {3}), before).empty());
  // All rows go, as to attention across windows: none of them early.
  EXPECT_EQ(rows(sample.cut({0}, {0, 1, 2, 3}), before), (Rows{{32, 128}}));
  EXPECT_EQ(rows(sample.cut({0, 1, 2, 3}, {0}), behind), (Rows{{32, 128}}));
}

TEST(LayerCut, HalvesNeedAndGiveThePortionsThatTheyHaveRowsOf) {
  const CutSample sample;
  const LayerCut cut =
      LayerCut::in_halves(sample.tokens, sample.rows({{0, 1}, {1, 0}, {3, 2}}), sample.rows({{0, 0}, {2, 1}, {3, 2}}));
  EXPECT_EQ(rows(cut, 0), (Rows{{0, 64}}));
  EXPECT_EQ(rows(cut, 1), (Rows{{64, 128}}));
  EXPECT_EQ(cut.turns()[0].needs, 2U);
  EXPECT_EQ(cut.turns()[1].needs, 3U);
  EXPECT_EQ(cut.turns()[0].gives, 1U);
  // What nobody brings or takes holds nothing up.
  const LayerCut at_rest = LayerCut::in_halves(sample.tokens, {}, {});
  EXPECT_EQ(at_rest.turns()[1].needs, 0U);
  EXPECT_EQ(at_rest.turns()[0].gives, TokenMove::most_portions);
}

TEST(LayerCut, ThereIsNoneWithoutAnEdgeOrWithLittleBesides) {
  const CutSample sample;
  EXPECT_TRUE(sample.cut({}, {}).none());
  EXPECT_TRUE(sample.cut({0, 1, 2, 3}, {0, 1, 2, 3}).none());
  EXPECT_TRUE(sample.cut({0, 1, 2}, {}).none()) << "32 rows are left";
}

}  // namespace
}  // namespace zonda::model
