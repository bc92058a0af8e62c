// Single operations at the shapes of the `test` preset on 48x96, batch 8 (9216 tokens, width 128). Arguments: threads.
#include <benchmark/benchmark.h>

#include "core/grid.hpp"
#include "model/network/sequences.hpp"
#include "model/ops/backend.hpp"

namespace {

using namespace zonda;
using namespace zonda::model;

constexpr std::int64_t kTokens = 9216, kBatch = 8, kWidth = 128;

/// An operation in its own planned arena.
class Bench {
 public:
  explicit Bench(int threads) : backend_(make_backend("cpu", threads)) {}
  Tensor random(Shape shape, DType dtype = DType::f32) {
    buffers_.emplace_back(static_cast<std::size_t>(shape.count()) * size_of(dtype));
    Tensor t(buffers_.back().data(), shape, dtype);
    // Numbers in [-1/2, 1/2) that neither repeat soon nor take long to make.
    std::uint32_t state = 1;
    for (std::int64_t i = 0; i < t.count(); ++i) {
      state = state * 1664525 + 1013904223;
      const float number = static_cast<float>(state >> 8) * 0x1p-24f - 0.5f;
      if (dtype == DType::bf16)
        t.as<BFloat16>()[i] = BFloat16(number);
      else if (dtype == DType::i8)
        t.as<std::int8_t>()[i] = static_cast<std::int8_t>(254 * number);
      else
        t.as<float>()[i] = number;
    }
    return t;
  }
  template <class F>
  void run(benchmark::State& state, double flops, double bytes, F&& operation) {
    Context ctx(*backend_, arena_, DType::f32);
    arena_.begin_plan();
    operation(ctx);
    arena_.finish_plan();
    arena_.allocate();
    for (auto _ : state) {
      arena_.rewind(0);
      operation(ctx);
    }
    const double n = double(state.iterations());
    if (flops > 0) state.counters["GFLOP/s"] = benchmark::Counter(flops * 1e-9 * n, benchmark::Counter::kIsRate);
    if (bytes > 0) state.counters["GB/s"] = benchmark::Counter(bytes * 1e-9 * n, benchmark::Counter::kIsRate);
  }

 private:
  std::shared_ptr<Backend> backend_;
  Arena arena_;
  std::vector<Buffer> buffers_;
};

void gemm(benchmark::State& state) {
  Bench bench(static_cast<int>(state.range(0)));
  Tensor x = bench.random({kTokens, kWidth}), w = bench.random({kWidth, 4 * kWidth}),
         y = bench.random({kTokens, 4 * kWidth});
  bench.run(state, 2.0 * kTokens * kWidth * kWidth * 4, 0, [&](Context& ctx) { ctx->gemm(ctx, x, w, y); });
}
void gemm_bias_gelu(benchmark::State& state) {
  Bench bench(static_cast<int>(state.range(0)));
  Tensor x = bench.random({kTokens, kWidth}), w = bench.random({kWidth, 4 * kWidth}),
         y = bench.random({kTokens, 4 * kWidth}), b = bench.random({4 * kWidth}),
         a = bench.random({kTokens, 4 * kWidth});
  bench.run(state, 2.0 * kTokens * kWidth * kWidth * 4, 0, [&](Context& ctx) {
    GemmOptions o;
    o.bias = b;
    o.activated = a;
    ctx->gemm(ctx, x, w, y, o);
  });
}
void gemm_input_gradient(benchmark::State& state) {
  Bench bench(static_cast<int>(state.range(0)));
  Tensor x = bench.random({kTokens, kWidth}), w = bench.random({kWidth, 4 * kWidth}),
         y = bench.random({kTokens, 4 * kWidth});
  bench.run(state, 2.0 * kTokens * kWidth * kWidth * 4, 0, [&](Context& ctx) {
    GemmOptions o;
    o.transpose_b = true;
    ctx->gemm(ctx, y, w, x, o);
  });
}
void gemm_weight_gradient(benchmark::State& state) {
  Bench bench(static_cast<int>(state.range(0)));
  Tensor x = bench.random({kTokens, kWidth}), w = bench.random({kWidth, 4 * kWidth}),
         y = bench.random({kTokens, 4 * kWidth});
  bench.run(state, 2.0 * kTokens * kWidth * kWidth * 4, 0, [&](Context& ctx) {
    GemmOptions o;
    o.transpose_a = o.accumulate = true;
    ctx->gemm(ctx, x, y, w, o);
  });
}

/// Arguments: threads, tokens of a window's side, width, whether in bf16. Four samples of 24 x 48 tokens, heads of 64.
template <bool backward>
void attention(benchmark::State& state) {
  Bench bench(static_cast<int>(state.range(0)));
  const TokenGrid grid(Grid::gaussian(48, 96), 2);
  const int window = static_cast<int>(state.range(1)), width = static_cast<int>(state.range(2)), size = 64,
            heads = width / size;
  const DType half = state.range(3) ? DType::bf16 : DType::f32;
  const Sequences sequences = window_sequences(grid, window, window, false, size, DType::f32);
  const std::int64_t batch = 4, tokens = batch * sequences.table.token_count();
  Tensor qkv = bench.random({tokens, 3 * width}, half), q = bench.random({size}), k = bench.random({size}),
         y = bench.random({tokens, width}, half), l = bench.random({tokens, heads}),
         dy = bench.random({tokens, width}, half), dqkv = bench.random({tokens, 3 * width}, half),
         dq = bench.random({size}), dk = bench.random({size});
  const AttentionShape shape{batch, heads, size};
  const double products = backward ? 5 : 2;
  bench.run(state, products * 2 * double(tokens) * sequences.table.longest * width, 0, [&](Context& ctx) {
    if (backward)
      ctx->attention_backward(ctx, shape, sequences.table, qkv, q, k, y, l, dy, dqkv, dq, dk);
    else
      ctx->attention(ctx, shape, sequences.table, qkv, q, k, y, l);
  });
}

void norm_modulate(benchmark::State& state) {
  Bench bench(static_cast<int>(state.range(0)));
  Tensor x = bench.random({kTokens, kWidth}), y = bench.random({kTokens, kWidth}),
         m = bench.random({kBatch, 2 * kWidth}), s = bench.random({kTokens, 2});
  bench.run(state, 0, 8.0 * kTokens * kWidth, [&](Context& ctx) {
    ctx->norm_modulate(ctx, NormKind::rms, x, {m, 0, kWidth}, y, s);
  });
}
void norm_modulate_backward(benchmark::State& state) {
  Bench bench(static_cast<int>(state.range(0)));
  Tensor x = bench.random({kTokens, kWidth}), y = bench.random({kTokens, kWidth}),
         m = bench.random({kBatch, 2 * kWidth}), s = bench.random({kTokens, 2}), d = bench.random({kTokens, kWidth}),
         dm = bench.random({kBatch, 2 * kWidth});
  bench.run(state, 0, 16.0 * kTokens * kWidth, [&](Context& ctx) {
    ctx->norm_modulate_backward(ctx, NormKind::rms, x, {m, 0, kWidth}, s, y, d, true, {dm, 0, kWidth});
  });
}
void gelu(benchmark::State& state) {
  Bench bench(static_cast<int>(state.range(0)));
  Tensor x = bench.random({kTokens, 4 * kWidth}), y = bench.random({kTokens, 4 * kWidth});
  bench.run(state, 0, 8.0 * kTokens * 4 * kWidth, [&](Context& ctx) { ctx->gelu(ctx, x, y); });
}
void gelu_backward(benchmark::State& state) {
  Bench bench(static_cast<int>(state.range(0)));
  Tensor x = bench.random({kTokens, 4 * kWidth}), y = bench.random({kTokens, 4 * kWidth}),
         d = bench.random({kTokens, 4 * kWidth});
  bench.run(state, 0, 16.0 * kTokens * 4 * kWidth, [&](Context& ctx) { ctx->gelu_backward(ctx, x, d, d, y); });
}
void bias_gradient(benchmark::State& state) {
  Bench bench(static_cast<int>(state.range(0)));
  Tensor x = bench.random({kTokens, 4 * kWidth}), b = bench.random({4 * kWidth});
  bench.run(state, 0, 4.0 * kTokens * 4 * kWidth, [&](Context& ctx) { ctx->bias_gradient(ctx, x, b); });
}
/// Arguments: threads, channels.
template <int part>
void convolution(benchmark::State& state) {
  Bench bench(static_cast<int>(state.range(0)));
  const std::int64_t channels = state.range(1);
  Tensor x = bench.random({kBatch, channels, 48, 96}), y = bench.random({kBatch, channels, 48, 96}),
         w = bench.random({channels, channels, 3, 3}), b = bench.random({channels});
  bench.run(state, 2.0 * 9 * double(channels * channels) * kBatch * 48 * 96, 0, [&](Context& ctx) {
    if (part == 0) ctx->convolution(ctx, true, x, w, b, y);
    if (part == 1) ctx->convolution_backward_input(ctx, true, w, y, x);
    if (part == 2) ctx->convolution_backward_weight(ctx, true, x, y, w, b);
  });
}
/// Inference: a's rows are quantised as they come. Against `gemm`, the ratio to f32.
void gemm_int8(benchmark::State& state) {
  Bench bench(static_cast<int>(state.range(0)));
  Tensor x = bench.random({kTokens, kWidth}), values = bench.random({kWidth, 4 * kWidth}, DType::i8),
         scales = bench.random({4 * kWidth}), y = bench.random({kTokens, 4 * kWidth});
  bench.run(state, 2.0 * kTokens * kWidth * kWidth * 4, 0,
            [&](Context& ctx) { ctx->gemm_int8(ctx, x, values, scales, y); });
}
template <int transposed>
void gemm_bf16(benchmark::State& state) {
  Bench bench(static_cast<int>(state.range(0)));
  const bool gradient = transposed == 2;
  Tensor x = bench.random({kTokens, kWidth}, DType::bf16), w = bench.random({kWidth, 4 * kWidth}, DType::bf16),
         y = bench.random({kTokens, 4 * kWidth}, DType::bf16), dw = bench.random({kWidth, 4 * kWidth});
  bench.run(state, 2.0 * kTokens * kWidth * kWidth * 4, 0, [&](Context& ctx) {
    GemmOptions o;
    o.transpose_b = transposed == 1;
    o.transpose_a = o.accumulate = gradient;
    if (transposed == 0) ctx->gemm(ctx, x, w, y, o);
    if (transposed == 1) ctx->gemm(ctx, y, w, x, o);
    if (gradient) ctx->gemm(ctx, x, y, dw, o);
  });
}

#define ZONDA_OPERATION(name) BENCHMARK(name)->Arg(1)->Arg(2)->Unit(benchmark::kMicrosecond)->UseRealTime()
ZONDA_OPERATION(gemm);
ZONDA_OPERATION(gemm_bias_gelu);
ZONDA_OPERATION(gemm_input_gradient);
ZONDA_OPERATION(gemm_weight_gradient);
BENCHMARK(attention<false>)
    ->ArgsProduct({{1, 2}, {8, 12}, {256, 512}, {0, 1}})
    ->Unit(benchmark::kMicrosecond)
    ->UseRealTime();
BENCHMARK(attention<true>)
    ->ArgsProduct({{1, 2}, {8, 12}, {256, 512}, {0, 1}})
    ->Unit(benchmark::kMicrosecond)
    ->UseRealTime();
ZONDA_OPERATION(norm_modulate);
ZONDA_OPERATION(norm_modulate_backward);
ZONDA_OPERATION(gelu);
ZONDA_OPERATION(gelu_backward);
ZONDA_OPERATION(bias_gradient);
ZONDA_OPERATION(gemm_int8);
ZONDA_OPERATION(gemm_bf16<0>);
ZONDA_OPERATION(gemm_bf16<1>);
ZONDA_OPERATION(gemm_bf16<2>);
BENCHMARK(convolution<0>)->ArgsProduct({{1, 2}, {16, 72}})->Unit(benchmark::kMicrosecond)->UseRealTime();
BENCHMARK(convolution<1>)->ArgsProduct({{1, 2}, {16, 72}})->Unit(benchmark::kMicrosecond)->UseRealTime();
BENCHMARK(convolution<2>)->ArgsProduct({{1, 2}, {16, 72}})->Unit(benchmark::kMicrosecond)->UseRealTime();

}  // namespace
