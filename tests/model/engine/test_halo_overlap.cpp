// Rows of halos travel while the slab's inner rows are worked on: the order of what a rank does.
#include <gtest/gtest.h>

#include "model/network/depthwise.hpp"
#include "model/network/embedding.hpp"
#include "model/network/head.hpp"
#include "network_sample.hpp"
#include "operation_bench.hpp"
#include "tests/parallel/diary.hpp"

namespace zonda::model {
namespace {

using testing::Operands;

/// What the ranks of 2 slabs do in `passes(ctx, store, grid, slab, numbers, watch)`, of `rows` rows of grid points.
template <class Passes>
std::vector<parallel::DiaryReading> diaries(int rows, Passes&& passes) {
  const TokenGrid grid(Grid::latlon(static_cast<std::size_t>(rows), 12, rows % 2 == 1), 2);
  std::vector<std::vector<std::string>> lines(2);
  parallel::run_on_threads(2, [&](const parallel::Communicator& threads) {
    const auto diary = std::make_shared<parallel::Diary>();
    const Slab slab(grid, {parallel::in_diary(threads, diary), 4}, 1);
    const auto backend = make_backend("cpu", 1);
    ParameterStore store(DType::f32);
    const auto run = passes(store, grid, slab);
    testing::randomise(store);
    store.allocate_gradients();
    const WorkWatch watch = [&](const char* what, bool begins) {
      diary->write(fmt::format("{} {}", what, begins ? "begins" : "ends"));
    };
    testing::run_planned(*backend, DType::f32, [&](Context& ctx) {
      diary->clear();
      ctx.chunks = slab.chunk_offsets();
      run(ctx, ctx.planning() ? WorkWatch() : watch);
    });
    lines[static_cast<std::size_t>(threads.rank())] = diary->lines();
  });
  std::vector<parallel::DiaryReading> readings;
  for (std::vector<std::string>& of_rank : lines) readings.emplace_back(std::move(of_rank), "all_to_all");
  return readings;
}

auto head_passes(std::int64_t samples) {
  return [samples](ParameterStore& store, const TokenGrid& grid, const Slab& slab) {
    const auto head = std::make_shared<Head>(store, grid, slab, 16, 3);
    const auto numbers = std::make_shared<Operands>(DType::f32);
    const Shape image{samples, 3, static_cast<std::int64_t>(slab.image_rows().size()), 12};
    const Tensor tokens = numbers->add({samples * slab.token_count(), 16}, "tokens"), dy = numbers->add(image, "dy"),
                 y = numbers->zeros(image), dtokens = numbers->zeros(tokens.shape);
    return [=, kept = numbers, saved = std::make_shared<Head::Saved>()](Context& ctx, const WorkWatch& watch) {
      head->forward(ctx, tokens, y, *saved, watch);
      head->backward(ctx, tokens, *saved, dy, dtokens, watch);
    };
  };
}

TEST(HaloOverlap, TheHeadsConvolutionsGoOnWhileRowsCome) {
  for (const parallel::DiaryReading& diary : diaries(64, head_passes(2))) {
    SCOPED_TRACE(diary.text());
    ASSERT_EQ(diary.exchanges(), 4U) << "the image, the hidden image; the output's gradient, the hidden image's";
    diary.expect_during("forward, first convolution", 0);
    EXPECT_LT(diary.is_over(0), diary.leaves(1)) << "the hidden image's edge follows from the image's halo";
    diary.expect_during("forward, second convolution", 1);
    diary.expect_during("backward, second convolution", 2);
    EXPECT_LT(diary.is_over(2), diary.leaves(3));
    diary.expect_during("backward, first convolution", 3);
  }
}

TEST(HaloOverlap, AFewRowsAreWaitedFor) {
  for (const parallel::DiaryReading& diary : diaries(16, head_passes(1))) {
    SCOPED_TRACE(diary.text());
    ASSERT_EQ(diary.exchanges(), 4U);
    EXPECT_GT(diary.at("forward, first convolution begins"), diary.is_over(0));
    EXPECT_GT(diary.at("backward, first convolution begins"), diary.is_over(3));
  }
}

TEST(HaloOverlap, TheLiftsConvolutionsGoOnWhileRowsCome) {
  const auto passes = [](ParameterStore& store, const TokenGrid& grid, const Slab& slab) {
    const auto convolution = std::make_shared<Depthwise>(store, "convolution", grid, slab, 20);
    const auto numbers = std::make_shared<Operands>(DType::f32);
    const Shape shape{2 * slab.token_count(), 20};
    const Tensor x = numbers->add(shape, "x"), d = numbers->add(shape, "d"), y = numbers->zeros(shape);
    return [=, kept = numbers](Context& ctx, const WorkWatch& watch) {
      convolution->forward(ctx, x, y, watch);
      convolution->backward(ctx, x, d, watch);
    };
  };
  for (const parallel::DiaryReading& diary : diaries(64, passes)) {
    SCOPED_TRACE(diary.text());
    ASSERT_EQ(diary.exchanges(), 3U) << "the tokens; their gradients and, for the weights', the tokens again";
    diary.expect_during("forward, convolution", 0);
    diary.expect_during("backward, convolution", 1);
    diary.expect_during("backward, convolution", 2);
    EXPECT_LT(diary.is_over(1), diary.is_over(2));
  }
}

TEST(HaloOverlap, ARowThatPatchesShareComesWhileTheHeadsInputIsNormedAgain) {
  for (const parallel::DiaryReading& diary : diaries(65, head_passes(1))) {
    SCOPED_TRACE(diary.text());
    ASSERT_EQ(diary.exchanges(), 6U) << "the sum of what patches share, and at the end its gradient besides";
    EXPECT_LT(diary.is_over(0), diary.leaves(1));
    diary.expect_during("forward, first convolution", 1);
    diary.expect_during("backward, first convolution", 4);
    diary.expect_during("backward, norm", 5);
  }
}

}  // namespace
}  // namespace zonda::model
