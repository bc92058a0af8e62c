// Each module in the f64 reference: gradients against central differences, the adjoint identity, the tangent.
#include <gtest/gtest.h>

#include <cmath>

#include "core/error.hpp"
#include "core/grid.hpp"
#include "model/network/block.hpp"
#include "model/network/conditioning.hpp"
#include "model/network/depthwise.hpp"
#include "model/network/embedding.hpp"
#include "model/network/head.hpp"
#include "model/network/sequences.hpp"
#include "operation_bench.hpp"

namespace zonda::model::testing {
namespace {

/// A module from x to y with its parameters, whatever else it needs held fixed.
struct Module {
  Shape in, out;
  ParameterStore* store;
  std::function<void(Context&, const Tensor& x, const Tensor& y)> forward;
  std::function<void(Context&, const Tensor& x, const Tensor& dy, const Tensor& dx)> backward;
  std::function<void(Context&, const Tensor& x, const Tensor& dx, const Tensor& dy)> tangent;  ///< may be empty
};

class Harness {
 public:
  explicit Harness(const Module& module) : m_(module), backend_(make_backend("reference")), numbers_(DType::f64) {
    m_.store->allocate_values();
    for (ParameterId id = 0; id < static_cast<ParameterId>(m_.store->list().size()); ++id) {
      const Tensor value = m_.store->value(id);
      const Philox random(3, m_.store->at(id).name);
      for (std::int64_t i = 0; i < value.count(); ++i)
        set(value, i, m_.store->at(id).initial_value + 0.3 * random.normal(static_cast<std::uint64_t>(i)));
    }
    const Tensor none_x(nullptr, m_.in, DType::f64), none_y(nullptr, m_.out, DType::f64);
    Context ctx(*backend_, arena_, DType::f64);
    arena_.begin_plan();
    m_.forward(ctx, none_x, none_y);
    arena_.protect();
    tangent_ = arena_.position();
    if (m_.tangent) m_.tangent(ctx, none_x, none_x, none_y);
    backward_ = arena_.position();
    m_.backward(ctx, none_x, none_y, none_x);
    arena_.finish_plan();
    arena_.allocate();
    arena_.poison();
    x_ = numbers_.add(m_.in, "x");
    w_ = numbers_.add(m_.out, "w");
  }

  void check() {
    m_.store->zero_gradients();
    forward(x_);
    const Tensor dx = backward(w_);
    // Weight gradients now, before the checks move the parameters.
    for (ParameterId id = 0; id < static_cast<ParameterId>(m_.store->list().size()); ++id) check_parameter(id);

    const Tensor d = numbers_.add(m_.in, "d"), e = numbers_.add(m_.in, "e");
    constexpr double h = 1e-5;
    const Tensor above = forward(moved(x_, d, h)), below = forward(moved(x_, d, -h));
    const double expected = (dot(above, w_) - dot(below, w_)) / (2 * h);
    EXPECT_NEAR(dot(dx, d), expected, 1e-6 * std::max(1.0, std::abs(expected))) << "input gradient";
    if (!m_.tangent) return;

    forward(x_);
    const Tensor td = tangent(d), te = tangent(e);
    double error = 0, size = 0;
    for (std::int64_t i = 0; i < td.count(); ++i) {
      error = std::max(error, std::abs(get(td, i) - (get(above, i) - get(below, i)) / (2 * h)));
      size = std::max(size, std::abs(get(td, i)));
    }
    EXPECT_GT(size, 0);
    EXPECT_LE(error, 1e-6 * size) << "tangent";
    const double left = dot(td, w_), right = dot(d, dx);
    double scale = 0;
    for (std::int64_t i = 0; i < td.count(); ++i) scale += std::abs(get(td, i) * get(w_, i));
    EXPECT_NEAR(left, right, 1e-12 * scale) << "adjoint";
    const Tensor sum = tangent(moved(d, e, -2.5));
    for (std::int64_t i = 0; i < sum.count(); ++i)
      ASSERT_NEAR(get(sum, i), get(td, i) - 2.5 * get(te, i), 1e-12 * 10 * size) << "linearity";
  }

 private:
  Tensor moved(const Tensor& x, const Tensor& d, double h) {
    const Tensor t = numbers_.zeros(x.shape);
    for (std::int64_t i = 0; i < x.count(); ++i) set(t, i, get(x, i) + h * get(d, i));
    return t;
  }
  Tensor forward(const Tensor& x) {
    const Tensor y = numbers_.add(m_.out, "garbage");
    current_ = x;
    arena_.rewind(0);
    Context ctx(*backend_, arena_, DType::f64);
    m_.forward(ctx, x, y);
    return y;
  }
  Tensor backward(const Tensor& dy) {
    const Tensor dx = numbers_.add(m_.in, "garbage");
    arena_.rewind(backward_);
    Context ctx(*backend_, arena_, DType::f64);
    m_.backward(ctx, current_, dy, dx);
    return dx;
  }
  Tensor tangent(const Tensor& dx) {
    const Tensor dy = numbers_.add(m_.out, "garbage");
    arena_.rewind(tangent_);
    Context ctx(*backend_, arena_, DType::f64);
    m_.tangent(ctx, current_, dx, dy);
    return dy;
  }
  void check_parameter(ParameterId id) {
    const Tensor value = m_.store->value(id), gradient = m_.store->gradient(id);
    const Tensor direction = numbers_.add(value.shape, "parameter direction");
    constexpr double h = 1e-5;
    double side[2];
    for (int s = 0; s < 2; ++s) {
      const double step = s == 0 ? h : -h;
      for (std::int64_t i = 0; i < value.count(); ++i) set(value, i, get(value, i) + step * get(direction, i));
      side[s] = dot(forward(x_), w_);
      for (std::int64_t i = 0; i < value.count(); ++i) set(value, i, get(value, i) - step * get(direction, i));
    }
    const double expected = (side[0] - side[1]) / (2 * h);
    EXPECT_NEAR(dot(gradient, direction), expected, 1e-6 * std::max(1.0, std::abs(expected))) << m_.store->at(id).name;
  }

  Module m_;
  std::shared_ptr<Backend> backend_;
  Arena arena_;
  std::size_t tangent_ = 0, backward_ = 0;
  Operands numbers_;
  Tensor x_, w_, current_;
};

TEST(Module, Linear) {
  ParameterStore store(DType::f64);
  const Linear linear(store, "linear", 5, 4);
  Harness({{7, 5},
           {7, 4},
           &store,
           [&](Context& ctx, const Tensor& x, const Tensor& y) { linear.forward(ctx, x, y); },
           [&](Context& ctx, const Tensor& x, const Tensor& dy, const Tensor& dx) {
             linear.backward_weight(ctx, x, dy);
             linear.backward_input(ctx, dy, dx);
           },
           [&](Context& ctx, const Tensor&, const Tensor& dx, const Tensor& dy) { linear.tangent(ctx, dx, dy); }})
      .check();
}

/// The context of sums over so many chunks of a slab's tokens, row after row.
Context& chunked(Context& ctx, const Slab& slab) {
  if (slab.chunks() > 1) ctx.chunks = slab.chunk_offsets();
  return ctx;
}

Slab slab_of(const TokenGrid& tokens, int chunks) {
  return Slab(tokens, {parallel::Communicator::self(), chunks}, 1);
}

void check_embedding(const Grid& grid, int patch, int chunks = 1) {
  ParameterStore store(DType::f64);
  const TokenGrid tokens(grid, patch);
  const Slab slab = slab_of(tokens, chunks);
  const Embedding embedding(store, tokens, slab, 3, 8, DType::f64);
  const auto rows = static_cast<std::int64_t>(grid.nlat()), columns = static_cast<std::int64_t>(grid.nlon());
  Harness(
      {{2, 3, rows, columns},
       {2 * tokens.count(), 8},
       &store,
       [&](Context& ctx, const Tensor& x, const Tensor& y) { embedding.forward(ctx, x, y); },
       [&](Context& ctx, const Tensor& x, const Tensor& dy, const Tensor& dx) {
         embedding.backward(chunked(ctx, slab), x, dy, dx);
       },
       [&](Context& ctx, const Tensor& x, const Tensor& dx, const Tensor& dy) { embedding.tangent(ctx, x, dx, dy); }})
      .check();
}

TEST(Module, Embedding) {
  check_embedding(Grid::gaussian(4, 8), 2);
}
TEST(Module, EmbeddingOfAnOddNumberOfRows) {
  check_embedding(Grid::latlon(5, 8, true), 2);
}
TEST(Module, EmbeddingInChunks) {
  check_embedding(Grid::latlon(17, 8, true), 2, 8);
}

void check_level_embedding(const Grid& grid, int patch, int chunks = 1) {
  ParameterStore store(DType::f64);
  const TokenGrid tokens(grid, patch);
  const Slab slab = slab_of(tokens, chunks);
  const std::vector<int> levels{1, 0, 2, 1, 0};
  const Embedding embedding(store, tokens, slab, levels, LevelShape{8, 2}, 12, DType::f64);
  const auto rows = static_cast<std::int64_t>(grid.nlat()), columns = static_cast<std::int64_t>(grid.nlon());
  Harness(
      {{2, 5, rows, columns},
       {2 * tokens.count(), 12},
       &store,
       [&](Context& ctx, const Tensor& x, const Tensor& y) { embedding.forward(ctx, x, y); },
       [&](Context& ctx, const Tensor& x, const Tensor& dy, const Tensor& dx) {
         embedding.backward(chunked(ctx, slab), x, dy, dx);
       },
       [&](Context& ctx, const Tensor& x, const Tensor& dx, const Tensor& dy) { embedding.tangent(ctx, x, dx, dy); }})
      .check();
}

TEST(Module, EmbeddingByLevels) {
  check_level_embedding(Grid::gaussian(4, 8), 2);
}
TEST(Module, EmbeddingByLevelsOfAnOddNumberOfRows) {
  check_level_embedding(Grid::latlon(5, 8, true), 2);
}
TEST(Module, EmbeddingByLevelsInChunks) {
  check_level_embedding(Grid::latlon(17, 8, true), 2, 8);
}

TEST(Module, LevelsOfAnEmbeddingHaveChannels) {
  ParameterStore store(DType::f64);
  const TokenGrid tokens(Grid::gaussian(4, 8), 2);
  EXPECT_THROW(Embedding(store, tokens, slab_of(tokens, 1), std::vector<int>{}, LevelShape{8, 2}, 12, DType::f64),
               Error);
  EXPECT_THROW(Embedding(store, tokens, slab_of(tokens, 1), std::vector<int>{0, 2}, LevelShape{8, 2}, 12, DType::f64),
               Error);
}

void check_depthwise(bool periodic, int rows = 3, int chunks = 1) {
  ParameterStore store(DType::f64);
  TokenGrid tokens(Grid::latlon(static_cast<std::size_t>(rows), 4, false), 1);
  tokens.periodic = periodic;
  const Slab slab = slab_of(tokens, chunks);
  const Depthwise convolution(store, "convolution", tokens, slab, 6);
  Harness({{2 * tokens.count(), 6},
           {2 * tokens.count(), 6},
           &store,
           [&](Context& ctx, const Tensor& x, const Tensor& y) { convolution.forward(ctx, x, y); },
           [&](Context& ctx, const Tensor& x, const Tensor& dy, const Tensor& dx) {
             ctx->copy(ctx, dy, dx);
             convolution.backward(chunked(ctx, slab), x, dx);
           },
           [&](Context& ctx, const Tensor&, const Tensor& dx, const Tensor& dy) { convolution.tangent(ctx, dx, dy); }})
      .check();
}

TEST(Module, Depthwise) {
  check_depthwise(true);
}
TEST(Module, DepthwiseOfARegion) {
  check_depthwise(false);
}
TEST(Module, DepthwiseInChunks) {
  check_depthwise(true, 11, 8);
}

TEST(Module, AdaptedLinear) {
  ParameterStore store(DType::f64);
  Linear linear(store, "linear", 5, 4);
  linear.adapted(store, "linear", {2, 3});
  const std::vector<std::int32_t> buckets{2, 0};  // of two samples; nobody takes 1
  const auto with_buckets = [&](Context& ctx) -> Context& {
    ctx.buckets = buckets;
    return ctx;
  };
  Harness({{6, 5},
           {6, 4},
           &store,
           [&](Context& ctx, const Tensor& x, const Tensor& y) { linear.forward(with_buckets(ctx), x, y); },
           [&](Context& ctx, const Tensor& x, const Tensor& dy, const Tensor& dx) {
             linear.backward_weight(with_buckets(ctx), x, dy);
             linear.backward_input(ctx, dy, dx);
           },
           [&](Context& ctx, const Tensor&, const Tensor& dx, const Tensor& dy) {
             linear.tangent(with_buckets(ctx), dx, dy);
           }})
      .check();
  const Tensor unused = store.gradient(store.find("linear.adapter_in")).slice(1, 1);
  for (std::int64_t i = 0; i < unused.count(); ++i) EXPECT_EQ(get(unused, i), 0.0);
}

void check_head(const Grid& grid, int patch, int chunks = 1) {
  ParameterStore store(DType::f64);
  const TokenGrid tokens(grid, patch);
  const Slab slab = slab_of(tokens, chunks);
  const Head head(store, tokens, slab, 8, 3);
  Head::Saved saved;
  const auto rows = static_cast<std::int64_t>(grid.nlat()), columns = static_cast<std::int64_t>(grid.nlon());
  Harness(
      {{2 * tokens.count(), 8},
       {2, 3, rows, columns},
       &store,
       [&](Context& ctx, const Tensor& x, const Tensor& y) { head.forward(ctx, x, y, saved); },
       [&](Context& ctx, const Tensor& x, const Tensor& dy, const Tensor& dx) {
         head.backward(chunked(ctx, slab), x, saved, dy, dx);
       },
       [&](Context& ctx, const Tensor& x, const Tensor& dx, const Tensor& dy) { head.tangent(ctx, x, saved, dx, dy); }})
      .check();
}

TEST(Module, Head) {
  check_head(Grid::gaussian(4, 8), 2);
}
TEST(Module, HeadOfAnOddNumberOfRows) {
  check_head(Grid::latlon(5, 8, true), 2);
}
TEST(Module, HeadInChunks) {
  check_head(Grid::latlon(17, 8, true), 2, 8);
}
TEST(Module, HeadOfARegion) {
  check_head(Grid::regional(50, 40, 6, 0, 20, 9), 3);
}

TEST(Module, Conditioning) {
  ParameterStore store(DType::f64);
  const Conditioning conditioning(store, 3, 6);
  Conditioning::Saved saved;
  // The condition is an input without a gradient: the shared projection's rows are checked through the parameters
  // alone.
  Operands operands(DType::f64);
  const Tensor condition = operands.add({2, 3}, "condition");
  Harness({{1},
           {2, 36},
           &store,
           [&](Context& ctx, const Tensor&, const Tensor& y) { conditioning.forward(ctx, condition, y, saved); },
           [&](Context& ctx, const Tensor&, const Tensor& dy, const Tensor& dx) {
             conditioning.backward(ctx, condition, saved, dy);
             ctx->fill(ctx, dx, 0);
           },
           {}})
      .check();
}

TEST(Module, ConditioningWithNoise) {
  ParameterStore store(DType::f64);
  const Conditioning conditioning(store, 3, 6, 4);
  Conditioning::Saved saved;
  Operands operands(DType::f64);
  const Tensor condition = operands.add({2, 3}, "condition"), noise = operands.add({2, 4}, "noise");
  Harness({{1},
           {2, 36},
           &store,
           [&](Context& ctx, const Tensor&, const Tensor& y) { conditioning.forward(ctx, condition, y, saved, noise); },
           [&](Context& ctx, const Tensor&, const Tensor& dy, const Tensor& dx) {
             conditioning.backward(ctx, condition, saved, dy);
             ctx->fill(ctx, dx, 0);
           },
           {}})
      .check();
  EXPECT_GE(store.find("conditioning.noise.weight"), 0);
}

enum class Kind { window, shifted, across, global };

Sequences sequences_of(Kind kind, const TokenGrid& tokens, int lift) {
  switch (kind) {
    case Kind::across:
      return across_window_sequences(tokens, 2, 3, 8, DType::f64, host_memory(), lift);
    case Kind::global:
      return global_sequence(tokens, 8, DType::f64, host_memory(), lift);
    default:
      return window_sequences(tokens, 2, 3, kind == Kind::shifted, 8, DType::f64, host_memory(), lift);
  }
}

void check_block(Kind kind, const Grid& grid = Grid::gaussian(8, 12), int lift = 1, const AdapterShape& adapters = {}) {
  ParameterStore store(DType::f64);
  const TokenGrid tokens(grid, 2);
  const Sequences sequences = sequences_of(kind, tokens, lift);
  const Block block(store, "block", 16, 2, 2, adapters);
  const std::vector<std::int32_t> buckets{1, 0};
  Block::Saved saved;
  Operands operands(DType::f64);
  const Tensor modulation = operands.add({2, 96}, "modulation", 0.5), dmodulation = operands.zeros({2, 96});
  const std::int64_t n = 2 * tokens.count();
  Harness({{n, 16},
           {n, 16},
           &store,
           [&](Context& ctx, const Tensor& x, const Tensor& y) {
             if (adapters.rank > 0) ctx.buckets = buckets;
             block.forward(ctx, sequences.table, x, modulation, y, saved);
           },
           [&](Context& ctx, const Tensor& x, const Tensor& dy, const Tensor& dx) {
             if (adapters.rank > 0) ctx.buckets = buckets;
             ctx->copy(ctx, dy, dx);
             block.backward(ctx, sequences.table, x, saved, dx, dmodulation);
           },
           [&](Context& ctx, const Tensor& x, const Tensor& dx, const Tensor& dy) {
             if (adapters.rank > 0) ctx.buckets = buckets;
             block.tangent(ctx, sequences.table, x, saved, dx, dy);
           }})
      .check();
}

TEST(Module, WindowBlock) {
  check_block(Kind::window);
}
TEST(Module, ShiftedWindowBlock) {
  check_block(Kind::shifted);
}
TEST(Module, AcrossWindowBlock) {
  check_block(Kind::across);
}

TEST(Module, GlobalBlock) {
  check_block(Kind::global);
}
TEST(Module, AdaptedBlock) {
  check_block(Kind::shifted, Grid::gaussian(8, 12), 1, {2, 2});
}
TEST(Module, BlocksOfARegion) {
  for (const Kind kind : {Kind::window, Kind::shifted, Kind::across, Kind::global})
    check_block(kind, Grid::regional(50, 40, 8, 350, 5, 12));
}
TEST(Module, BlocksOnSubFields) {
  for (const Kind kind : {Kind::window, Kind::shifted, Kind::across, Kind::global})
    check_block(kind, Grid::gaussian(8, 12), 2);
}

TEST(Sequences, SubFieldsAreInterleavedAndApart) {
  const TokenGrid tokens(Grid::gaussian(24, 48), 2);  // 12 x 24 tokens
  for (const Kind kind : {Kind::window, Kind::shifted, Kind::across, Kind::global}) {
    const Sequences s = sequences_of(kind, tokens, 3);
    std::vector<int> seen(static_cast<std::size_t>(tokens.count()));
    for (std::int32_t q = 0; q < s.table.sequences(); ++q) {
      const auto begin = static_cast<std::size_t>(s.table.offsets[static_cast<std::size_t>(q)]),
                 end = static_cast<std::size_t>(s.table.offsets[static_cast<std::size_t>(q) + 1]);
      const auto sub_field = [&](std::size_t i) { return s.table.tokens[i] / 24 % 3 * 3 + s.table.tokens[i] % 24 % 3; };
      for (std::size_t i = begin; i < end; ++i) {
        EXPECT_EQ(sub_field(i), sub_field(begin));
        ++seen[static_cast<std::size_t>(s.table.tokens[i])];
      }
    }
    for (int n : seen) ASSERT_EQ(n, 1);
  }
  EXPECT_EQ(global_sequence(tokens, 8, DType::f64, host_memory(), 3).table.sequences(), 9);
  EXPECT_THROW(global_sequence(tokens, 8, DType::f64, host_memory(), 5), Error);
}

TEST(Sequences, SubFieldsSampleTheEarthMoreWidely) {
  const TokenGrid tokens(Grid::latlon(12, 24, false), 1);
  const TokenGrid part = tokens.sub_field(3, 1, 2);
  ASSERT_EQ(part.count(), 4 * 8);
  for (std::int64_t t = 0; t < part.count(); ++t) {
    const std::int64_t whole = tokens.token_of(3, 1, 2, t);
    EXPECT_EQ(part.latitudes[static_cast<std::size_t>(t / 8)], tokens.latitudes[static_cast<std::size_t>(whole / 24)]);
    EXPECT_EQ(part.longitudes[static_cast<std::size_t>(t % 8)],
              tokens.longitudes[static_cast<std::size_t>(whole % 24)]);
  }
  EXPECT_EQ(part.spacing[0], 3 * tokens.spacing[1]);
  // What a token knows of its place is what the coarse field's token knows.
  const std::vector<double> here = tokens.position_features(3), there = part.position_features();
  for (std::int64_t t = 0; t < part.count(); ++t)
    for (int f = 0; f < TokenGrid::feature_count; ++f)
      ASSERT_NEAR(there[static_cast<std::size_t>(t * TokenGrid::feature_count + f)],
                  here[static_cast<std::size_t>(tokens.token_of(3, 1, 2, t) * TokenGrid::feature_count + f)], 1e-15);
}

TEST(Sequences, EveryTokenIsInExactlyOne) {
  for (const Grid& grid :
       {Grid::gaussian(32, 64), Grid::latlon(121, 240, true), Grid::regional(60, 40, 26, 0, 30, 34)}) {
    const TokenGrid tokens(grid, 2);
    for (int kind = 0; kind < 3; ++kind) {
      const Sequences s = kind == 2 ? across_window_sequences(tokens, 8, 8, 64, DType::f32)
                                    : window_sequences(tokens, 8, 8, kind == 1, 64, DType::f32);
      std::vector<int> seen(static_cast<std::size_t>(tokens.count()));
      for (std::int32_t t : s.table.tokens) ++seen[static_cast<std::size_t>(t)];
      EXPECT_EQ(s.table.offsets.back(), tokens.count());
      for (int n : seen) ASSERT_EQ(n, 1);
      EXPECT_GT(s.table.sequences(), 1);
    }
  }
}

TEST(Sequences, ShiftedWindowsWrapInLongitudeAndNotOverThePoles) {
  const TokenGrid tokens(Grid::gaussian(32, 64), 2);  // 16 x 32 tokens
  const Sequences s = window_sequences(tokens, 8, 8, true, 64, DType::f32);
  bool wraps = false;
  for (std::int32_t q = 0; q < s.table.sequences(); ++q) {
    int first_row = 16, last_row = 0;
    bool west = false, east = false;
    for (auto i = s.table.offsets[static_cast<std::size_t>(q)]; i < s.table.offsets[static_cast<std::size_t>(q) + 1];
         ++i) {
      const int token = s.table.tokens[static_cast<std::size_t>(i)];
      first_row = std::min(first_row, token / 32);
      last_row = std::max(last_row, token / 32);
      west |= token % 32 == 0;
      east |= token % 32 == 31;
    }
    EXPECT_LE(last_row - first_row, 7);
    wraps |= west && east;
  }
  EXPECT_TRUE(wraps);
}

TEST(Sequences, WindowSizesFitTheGrid) {
  EXPECT_EQ(window_cuts(16, 8), (std::vector<std::int64_t>{0, 8, 16}));
  EXPECT_EQ(window_cuts(45, 8), (std::vector<std::int64_t>{0, 9, 18, 27, 36, 45}));
  EXPECT_EQ(window_cuts(120, 12).size(), 11u);
  EXPECT_EQ(window_cuts(17, 8), (std::vector<std::int64_t>{0, 8, 17}));  // a prime number: windows differ by one
  EXPECT_EQ(window_cuts(4, 8), (std::vector<std::int64_t>{0, 4}));
}

}  // namespace
}  // namespace zonda::model::testing
