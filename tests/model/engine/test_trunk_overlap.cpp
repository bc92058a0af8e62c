// Rows travel between slabs while others are worked on: the order of what a rank does, and what a layer's cut is.
#include <gtest/gtest.h>

#include <algorithm>
#include <mutex>

#include "core/error.hpp"
#include "model/network/trunk.hpp"
#include "network_sample.hpp"
#include "parallel/forwarding_transport.hpp"
#include "parallel/imagined.hpp"
#include "parallel/observer.hpp"

namespace zonda::model {
namespace {

using testing::Operands;
using testing::Precision;

/// Nothing is over before somebody waits for it.
class LateTransport : public parallel::ForwardingTransport {
 public:
  using ForwardingTransport::ForwardingTransport;
  parallel::Event observe(const parallel::Operation& operation,
                          const std::function<parallel::Event()>& start) override {
    return parallel::Event(
        [event = inner()->observe(operation, start)](bool block) mutable { return block && event.poll(true); });
  }
};

/// What a rank does, one line after the other.
class Diary : public parallel::Observer {
 public:
  std::uint64_t begin(const parallel::Call& call) override {
    const std::uint64_t id = calls_++;
    lines.push_back(fmt::format("{} {} leaves", call.operation.name, id));
    names_.push_back(call.operation.name);
    return id;
  }
  void end(std::uint64_t id) override { lines.push_back(fmt::format("{} {} is over", names_[id], id)); }
  std::string explain(std::uint64_t) override { return {}; }
  /// The line's number; lines.size() where there is none.
  std::size_t at(const std::string& line) const {
    return static_cast<std::size_t>(std::find(lines.begin(), lines.end(), line) - lines.begin());
  }
  std::vector<std::string> lines;

 private:
  std::uint64_t calls_ = 0;
  std::vector<std::string> names_;
};

constexpr int kSamples = 2;

/// The diaries of all slabs: a forward and a backward pass through two blocks, windows and shifted ones.
std::vector<std::vector<std::string>> diaries(int slabs) {
  const TokenGrid grid(Grid::gaussian(32, 36), 2);  // 16 x 18 tokens
  NetworkShape shape{.patch = 2, .width = 64, .blocks = 2, .heads = 4, .windows = {{2, 3}}, .mlp_ratio = 2};
  shape.global_every = 3;  // none of them: windows and shifted ones
  std::vector<std::vector<std::string>> all(static_cast<std::size_t>(slabs));
  parallel::run_on_threads(slabs, [&](const parallel::Communicator& threads) {
    const auto diary = std::make_shared<Diary>();
    const parallel::Communicator world =
        parallel::observed(parallel::Communicator(std::make_shared<LateTransport>(threads.transport())), diary);
    const std::shared_ptr<Backend> backend = make_backend("cpu", 1);
    const Slab slab(grid, {world, 8}, 2);
    ParameterStore store(DType::f32);
    const Trunk trunk(store, shape, grid, slab, DType::f32, host_memory());
    testing::randomise(store);
    store.allocate_gradients();
    const std::int64_t mine = kSamples * slab.token_count(), width = shape.width;
    Operands operands(DType::f32);
    const Tensor x = operands.add({mine, width}, "x"), modulation = operands.add({kSamples, 6 * width}, "modulation");
    Trunk::Activations a;
    const Trunk::Watch watch{
        {}, {}, nullptr, [&](std::size_t layer, const char* what, bool begins) {
          diary->lines.push_back(fmt::format("{} of layer {} {}", what, layer, begins ? "begins" : "ends"));
        }};
    testing::run_planned(*backend, Precision{DType::f32, DType::f32}, [&](Context& ctx) {
      diary->lines.clear();
      Tensor in = ctx.take(x.shape), d = ctx.take(x.shape),
             dmodulation = ctx.take({slab.chunks_here() * kSamples, 6 * width});
      ctx->copy(ctx, x, in);
      ctx->copy(ctx, x, d);
      ctx->fill(ctx, dmodulation, 0);
      trunk.forward(
          ctx, in, modulation, a, [](std::size_t) { return Recompute::none; }, watch);
      trunk.backward(ctx, a, d, dmodulation, watch);
    });
    all[static_cast<std::size_t>(world.rank())] = diary->lines;
  });
  return all;
}

TEST(TrunkOverlap, RowsLeaveBehindTheEdgeAndComeWhileInnerSequencesAreWorkedOn) {
  for (const auto& lines : diaries(2)) {
    std::string text;
    for (const std::string& line : lines) text += line + "\n";
    SCOPED_TRACE(text);
    const auto at = [&](const std::string& line) {
      const auto found = std::find(lines.begin(), lines.end(), line);
      EXPECT_NE(found, lines.end()) << line;
      return found - lines.begin();
    };
    // Moves: to windows, to shifted ones, row after row; and back.
    std::vector<std::pair<std::ptrdiff_t, std::ptrdiff_t>> moves;
    for (std::size_t i = 0; i < lines.size(); ++i)
      if (lines[i].ends_with("leaves"))
        moves.emplace_back(static_cast<std::ptrdiff_t>(i),
                           at(lines[i].substr(0, lines[i].size() - std::string("leaves").size()) + "is over"));
    ASSERT_EQ(moves.size(), 6U);
    const auto during = [&](const std::string& work, std::size_t move) {
      EXPECT_GT(at(work + " begins"), moves[move].first);
      EXPECT_LT(at(work + " ends"), moves[move].second);
    };
    // A rank has rows for its neighbour in one of the two layers: at its northern edge in windows, at its southern one
    // in shifted ones.
    const bool gives = std::count(lines.begin(), lines.end(), "forward, while rows go of layer 0 begins") > 0;
    const bool gets = std::count(lines.begin(), lines.end(), "forward, while rows come of layer 1 begins") > 0;
    EXPECT_TRUE(gives || gets);
    if (gives) {
      EXPECT_LT(at("forward, the edge of layer 0 ends"), moves[1].first);
      during("forward, while rows go of layer 0", 1);
    }
    if (gets) {
      during("forward, while rows come of layer 1", 1);
      EXPECT_GT(at("forward, the edge of layer 1 begins"), moves[1].second);
    }
    // Backward, the input's gradient leaves ahead of what the weights' takes.
    during("backward, weights of layer 1", 4);
    during("backward, weights of layer 0", 5);
    EXPECT_GT(at("backward, tokens of layer 0 begins"), moves[4].second);
  }
}

/// 4 sequences of 32 tokens.
struct CutSample {
  TokenGrid grid{Grid::gaussian(32, 64), 2};  // 16 x 32 tokens
  Slab slab{grid, {parallel::imagined(1, 4), 4}, 4};
  LayerTokens tokens{draft_windows(grid, 4, 8, false, 8), slab, Cut::by_row, DType::f32, host_memory()};
  LayerCut cut(const std::vector<int>& arriving, const std::vector<int>& leaving) const {
    const auto rows = [&](const std::vector<int>& sequences) {
      std::vector<bool> list(static_cast<std::size_t>(tokens.count()));
      for (const int s : sequences) list[static_cast<std::size_t>(32 * s + 5)] = true;
      return list;
    };
    return {tokens, rows(arriving), rows(leaving)};
  }
};

using Rows = std::vector<std::pair<std::int64_t, std::int64_t>>;

Rows rows(const std::vector<LayerCut::Part>& parts) {
  Rows list;
  for (const LayerCut::Part& part : parts) list.emplace_back(part.first, part.first + part.table.token_count());
  return list;
}

TEST(LayerCut, TheEdgeIsBetweenHalvesOfTheRest) {
  const CutSample sample;
  ASSERT_EQ(sample.tokens.count(), 128);
  const LayerCut cut = sample.cut({0}, {0, 3});
  EXPECT_EQ(rows(cut.before()), (Rows{{32, 64}}));
  EXPECT_EQ(rows(cut.edge()), (Rows{{0, 32}, {96, 128}}));
  EXPECT_EQ(rows(cut.behind()), (Rows{{64, 96}}));
  EXPECT_EQ(cut.edge()[1].table.offsets, (std::vector<std::int32_t>{0, 32}));
}

TEST(LayerCut, WhereRowsOnlyComeOrOnlyGoAllOfTheRestIsOnOneSide) {
  const CutSample sample;
  EXPECT_EQ(rows(sample.cut({3}, {}).before()), (Rows{{0, 96}}));
  EXPECT_TRUE(sample.cut({3}, {}).behind().empty());
  EXPECT_EQ(rows(sample.cut({}, {3}).behind()), (Rows{{0, 96}}));
  EXPECT_TRUE(sample.cut({}, {3}).before().empty());
  // All rows go, as to attention across windows: none of them early.
  EXPECT_EQ(rows(sample.cut({0}, {0, 1, 2, 3}).before()), (Rows{{32, 128}}));
  EXPECT_EQ(rows(sample.cut({0, 1, 2, 3}, {0}).behind()), (Rows{{32, 128}}));
}

TEST(LayerCut, ThereIsNoneWithoutAnEdgeOrWithLittleBesides) {
  const CutSample sample;
  EXPECT_TRUE(sample.cut({}, {}).none());
  EXPECT_TRUE(sample.cut({0, 1, 2, 3}, {0, 1, 2, 3}).none());
  EXPECT_TRUE(sample.cut({0, 1, 2}, {}).none()) << "32 rows are left";
}

}  // namespace
}  // namespace zonda::model
