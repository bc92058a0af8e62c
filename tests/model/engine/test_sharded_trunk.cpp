// A trunk whose tokens are shared by ranks gives the bits of one that is not.
#include <gtest/gtest.h>

#include <cstring>
#include <map>
#include <mutex>

#include "model/network/chunk_sum.hpp"
#include "model/network/trunk.hpp"
#include "network_sample.hpp"
#include "parallel/canonical.hpp"
#include "parallel/counting.hpp"
#include "parallel/layout/mesh.hpp"

namespace zonda::model {
namespace {

using testing::get;
using testing::Operands;
using testing::Precision;

NetworkShape shape_of(int rank) {
  NetworkShape shape{.patch = 2, .width = 64, .blocks = 6, .heads = 4, .windows = {{2, 3}, {4, 6}}, .mlp_ratio = 2};
  shape.rank = rank;
  if (rank > 0) shape.lead_edges = {1};
  return shape;
}

/// What one rank, or all of them put together, makes of the same input.
struct Outcome {
  std::vector<double> output, input_gradient, modulation_gradient, tangent;
  std::map<std::string, std::vector<double>> weight_gradients;  // of whole parameters
  bool operator==(const Outcome&) const = default;
};

struct Case {
  std::string name;
  std::string backend;
  Precision precision;
  int rank = 0;
  Recompute recompute = Recompute::none;
  int global_every = 0;  ///< 7: windows and shifted ones in turn, of which rows of the edge travel
  int samples = 2;       ///< that travel in turn; the halves of one
};

std::vector<double> numbers(const Tensor& t) {
  std::vector<double> list;
  for (std::int64_t i = 0; i < t.count(); ++i) list.push_back(get(t, i));
  return list;
}

/// Adds what a rank's rows of every sample are into their places of the whole field.
void put(const std::vector<double>& mine, const TokenOrder& order, int rank, std::int64_t width,
         std::vector<double>& whole) {
  const std::int64_t samples = static_cast<std::int64_t>(mine.size()) / (order.count(rank) * width);
  const auto tokens = static_cast<std::int64_t>(order.tokens.size());
  whole.resize(static_cast<std::size_t>(samples * tokens * width));
  for (std::int64_t sample = 0; sample < samples; ++sample)
    for (std::int64_t i = 0; i < order.count(rank); ++i) {
      const std::int64_t token = order.tokens[static_cast<std::size_t>(order.rank_begin(rank) + i)];
      std::copy_n(mine.begin() + (sample * order.count(rank) + i) * width, width,
                  whole.begin() + (sample * tokens + token) * width);
    }
}

Outcome run(const Case& c, int slabs, int chunks, int sharing_heads = 1) {
  const TokenGrid grid(Grid::gaussian(32, 36), 2);  // 16 x 18 tokens
  const int samples = c.samples;
  NetworkShape shape = shape_of(c.rank);
  shape.global_every = c.global_every;
  Outcome whole;
  std::mutex mutex;
  const parallel::MeshShape mesh_shape =
      parallel::parse_mesh("spatial=" + std::to_string(slabs) + ",tensor=" + std::to_string(sharing_heads));
  parallel::run_on_threads(slabs * sharing_heads, [&](const parallel::Communicator& all) {
    const parallel::Mesh mesh(all, mesh_shape);
    const parallel::Communicator& world = mesh.along(parallel::Axis::spatial);
    const parallel::Communicator& heads_over = mesh.along(parallel::Axis::tensor);
    const std::shared_ptr<Backend> backend = make_backend(c.backend, 1);
    const DType dtype = c.precision.wide;
    const Slab slab(grid, {world, chunks}, 2);
    ParameterStore store(dtype);
    const Trunk trunk(store, shape, grid, slab, dtype, host_memory(), heads_over);
    testing::randomise(store);
    store.allocate_gradients();
    if (c.precision.half != dtype) {
      store.allocate_copies();
      for (std::int64_t i = 0; i < store.extent(); ++i) testing::set(store.copies(), i, get(store.values(), i));
    }
    const TokenOrder order = raster_order(slab);
    const std::int64_t width = shape.width, tokens = grid.count(), mine = slab.token_count();
    const auto own = [&](const std::string& seed) {
      return [&, seed, random = Philox(3, seed)](std::int64_t i) {
        const std::int64_t sample = i / (mine * width), token = i / width % mine;
        const std::int64_t there = order.tokens[static_cast<std::size_t>(order.rank_begin(world.rank()) + token)];
        return double(float(random.normal(static_cast<std::uint64_t>((sample * tokens + there) * width + i % width))));
      };
    };
    Operands operands(dtype);
    const Tensor x = operands.add({samples * mine, width}, own("x")),
                 dy = operands.add({samples * mine, width}, own("dy")),
                 modulation = operands.add({samples, 6 * width}, "modulation", 0.5),
                 output = operands.zeros({samples * mine, width}), dx = operands.zeros({samples * mine, width}),
                 moved = operands.zeros({samples * mine, width}), total = operands.zeros({samples, 6 * width});
    const std::int64_t here = chunks > 1 ? slab.chunks_here() : 1;
    const std::vector<std::int32_t> both{1, 0}, buckets(both.begin(), both.begin() + samples);
    Trunk::Activations a;
    const auto recompute = [&](std::size_t) { return c.recompute; };
    testing::run_planned(*backend, c.precision, [&](Context& ctx) {
      if (c.rank > 0) ctx.buckets = buckets;
      Tensor in = ctx.take(x.shape);
      ctx->copy(ctx, x, in);
      trunk.forward(ctx, in, modulation, a, recompute, {});
      ctx->copy(ctx, a.output, output);
      Tensor d = ctx.take(x.shape), dmodulation = ctx.take({here * samples, 6 * width});
      ctx->copy(ctx, dy, d);
      ctx->fill(ctx, dmodulation, 0);
      trunk.backward(ctx, a, d, dmodulation, {});
      ctx->copy(ctx, d, dx);
      ctx->fill(ctx, total, 0);
      const std::vector<std::int64_t> offsets = slab.chunk_offsets();
      const ChunkScope scope(ctx, chunks > 1 ? std::span(offsets) : std::span<const std::int64_t>{});
      sum_over_chunks(ctx, total, [&](std::size_t chunk, const Tensor& into) {
        ctx->add(ctx, dmodulation.slice(static_cast<std::int64_t>(chunk) * samples, samples), into);
      });
    });
    if (c.recompute == Recompute::none && c.precision.half == dtype) {
      Trunk::Activations b;
      testing::run_planned(*backend, c.precision, [&](Context& ctx) {
        if (c.rank > 0) ctx.buckets = buckets;
        Tensor in = ctx.take(x.shape), d = ctx.take(x.shape);
        ctx->copy(ctx, x, in);
        trunk.forward(ctx, in, modulation, b, recompute, {});
        ctx->copy(ctx, dy, d);
        ctx->copy(ctx, trunk.tangent(ctx, b, d, {}), moved);
      });
    }
    const auto over_ranks = [&](const Tensor& t) {
      const std::vector<double> node = numbers(t);
      std::vector<double> sum(node.size());
      if (t.dtype == DType::f64) {
        parallel::canonical_all_reduce(world, static_cast<std::size_t>(slabs), node.size(), std::span(node),
                                       std::span(sum));
        return sum;
      }
      const std::vector<float> narrow(node.begin(), node.end());
      std::vector<float> narrow_sum(node.size());
      parallel::canonical_all_reduce(world, static_cast<std::size_t>(slabs), node.size(), std::span(narrow),
                                     std::span(narrow_sum));
      return std::vector<double>(narrow_sum.begin(), narrow_sum.end());
    };
    const std::vector<double> weights = over_ranks(store.gradients()), conditioning = over_ranks(total);
    const std::scoped_lock lock(mutex);
    if (heads_over.rank() == 0) {
      put(numbers(output), order, world.rank(), width, whole.output);
      put(numbers(dx), order, world.rank(), width, whole.input_gradient);
      put(numbers(moved), order, world.rank(), width, whole.tangent);
      whole.modulation_gradient = conditioning;
    }
    for (const Parameter& p : store.list()) {
      std::vector<double>& numbers_of_whole = whole.weight_gradients[p.name];
      numbers_of_whole.resize(static_cast<std::size_t>(p.cut ? p.cut->whole.count() : p.count));
      for (std::int64_t i = 0; i < p.count; ++i)
        numbers_of_whole[static_cast<std::size_t>(p.cut ? p.cut->index(i) : i)] =
            weights[static_cast<std::size_t>(p.offset + i)];
    }
  });
  return whole;
}

double worst_difference(const std::vector<double>& a, const std::vector<double>& b) {
  double worst = 0, size = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    worst = std::max(worst, std::abs(a[i] - b[i]));
    size = std::max(size, std::abs(a[i]));
  }
  return worst / size;
}

class ShardedTrunk : public ::testing::TestWithParam<Case> {};

TEST_P(ShardedTrunk, HasTheSameBitsOnAnyNumberOfRanks) {
  const Outcome serial = run(GetParam(), 1, 8);
  ASSERT_GT(serial.weight_gradients.size(), 0U);
  for (const int ranks : {2, 4, 8}) {
    const Outcome shared = run(GetParam(), ranks, 8);
    EXPECT_EQ(serial.output, shared.output) << ranks << " ranks";
    EXPECT_EQ(serial.input_gradient, shared.input_gradient) << ranks << " ranks";
    EXPECT_EQ(serial.modulation_gradient, shared.modulation_gradient) << ranks << " ranks";
    EXPECT_EQ(serial.weight_gradients, shared.weight_gradients) << ranks << " ranks";
    EXPECT_EQ(serial.tangent, shared.tangent) << ranks << " ranks";
  }
}

double worst_difference(const Outcome& a, const Outcome& b) {
  double worst = std::max({worst_difference(a.output, b.output), worst_difference(a.input_gradient, b.input_gradient),
                           worst_difference(a.modulation_gradient, b.modulation_gradient)});
  for (const auto& [name, gradient] : a.weight_gradients)
    worst = std::max(worst, worst_difference(gradient, b.weight_gradients.at(name)));
  return worst;
}

TEST_P(ShardedTrunk, SharedHeadsChangeSumsByRoundingAlone) {
  const Case& c = GetParam();
  const double bound = c.precision.wide == DType::f64 ? 1e-12 : c.precision.half == DType::bf16 ? 5e-2 : 2e-5;
  const Outcome serial = run(c, 1, 4);
  for (const int ranks : {2, 4}) EXPECT_LT(worst_difference(serial, run(c, 1, 4, ranks)), bound) << ranks << " ranks";
  // The bits then depend on the ranks that share heads alone.
  EXPECT_EQ(run(c, 1, 4, 2), run(c, 2, 4, 2));
}

TEST_P(ShardedTrunk, ChunksChangeSumsByRoundingAlone) {
  const double bound = GetParam().precision.wide == DType::f64 ? 1e-13 : 1e-5;
  const Outcome whole = run(GetParam(), 1, 1), chunked = run(GetParam(), 1, 8);
  EXPECT_EQ(whole.output, chunked.output);
  EXPECT_EQ(whole.input_gradient, chunked.input_gradient);
  EXPECT_EQ(whole.tangent, chunked.tangent);
  EXPECT_LT(worst_difference(whole, chunked), bound);
}

constexpr Precision f64{DType::f64, DType::f64}, f32{DType::f32, DType::f32}, mixed{DType::bf16, DType::f32};
INSTANTIATE_TEST_SUITE_P(All, ShardedTrunk,
                         ::testing::Values(Case{"f64", "reference", f64}, Case{"f32", "cpu", f32},
                                           Case{"mixed", "cpu", mixed}, Case{"adapters", "cpu", f32, 4},
                                           Case{"computed_again", "cpu", f32, 0, Recompute::block},
                                           Case{"shifted", "cpu", f32, 0, Recompute::none, 7},
                                           Case{"shifted_mixed_adapters", "cpu", mixed, 2, Recompute::none, 7},
                                           Case{"shifted_computed_again", "cpu", f32, 2, Recompute::mlp, 7},
                                           Case{"one_sample", "cpu", f32, 0, Recompute::none, 0, 1},
                                           Case{"one_sample_mixed_adapters", "cpu", mixed, 2, Recompute::mlp, 0, 1}),
                         [](const auto& tested) { return tested.param.name; });

TEST(TokenMove, SendsHalfAWindowOfRowsToShiftedWindows) {
  const TokenGrid grid(Grid::gaussian(64, 72), 2);  // 32 x 36 tokens
  parallel::run_on_threads(4, [&](const parallel::Communicator& world) {
    const auto traffic = std::make_shared<parallel::Traffic>();
    const Slab slab(grid, {parallel::counted(world, traffic), 4}, 4);
    const LayerTokens windows(draft_windows(grid, 4, 6, false, 8), slab, Cut::by_row, DType::f32, host_memory()),
        shifted(draft_windows(grid, 4, 6, true, 8), slab, Cut::by_row, DType::f32, host_memory()),
        across(draft_across_windows(grid, 4, 6, 8), slab, Cut::evenly, DType::f32, host_memory());
    EXPECT_TRUE(TokenMove(raster_order(slab), raster_order(slab), slab).nothing());
    // A window that begins in a slab stays with it: half a window's rows come from the south, and go to the north.
    const TokenMove there(windows.order(), shifted.order(), slab), back(shifted.order(), windows.order(), slab);
    const std::int64_t half = 2 * 36;
    EXPECT_EQ(there.rows_sent(), world.rank() > 0 ? half : 0);
    EXPECT_EQ(back.rows_sent(), world.rank() < 3 ? half : 0);
    EXPECT_EQ(back.rows_sent(), there.rows_received());
    // Tokens across windows come from everywhere.
    const TokenMove spread(windows.order(), across.order(), slab);
    EXPECT_EQ(spread.rows_sent(), slab.token_count() * 3 / 4);
    EXPECT_EQ(spread.messages_sent(), 3);
    EXPECT_TRUE(spread.is_thorough() && !there.is_thorough());

    const std::int64_t width = 5;
    Operands operands(DType::f32);
    const Tensor x = operands.add({2 * windows.count(), width}, "rows of " + std::to_string(world.rank()));
    const Tensor again = operands.zeros(x.shape);
    const std::shared_ptr<Backend> backend = make_backend("reference");
    for (const auto* move : {&there, &spread}) {
      const std::uint64_t before = traffic->bytes();
      testing::run_planned(*backend, f32, [&](Context& ctx) {
        Tensor rows = ctx.take(x.shape);
        ctx->copy(ctx, x, rows);
        move->forward(ctx, 2, rows);
        move->backward(ctx, 2, rows);
        ctx->copy(ctx, rows, again);
      });
      EXPECT_EQ(std::memcmp(x.data, again.data, x.bytes()), 0);
      EXPECT_EQ(traffic->bytes() - before, static_cast<std::uint64_t>(2 * width * 4) *
                                               static_cast<std::uint64_t>(move->rows_sent() + move->rows_received()));
    }
    // In portions it is the same move, of more messages.
    for (const Dispatch dispatch : {Dispatch::at_once, Dispatch::by_halves, Dispatch::by_samples}) {
      ASSERT_TRUE(spread.has_room_for(dispatch));
      const std::int64_t samples = dispatch == Dispatch::by_halves ? 1 : 2;
      const Tensor some = x.slice(0, samples * windows.count()),
                   moved = operands.zeros({samples * across.count(), width}), wanted = operands.zeros(moved.shape);
      std::uint64_t messages = 0, bytes = 0;
      testing::run_planned(*backend, f32, [&](Context& ctx) {
        Tensor rows = ctx.take(some.shape), plain = ctx.take(some.shape);
        ctx->copy(ctx, some, rows);
        ctx->copy(ctx, some, plain);
        spread.forward(ctx, samples, plain);
        ctx->copy(ctx, plain, wanted);
        messages = traffic->messages();
        bytes = traffic->bytes();
        TokenMove::Passage passage = spread.begin(ctx, samples, TokenMove::Way::forward, rows, dispatch);
        spread.send(ctx, passage, rows, 1);
        spread.keep(ctx, passage, rows);
        for (std::size_t portion = 1; portion <= spread.portions(dispatch); ++portion) {
          EXPECT_TRUE(passage.under_way());
          TokenMove::finish(ctx, passage, portion);
        }
        EXPECT_FALSE(passage.under_way());
        ctx->copy(ctx, passage.moved, moved);
      });
      EXPECT_EQ(std::memcmp(moved.data, wanted.data, moved.bytes()), 0);
      EXPECT_EQ(traffic->messages() - messages, static_cast<std::uint64_t>(spread.messages_sent(dispatch)));
      EXPECT_EQ(traffic->bytes() - bytes,
                static_cast<std::uint64_t>(samples * width * 4) * static_cast<std::uint64_t>(spread.rows_sent()));
    }
    EXPECT_EQ(spread.portions(Dispatch::by_halves), 3U);
    EXPECT_EQ(TokenMove(raster_order(slab), across.order(), slab).portions(Dispatch::by_halves), 2U);
    EXPECT_EQ(TokenMove(across.order(), raster_order(slab), slab).portions(Dispatch::by_halves), 2U);
    EXPECT_FALSE(there.has_room_for(Dispatch::by_halves)) << "most rows stay";
  });
}

TEST(TokenMove, AllRowsArriveWhereverTheyAreCut) {
  for (const int rows : {14, 18, 22})
    for (const int window : {2, 3, 5}) {
      const TokenGrid grid(Grid::gaussian(static_cast<std::size_t>(2 * rows), 24), 2);
      parallel::run_on_threads(2, [&](const parallel::Communicator& world) {
        const Slab slab(grid, {world, 2}, window);
        for (const bool is_shifted : {false, true}) {
          const LayerTokens layer(draft_windows(grid, window, 4, is_shifted, 8), slab, Cut::by_row, DType::f32,
                                  host_memory());
          std::vector<std::int32_t> seen = layer.order().tokens;
          std::sort(seen.begin(), seen.end());
          EXPECT_EQ(seen, raster_order(slab).tokens);
          EXPECT_EQ(layer.order().count(world.rank()), layer.count());
        }
      });
    }
}

TEST(SharedHeads, MustDivide) {
  const TokenGrid grid(Grid::gaussian(32, 36), 2);
  parallel::run_on_threads(3, [&](const parallel::Communicator& ranks) {
    ParameterStore store;
    const Slab slab(grid, {}, 2);
    EXPECT_THROW(Trunk(store, shape_of(0), grid, slab, DType::f32, host_memory(), ranks), Error);
  });
}

TEST(GlobalBlocks, AreRefusedWhereLatitudeIsCut) {
  NetworkShape shape = shape_of(0);
  shape.global_every = 3;
  const TokenGrid grid(Grid::gaussian(32, 36), 2);
  ParameterStore store;
  const Slab slab(grid, {parallel::Communicator::self(), 2}, 2);
  EXPECT_THROW(Trunk(store, shape, grid, slab, DType::f32, host_memory()), Error);
}

}  // namespace
}  // namespace zonda::model
