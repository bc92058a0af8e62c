// Modules on slabs of latitude: the bits of one rank on any number of ranks; what the ranks send, by formula.
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <memory>
#include <numeric>
#include <optional>

#include "core/grid.hpp"
#include "model/network/depthwise.hpp"
#include "model/network/embedding.hpp"
#include "model/network/head.hpp"
#include "operation_bench.hpp"
#include "parallel/canonical.hpp"
#include "parallel/counting.hpp"

namespace zonda::model::testing {
namespace {

using parallel::Communicator;
using Sent = parallel::HaloExchange::Traffic;

/// Numbers of all ranks, [outer, rows, inner], of which a rank has some rows.
struct Field {
  std::int64_t outer, rows, inner;
  parallel::Range mine;
  Shape local;
  std::int64_t count() const { return outer * rows * inner; }
  /// f(number in the whole field, number in this rank's).
  template <class F>
  void for_each(F&& f) const {
    const auto here = static_cast<std::int64_t>(mine.size()), first = static_cast<std::int64_t>(mine.begin);
    for (std::int64_t o = 0; o < outer; ++o)
      for (std::int64_t r = 0; r < here; ++r)
        for (std::int64_t i = 0; i < inner; ++i) f((o * rows + first + r) * inner + i, (o * here + r) * inner + i);
  }
};

constexpr std::int64_t kBatch = 2;

Field image_of(const TokenGrid& grid, const Slab& slab, std::int64_t channels) {
  const PatchGeometry& p = grid.patches;
  const std::int64_t rows = p.token_rows * p.size + p.kernel_rows - p.size, columns = p.token_columns * p.size;
  const parallel::Range mine = slab.image_rows();
  return {kBatch * channels, rows, columns, mine, {kBatch, channels, static_cast<std::int64_t>(mine.size()), columns}};
}

Field tokens_of(const TokenGrid& grid, const Slab& slab, std::int64_t width) {
  return {kBatch,
          grid.patches.token_rows,
          grid.patches.token_columns * width,
          slab.token_rows(),
          {kBatch * slab.token_count(), width}};
}

/// A module from x to y on one rank's slab.
struct Part {
  Field x, y;
  std::function<void(Context&, const Tensor& x, const Tensor& y)> forward;
  std::function<void(Context&, const Tensor& x, const Tensor& dy, const Tensor& dx)> backward;
  std::function<void(Context&, const Tensor& x, const Tensor& dx, const Tensor& dy)> tangent;
  Sent forward_sent, backward_sent, tangent_sent;
};
using MakePart = std::function<Part(ParameterStore&, const TokenGrid&, const Slab&)>;

MakePart embedding_by_levels(bool by_level) {
  return [by_level](ParameterStore& store, const TokenGrid& grid, const Slab& slab) -> Part {
    const std::vector<int> groups{1, 0, 2, 1, 0};
    const auto e = std::make_shared<Embedding>(
        by_level ? Embedding(store, grid, slab, groups, LevelShape{16, 2}, 24, store.dtype())
                 : Embedding(store, grid, slab, 5, 24, store.dtype()));
    const Field x = image_of(grid, slab, 5);
    return {x,
            tokens_of(grid, slab, 24),
            [e](Context& ctx, const Tensor& in, const Tensor& out) { e->forward(ctx, in, out); },
            [e](Context& ctx, const Tensor& in, const Tensor& dy, const Tensor& dx) { e->backward(ctx, in, dy, dx); },
            [e](Context& ctx, const Tensor& in, const Tensor& dx, const Tensor& dy) { e->tangent(ctx, in, dx, dy); },
            e->forward_traffic(x.local, store.dtype()),
            e->backward_traffic(x.local, store.dtype(), true, true),
            e->tangent_traffic(x.local, store.dtype())};
  };
}

MakePart head_of(int channels) {
  return [channels](ParameterStore& store, const TokenGrid& grid, const Slab& slab) -> Part {
    const auto h = std::make_shared<Head>(store, grid, slab, 16, channels);
    const auto saved = std::make_shared<Head::Saved>();
    return {
        tokens_of(grid, slab, 16),
        image_of(grid, slab, channels),
        [=](Context& ctx, const Tensor& x, const Tensor& y) { h->forward(ctx, x, y, *saved); },
        [=](Context& ctx, const Tensor& x, const Tensor& dy, const Tensor& dx) { h->backward(ctx, x, *saved, dy, dx); },
        [=](Context& ctx, const Tensor& x, const Tensor& dx, const Tensor& dy) { h->tangent(ctx, x, *saved, dx, dy); },
        h->forward_traffic(kBatch, store.dtype()),
        h->backward_traffic(kBatch, store.dtype()),
        h->tangent_traffic(kBatch, store.dtype())};
  };
}

Part depthwise(ParameterStore& store, const TokenGrid& grid, const Slab& slab) {
  const auto c = std::make_shared<Depthwise>(store, "convolution", grid, slab, 20);
  const Field x = tokens_of(grid, slab, 20);
  return {x,
          x,
          [c](Context& ctx, const Tensor& in, const Tensor& y) { c->forward(ctx, in, y); },
          [c](Context& ctx, const Tensor& in, const Tensor& dy, const Tensor& dx) {
            ctx->copy(ctx, dy, dx);
            c->backward(ctx, in, dx);
          },
          [c](Context& ctx, const Tensor&, const Tensor& dx, const Tensor& dy) { c->tangent(ctx, dx, dy); },
          c->forward_traffic(x.local, store.dtype()),
          c->backward_traffic(x.local, store.dtype(), true),
          c->forward_traffic(x.local, store.dtype())};
}

struct Case {
  const char* name;
  Grid grid;
  MakePart make;
  int patch = 2;
};

std::vector<Case> cases() {
  // 19 rows of tokens: slabs differ.
  const Grid even = Grid::latlon(38, 12, false), odd = Grid::latlon(39, 12, true),
             region = Grid::regional(50, 12, 39, 0, 20, 14);
  const Grid tall = Grid::latlon(76, 6, false);  // slabs whose edges are worked on behind the rest
  return {{"embedding, even rows", even, embedding_by_levels(false)},
          {"embedding, shared rows", odd, embedding_by_levels(false)},
          {"embedding of a region", region, embedding_by_levels(false)},
          {"embedding by levels, even rows", even, embedding_by_levels(true)},
          {"embedding by levels, shared rows", odd, embedding_by_levels(true)},
          {"head, even rows", even, head_of(3)},
          {"head, shared rows", odd, head_of(3)},
          {"head of a region", region, head_of(3)},
          {"head of pixels", Grid::latlon(9, 12, false), head_of(2), 1},
          {"head of many channels", Grid::latlon(19, 6, true), head_of(32)},
          {"depthwise", even, depthwise},
          {"depthwise of a region", region, depthwise},
          {"head of tall slabs", tall, head_of(3)},
          {"depthwise of tall slabs", tall, depthwise}};
}

/// Of all ranks together; numbers as f64, which holds the others exactly.
struct Outcome {
  std::vector<double> y, dx, tangent, gradients;
};

std::vector<double> random(std::int64_t n, const std::string& name) {
  const Philox philox(5, name);
  std::vector<double> numbers;
  for (std::int64_t i = 0; i < n; ++i)
    numbers.push_back(static_cast<double>(static_cast<float>(philox.normal(static_cast<std::uint64_t>(i)))));
  return numbers;
}

Tensor local(Operands& numbers, const Field& field, const std::string& name) {
  const std::vector<double> whole = random(field.count(), name);
  const Tensor t = numbers.zeros(field.local);
  field.for_each([&](std::int64_t from, std::int64_t to) { set(t, to, whole[static_cast<std::size_t>(from)]); });
  return t;
}

void put(const Field& field, const Tensor& t, std::vector<double>& whole) {
  field.for_each([&](std::int64_t to, std::int64_t from) { whole[static_cast<std::size_t>(to)] = get(t, from); });
}

template <class T>
std::vector<double> over_ranks(const Communicator& ranks, const Tensor& nodes) {
  std::vector<T> total(static_cast<std::size_t>(nodes.count()));
  parallel::canonical_all_reduce(ranks, static_cast<std::size_t>(ranks.size()), total.size(),
                                 std::span<const T>(nodes.span<T>()), std::span(total));
  return {total.begin(), total.end()};
}

void on_rank(const Case& c, const Communicator& plain, int chunks, DType dtype, const char* backend_name,
             Outcome& outcome) {
  const auto traffic = std::make_shared<parallel::Traffic>();
  const auto backend = make_backend(backend_name, 1);
  const TokenGrid grid(c.grid, c.patch);
  const Slab slab(grid, {counted(plain, traffic), chunks}, 1);
  ParameterStore store(dtype);
  const Part part = c.make(store, grid, slab);
  store.allocate_values();
  for (ParameterId id = 0; id < static_cast<ParameterId>(store.list().size()); ++id) {
    const std::vector<double> drawn = random(store.at(id).count, store.at(id).name);
    for (std::int64_t i = 0; i < store.at(id).count; ++i)
      set(store.value(id), i, 0.2 * drawn[static_cast<std::size_t>(i)]);
  }
  store.zero_gradients();
  if (plain.is_root()) {
    outcome.y.resize(static_cast<std::size_t>(part.y.count()));
    outcome.tangent = outcome.y;
    outcome.dx.resize(static_cast<std::size_t>(part.x.count()));
  }

  Arena arena;
  Context ctx(*backend, arena, dtype);
  if (chunks > 1) ctx.chunks = slab.chunk_offsets();
  Operands numbers(dtype);
  const Tensor x = local(numbers, part.x, "x"), w = local(numbers, part.y, "w"), d = local(numbers, part.x, "d"),
               y = numbers.zeros(part.y.local), dy = numbers.zeros(part.y.local), dx = numbers.zeros(part.x.local);
  arena.begin_plan();
  part.forward(ctx, x, y);
  arena.protect();
  part.tangent(ctx, x, d, dy);
  part.backward(ctx, x, w, dx);
  arena.finish_plan();
  EXPECT_EQ(traffic->bytes(), 0U) << "planning sends nothing";
  arena.allocate();
  arena.poison();
  arena.rewind(0);
  std::uint64_t bytes = 0, messages = 0;
  const auto check_sent = [&](const Sent& formula, const char* pass) {
    EXPECT_EQ(traffic->bytes() - bytes, formula.bytes) << c.name << ", " << pass << " on rank " << plain.rank();
    EXPECT_EQ(traffic->messages() - messages, formula.messages) << c.name << ", " << pass;
    bytes = traffic->bytes(), messages = traffic->messages();
  };
  part.forward(ctx, x, y);
  check_sent(part.forward_sent, "forward");
  part.tangent(ctx, x, d, dy);
  check_sent(part.tangent_sent, "tangent");
  part.backward(ctx, x, w, dx);
  check_sent(part.backward_sent, "backward");
  plain.barrier();  // the root's arrays are there
  put(part.y, y, outcome.y);
  put(part.y, dy, outcome.tangent);
  put(part.x, dx, outcome.dx);
  const std::vector<double> gradients =
      dtype == DType::f64 ? over_ranks<double>(plain, store.gradients()) : over_ranks<float>(plain, store.gradients());
  if (plain.is_root()) outcome.gradients = gradients;
}

Outcome on_ranks(const Case& c, int ranks, int chunks, DType dtype, const char* backend) {
  Outcome outcome;
  parallel::run_on_threads(ranks,
                           [&](const Communicator& world) { on_rank(c, world, chunks, dtype, backend, outcome); });
  return outcome;
}

bool same_bytes(const std::vector<double>& a, const std::vector<double>& b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(double)) == 0;
}

double dot(const std::vector<double>& a, const std::vector<double>& b) {
  return std::inner_product(a.begin(), a.end(), b.begin(), 0.0);
}

void check_bits(DType dtype, const char* backend) {
  constexpr int chunks = 8;
  for (const Case& c : cases()) {
    const Outcome alone = on_ranks(c, 1, chunks, dtype, backend);
    EXPECT_GT(dot(alone.gradients, alone.gradients), 0) << c.name;
    for (const int ranks : {2, 4, 8}) {
      const Outcome shared = on_ranks(c, ranks, chunks, dtype, backend);
      EXPECT_TRUE(same_bytes(shared.y, alone.y)) << c.name << ", output, " << ranks << " ranks";
      EXPECT_TRUE(same_bytes(shared.tangent, alone.tangent)) << c.name << ", tangent, " << ranks << " ranks";
      EXPECT_TRUE(same_bytes(shared.dx, alone.dx)) << c.name << ", input gradient, " << ranks << " ranks";
      EXPECT_TRUE(same_bytes(shared.gradients, alone.gradients)) << c.name << ", gradients, " << ranks << " ranks";
    }
  }
}

TEST(SlabModules, GiveTheBitsOfOneRank) {
  check_bits(DType::f32, "cpu");
}
TEST(SlabModules, GiveTheBitsOfOneRankInTheReference) {
  check_bits(DType::f64, "reference");
}

TEST(SlabModules, HaveTheirAdjointsOverTheRanks) {
  for (const Case& c : cases()) {
    const Outcome o = on_ranks(c, 4, 8, DType::f64, "reference");
    const std::vector<double> w = random(static_cast<std::int64_t>(o.y.size()), "w"),
                              d = random(static_cast<std::int64_t>(o.dx.size()), "d");
    const double left = dot(o.tangent, w), right = dot(d, o.dx);
    EXPECT_LT(std::abs(left - right), 1e-12 * std::sqrt(dot(o.tangent, o.tangent) * dot(w, w))) << c.name;
  }
}

TEST(SlabModules, InChunksDifferOnlyByRounding) {
  for (const Case& c : cases()) {
    const Outcome whole = on_ranks(c, 1, 1, DType::f64, "reference"),
                  chunked = on_ranks(c, 1, 8, DType::f64, "reference");
    EXPECT_TRUE(same_bytes(whole.y, chunked.y)) << c.name;
    EXPECT_TRUE(same_bytes(whole.dx, chunked.dx)) << c.name;
    const double size = std::sqrt(dot(whole.gradients, whole.gradients));
    for (std::size_t i = 0; i < whole.gradients.size(); ++i)
      ASSERT_NEAR(whole.gradients[i], chunked.gradients[i], 1e-13 * size) << c.name << ", gradient " << i;
  }
}

TEST(SlabModules, SendOneRowToEachNeighbour) {
  // 8 rows of tokens of 2 x 2 grid points, 12 columns of grid points; four ranks.
  const TokenGrid even(Grid::latlon(16, 12, false), 2), odd(Grid::latlon(17, 12, true), 2);
  parallel::run_on_threads(4, [&](const Communicator& world) {
    const std::uint64_t neighbours = world.rank() == 0 || world.rank() == 3 ? 1 : 2, row = kBatch * 3 * 12 * 4,
                        north = world.rank() > 0 ? 1 : 0, south = world.rank() < 3 ? 1 : 0;
    for (const TokenGrid& grid : {even, odd}) {
      const bool shared = grid.patches.kernel_rows > grid.patches.size;
      const Slab slab(grid, {world, 8}, 1);
      ParameterStore store(DType::f32);
      const Head head(store, grid, slab, 8, 3);
      EXPECT_EQ(head.forward_traffic(kBatch, DType::f32).bytes, (2 * neighbours + (shared ? south : 0)) * row);
      EXPECT_EQ(head.backward_traffic(kBatch, DType::f32).bytes, (2 * neighbours + (shared ? north : 0)) * row);
      const Embedding embedding(store, grid, slab, 3, 8, DType::f32);
      const Shape x = image_of(grid, slab, 3).local;
      EXPECT_EQ(embedding.forward_traffic(x, DType::f32).bytes, shared ? north * row : 0);
      EXPECT_EQ(embedding.backward_traffic(x, DType::f32, true, true).bytes, shared ? (north + south) * row : 0);
      const Depthwise convolution(store, "convolution", grid, slab, 8);
      const Shape tokens = tokens_of(grid, slab, 8).local;
      EXPECT_EQ(convolution.forward_traffic(tokens, DType::f32).bytes, neighbours * kBatch * 6 * 8 * 4);
      EXPECT_EQ(convolution.backward_traffic(tokens, DType::f32, true).bytes, 2 * neighbours * kBatch * 6 * 8 * 4);
    }
  });
}

}  // namespace
}  // namespace zonda::model::testing
