#pragma once
// The table of operations: what each is given, how it runs, how far its results may be from the f64 reference's. The
// tests of every backend walk over it.
#include <cmath>
#include <functional>
#include <memory>
#include <ostream>
#include <string>
#include <vector>

#include "operation_bench.hpp"

namespace zonda::model::testing {

using Tensors = std::vector<Tensor>;

enum class Half { no, yes, except_gradient };

struct Input {
  Shape shape;
  double scale = 1, offset = 0;
  Half half = Half::no;  ///< an (h) tensor in mixed precision
};

struct Operation {
  std::string name;
  std::vector<Input> inputs;
  Shape output;
  std::function<void(Context&, const Tensors& in, const Tensor& out)> forward;
  /// Gradients of <out, w> to each input (zero on entry); empty: the table checks forward only.
  std::function<void(Context&, const Tensors& in, const Tensor& w, const Tensors& gradients)> backward;
  double f32_tolerance = 2e-6;
  bool mixed = false, half_output = false;
  /// Of (h) results, beside their rounding to bf16; of the others too where an operation rounds in between.
  double mixed_tolerance = 2e-6;
};

inline void PrintTo(const Operation& op, std::ostream* stream) {
  *stream << op.name;
}

/// Sequences of uneven lengths over `count` tokens, with rotary phases.
struct UnevenSequences {
  UnevenSequences(Operands& operands, std::vector<int> lengths, int head_size) {
    int count = 0;
    for (int n : lengths) {
      count += n;
      table.offsets.push_back(count);
      table.longest = std::max(table.longest, n);
    }
    for (int i = 0; i < count; ++i) table.tokens.push_back((i * 7 + 3) % count);  // 7 is prime to the counts used here
    const Shape pairs{count, head_size / 2};
    table.cosine = operands.add(pairs, [](std::int64_t i) { return std::cos(0.37 * static_cast<double>(i)); });
    table.sine = operands.add(pairs, [](std::int64_t i) { return std::sin(0.37 * static_cast<double>(i)); });
    table.id = IndexTable::next_id();
  }
  SequenceTable table;
};

inline Operation gemm_case(std::int64_t m, std::int64_t n, std::int64_t k, bool ta, bool tb, bool accumulate,
                           bool bias) {
  Operation op;
  op.name = "gemm_" + std::to_string(m) + "x" + std::to_string(n) + "x" + std::to_string(k) + (ta ? "_ta" : "") +
            (tb ? "_tb" : "") + (accumulate ? "_accumulate" : "") + (bias ? "_bias" : "");
  op.inputs = {{ta ? Shape{k, m} : Shape{m, k}, 1, 0, Half::yes},
               {tb ? Shape{n, k} : Shape{k, n}, 1, 0, Half::yes},
               {{n}},
               {{m, n}}};
  op.mixed = true;
  op.half_output = !accumulate;
  op.output = {2, m, n};
  op.forward = [=](Context& ctx, const Tensors& in, const Tensor& out) {
    GemmOptions o;
    o.transpose_a = ta;
    o.transpose_b = tb;
    o.accumulate = accumulate;
    if (bias) o.bias = in[2];
    o.activated = out.slice(1, 1).reshaped({m, n});
    const Tensor c = out.slice(0, 1).reshaped({m, n});
    ctx->cast(ctx, in[3], c);
    ctx->gemm(ctx, in[0], in[1], c, o);
  };
  return op;
}

inline Operation attention_case(std::vector<int> lengths, int batch, int heads, int size) {
  Operation op;
  std::int64_t tokens = 0;
  op.name = "attention";
  for (int n : lengths) {
    tokens += n;
    op.name += "_" + std::to_string(n);
  }
  op.name += "_b" + std::to_string(batch) + "_h" + std::to_string(heads) + "_d" + std::to_string(size);
  const std::int64_t n = batch * tokens, width = std::int64_t{heads} * size;
  op.inputs = {{{n, 3 * width}, 1, 0, Half::yes}, {{size}, 0.2, 1}, {{size}, 0.2, 1}};
  op.mixed = op.half_output = true;
  op.output = {n, width};
  const AttentionShape shape{batch, heads, size};
  op.forward = [=](Context& ctx, const Tensors& in, const Tensor& out) {
    Operands extra(ctx.dtype(), ctx.backend().memory());
    const UnevenSequences sequences(extra, lengths, size);
    Tensor log_sum = ctx.take({n, heads});
    ctx->attention(ctx, shape, sequences.table, in[0], in[1], in[2], out, log_sum);
    ctx.release(log_sum);
  };
  op.backward = [=](Context& ctx, const Tensors& in, const Tensor& w, const Tensors& g) {
    Operands extra(ctx.dtype(), ctx.backend().memory());
    const UnevenSequences sequences(extra, lengths, size);
    Tensor log_sum = ctx.take({n, heads}), y = ctx.take({n, width}, ctx.trunk());
    ctx->attention(ctx, shape, sequences.table, in[0], in[1], in[2], y, log_sum);
    ctx->attention_backward(ctx, shape, sequences.table, in[0], in[1], in[2], y, log_sum, w, g[0], g[1], g[2]);
    ctx.release(log_sum, y);
  };
  op.f32_tolerance = 4e-6;
  op.mixed_tolerance = 0x1p-7;  // rotated queries and keys, probabilities and dlogits are rounded for the products
  return op;
}

inline Operation norm_case(NormKind kind, std::int64_t rows, std::int64_t width, std::int64_t groups) {
  Operation op;
  op.name = std::string(kind == NormKind::rms ? "rms_norm_" : "layer_norm_") + std::to_string(rows) + "x" +
            std::to_string(width) + "_groups_" + std::to_string(groups);
  op.inputs = {{{rows, width}, 1, 0.3}, {{groups, 3 * width}, 0.5}};
  op.mixed = op.half_output = true;
  op.output = {rows, width};
  op.forward = [=](Context& ctx, const Tensors& in, const Tensor& out) {
    Tensor statistics = ctx.take({rows, 2});
    ctx->norm_modulate(ctx, kind, in[0], {in[1], width, 0}, out, statistics);
    ctx.release(statistics);
  };
  op.backward = [=](Context& ctx, const Tensors& in, const Tensor& w, const Tensors& g) {
    Tensor statistics = ctx.take({rows, 2}), y = ctx.take({rows, width}, ctx.trunk());
    ctx->norm_modulate(ctx, kind, in[0], {in[1], width, 0}, y, statistics);
    ctx->norm_modulate_backward(ctx, kind, in[0], {in[1], width, 0}, statistics, w, g[0], true, {g[1], width, 0});
    ctx.release(statistics, y);
  };
  return op;
}

inline Operation gated_case(std::int64_t rows, std::int64_t width, std::int64_t groups) {
  Operation op;
  op.name = "gated_add_" + std::to_string(rows) + "x" + std::to_string(width) + "_groups_" + std::to_string(groups);
  op.inputs = {{{rows, width}}, {{rows, width}, 1, 0, Half::yes}, {{groups, 2 * width}}};
  op.mixed = true;
  op.output = {rows, width};
  op.forward = [=](Context& ctx, const Tensors& in, const Tensor& out) {
    ctx->gated_add(ctx, in[0], in[1], in[2], width, out);
  };
  op.backward = [=](Context& ctx, const Tensors& in, const Tensor& w, const Tensors& g) {
    ctx->copy(ctx, w, g[0]);
    ctx->gated_add_backward(ctx, in[1], in[2], width, w, g[1], g[2]);
  };
  return op;
}

inline Operation gelu_case(std::int64_t n, double scale) {
  Operation op;
  op.name = "gelu_" + std::to_string(n) + "_scale_" + std::to_string(static_cast<int>(scale));
  op.inputs = {{{n}, scale, 0, Half::yes}};
  op.mixed = op.half_output = true;
  op.output = {n};
  op.forward = [](Context& ctx, const Tensors& in, const Tensor& out) { ctx->gelu(ctx, in[0], out); };
  op.backward = [](Context& ctx, const Tensors& in, const Tensor& w, const Tensors& g) {
    ctx->gelu_backward(ctx, in[0], w, g[0]);
  };
  return op;
}

inline Operation rows_case(std::int64_t groups, std::int64_t rows, std::int64_t width) {
  Operation op;
  op.name = "add_rows_" + std::to_string(groups) + "x" + std::to_string(rows) + "x" + std::to_string(width);
  op.inputs = {{{groups * rows, width}}, {{rows, width}}};
  op.output = {groups * rows, width};
  op.forward = [](Context& ctx, const Tensors& in, const Tensor& out) { ctx->add_rows(ctx, in[0], in[1], out); };
  op.backward = [](Context& ctx, const Tensors&, const Tensor& w, const Tensors& g) {
    ctx->add(ctx, w, g[0]);
    ctx->sum_rows(ctx, w, g[1], true);
  };
  return op;
}

inline Operation bias_case(std::int64_t rows, std::int64_t width) {
  Operation op;
  op.name = "bias_" + std::to_string(rows) + "x" + std::to_string(width);
  op.inputs = {{{1, width}, 1, 0, Half::except_gradient}, {{rows, width}, 1, 0, Half::yes}};
  op.mixed = op.half_output = true;
  op.output = {rows, width};
  op.forward = [](Context& ctx, const Tensors& in, const Tensor& out) { ctx->add_rows(ctx, in[1], in[0], out); };
  op.backward = [](Context& ctx, const Tensors&, const Tensor& w, const Tensors& g) {
    ctx->bias_gradient(ctx, w, g[0].reshaped({g[0].count()}));
    ctx->copy(ctx, w, g[1]);
  };
  return op;
}

inline Operation patch_case(int size, int kernel_rows, std::int64_t token_rows, std::int64_t token_columns,
                            bool scatter, bool average) {
  Operation op;
  const PatchGeometry g{size, kernel_rows, token_rows, token_columns};
  const std::int64_t batch = 2, channels = 3;
  const Shape image{batch, channels, token_rows * size + kernel_rows - size, token_columns * size};
  const Shape patches{batch * token_rows * token_columns, channels * kernel_rows * size};
  op.name = std::string("patch_") + (scatter ? "scatter_" : "gather_") + std::to_string(size) + "_kernel_" +
            std::to_string(kernel_rows) + (average ? "_average" : "");
  op.inputs = {{scatter ? patches : image}};
  op.output = scatter ? image : patches;
  const auto apply = [=](bool s) {
    return [=](Context& ctx, const Tensor& from, const Tensor& to) {
      if (s)
        ctx->patch_scatter(ctx, g, from, to, average);
      else
        ctx->patch_gather(ctx, g, from, to, average);
    };
  };
  op.forward = [=](Context& ctx, const Tensors& in, const Tensor& out) { apply(scatter)(ctx, in[0], out); };
  op.backward = [=](Context& ctx, const Tensors&, const Tensor& w, const Tensors& grads) {
    apply(!scatter)(ctx, w, grads[0]);
  };
  return op;
}

inline Operation convolution_case(bool periodic, std::int64_t batch, std::int64_t in, std::int64_t out,
                                  std::int64_t rows, std::int64_t columns) {
  Operation op;
  op.name = std::string("convolution_") + (periodic ? "periodic_" : "bounded_") + std::to_string(batch) + "x" +
            std::to_string(in) + "to" + std::to_string(out) + "x" + std::to_string(rows) + "x" +
            std::to_string(columns);
  op.inputs = {{{batch, in, rows, columns}}, {{out, in, 3, 3}}, {{out}}};
  op.output = {batch, out, rows, columns};
  op.forward = [=](Context& ctx, const Tensors& x, const Tensor& y) {
    ctx->convolution(ctx, periodic, x[0], x[1], x[2], y);
  };
  op.backward = [=](Context& ctx, const Tensors& x, const Tensor& w, const Tensors& g) {
    ctx->convolution_backward_input(ctx, periodic, x[1], w, g[0]);
    ctx->convolution_backward_weight(ctx, periodic, x[0], w, g[1], g[2]);
  };
  op.f32_tolerance = 5e-6;
  return op;
}

inline Operation channels_case(bool accumulate) {
  Operation op;
  const std::vector<ChannelTerm> terms{{0, 2, 1.5f}, {3, 0, -0.25f}, {1, 2, 2.0f}, {3, 3, 1.0f}};
  std::vector<ChannelTerm> back = terms;
  for (ChannelTerm& term : back) std::swap(term.from, term.to);
  op.name = std::string("map_channels") + (accumulate ? "_accumulate" : "");
  op.inputs = {{{2, 4, 5, 7}}};
  op.output = {2, 6, 5, 7};
  op.forward = [=](Context& ctx, const Tensors& in, const Tensor& out) {
    if (accumulate) ctx->fill(ctx, out, 0.5);
    ctx->map_channels(ctx, in[0], terms, out, accumulate);
  };
  op.backward = [=](Context& ctx, const Tensors&, const Tensor& w, const Tensors& g) {
    ctx->map_channels(ctx, w, back, g[0], accumulate);
  };
  return op;
}

/// Values beyond the bounds of some channels, of which one is bounded on both sides.
inline Operation bounds_case(std::int64_t rows, std::int64_t columns) {
  Operation op;
  const std::vector<ChannelRange> ranges{{3, -0.25f, 0.5f}, {0, 0.125f, INFINITY}};
  op.name = "bound_channels_" + std::to_string(rows) + "x" + std::to_string(columns);
  op.inputs = {{{2, 4, rows, columns}}};
  op.output = {2, 4, rows, columns};
  op.forward = [=](Context& ctx, const Tensors& in, const Tensor& out) {
    ctx->copy(ctx, in[0], out);
    ctx->bound_channels(ctx, ranges, out);
  };
  op.backward = [=](Context& ctx, const Tensors& in, const Tensor& w, const Tensors& g) {
    Tensor bounded = ctx.take(in[0].shape);
    ctx->copy(ctx, in[0], bounded);
    ctx->bound_channels(ctx, ranges, bounded);
    ctx->copy(ctx, w, g[0]);
    ctx->bound_channels_backward(ctx, ranges, bounded, g[0]);
    ctx.release(bounded);
  };
  return op;
}

inline Operation permute_case(std::int64_t batch, std::int32_t tokens, std::int64_t width) {
  Operation op;
  std::vector<std::int32_t> numbers(static_cast<std::size_t>(tokens)), inverse(numbers);
  for (std::int32_t i = 0; i < tokens; ++i) numbers[static_cast<std::size_t>(i)] = (i * 7 + 3) % tokens;
  for (std::int32_t i = 0; i < tokens; ++i) inverse[static_cast<std::size_t>(numbers[static_cast<std::size_t>(i)])] = i;
  const IndexTable there(numbers), back(inverse);
  op.name = "permute_rows_" + std::to_string(batch) + "x" + std::to_string(tokens) + "x" + std::to_string(width);
  op.inputs = {{{batch * tokens, width}, 1, 0, Half::yes}};
  op.output = {batch * tokens, width};
  op.mixed = op.half_output = true;
  op.forward = [=](Context& ctx, const Tensors& in, const Tensor& out) { ctx->permute_rows(ctx, in[0], there, out); };
  op.backward = [=](Context& ctx, const Tensors&, const Tensor& w, const Tensors& g) {
    ctx->permute_rows(ctx, w, back, g[0]);
  };
  return op;
}

inline Operation depthwise_case(const TokenRaster& raster, std::int64_t batch, std::int64_t width) {
  Operation op;
  const std::int64_t tokens = batch * raster.rows * raster.columns;
  op.name = std::string("depthwise_") + (raster.periodic ? "periodic_" : "bounded_") + std::to_string(batch) + "x" +
            std::to_string(raster.rows) + "x" + std::to_string(raster.columns) + "x" + std::to_string(width);
  op.inputs = {{{tokens, width}}, {{9, width}}, {{width}}};
  op.output = {tokens, width};
  op.forward = [=](Context& ctx, const Tensors& in, const Tensor& out) {
    ctx->depthwise(ctx, raster, in[0], in[1], in[2], out);
  };
  op.backward = [=](Context& ctx, const Tensors& in, const Tensor& w, const Tensors& g) {
    ctx->depthwise_backward_input(ctx, raster, in[1], w, g[0]);
    ctx->depthwise_backward_weight(ctx, raster, in[0], w, g[1], g[2]);
  };
  return op;
}

inline std::vector<Operation> operations() {
  std::vector<Operation> table;
  for (bool ta : {false, true})
    for (bool tb : {false, true})
      for (bool accumulate : {false, true}) {
        table.push_back(gemm_case(5, 7, 9, ta, tb, accumulate, !accumulate));
        table.push_back(gemm_case(130, 33, 70, ta, tb, accumulate, accumulate));
      }
  table.push_back(gemm_case(1100, 48, 32, false, false, false, true));
  table.push_back(gemm_case(1, 1, 1, false, false, false, false));
  table.push_back(attention_case({5}, 1, 1, 16));
  table.push_back(attention_case({16, 4, 9}, 2, 2, 16));
  table.push_back(attention_case({33, 1, 9}, 1, 1, 64));
  table.push_back(attention_case({70, 33}, 1, 1, 32));
  table.push_back(attention_case({6, 5}, 2, 2, 12));  // a head size without a vector path
  for (NormKind kind : {NormKind::rms, NormKind::layer}) {
    table.push_back(norm_case(kind, 6, 16, 1));
    table.push_back(norm_case(kind, 6, 33, 3));
    table.push_back(norm_case(kind, 300, 24, 2));
  }
  table.push_back(gated_case(6, 16, 3));
  table.push_back(gated_case(260, 9, 2));
  table.push_back(gelu_case(37, 1));
  table.push_back(gelu_case(20000, 6));
  table.push_back(rows_case(3, 4, 5));
  table.push_back(rows_case(2, 600, 16));
  table.push_back(bias_case(5, 7));
  table.push_back(bias_case(700, 20));
  for (bool scatter : {false, true})
    for (bool average : {false, true}) {
      table.push_back(patch_case(2, 2, 3, 4, scatter, average));
      table.push_back(patch_case(2, 3, 3, 4, scatter, average));
      table.push_back(patch_case(3, 4, 1, 2, scatter, average));
    }
  for (bool accumulate : {false, true}) table.push_back(channels_case(accumulate));
  table.push_back(bounds_case(5, 7));
  table.push_back(bounds_case(17, 23));
  table.push_back(permute_case(2, 12, 5));
  table.push_back(permute_case(1, 600, 33));
  for (bool periodic : {false, true}) {
    table.push_back(depthwise_case({3, 4, periodic}, 2, 5));
    table.push_back(depthwise_case({20, 9, periodic}, 2, 40));
    table.push_back(depthwise_case({1, 2, periodic}, 1, 3));
    table.push_back(convolution_case(periodic, 1, 1, 1, 3, 4));
    table.push_back(convolution_case(periodic, 2, 3, 2, 4, 17));
    table.push_back(convolution_case(periodic, 1, 5, 11, 5, 32));
    table.push_back(convolution_case(periodic, 1, 2, 3, 1, 50));
    table.push_back(convolution_case(periodic, 2, 33, 32, 5, 300));  // a weight gradient by products
  }
  return table;
}

/// Outputs and gradients of one run, with the operands' numbers the same in every precision. Inputs lie in the
/// backend's memory, results on the host.
struct Outcome {
  Outcome(Precision precision, Memory& memory) : operands(precision, memory) {}
  Operands operands;
  Tensors inputs, gradients;
  Tensor output, weight;
};

inline std::unique_ptr<Outcome> run(const Operation& op, Backend& backend, Precision precision) {
  auto outcome = std::make_unique<Outcome>(precision, backend.memory());
  Operands& operands = outcome->operands;
  for (std::size_t i = 0; i < op.inputs.size(); ++i) {
    const Input& input = op.inputs[i];
    outcome->inputs.push_back(operands.add(input.shape, op.name + std::to_string(i), input.scale, input.offset,
                                           op.mixed && input.half != Half::no));
  }
  outcome->output = operands.add(op.output, "garbage", 1, 0, op.half_output);
  outcome->weight = operands.add(op.output, op.name + " weight", 1, 0, op.half_output);
  run_planned(backend, precision, [&](Context& ctx) { op.forward(ctx, outcome->inputs, outcome->output); });
  if (op.backward) {
    for (const Input& input : op.inputs)
      outcome->gradients.push_back(operands.zeros(input.shape, op.mixed && input.half == Half::yes));
    run_planned(backend, precision,
                [&](Context& ctx) { op.backward(ctx, outcome->inputs, outcome->weight, outcome->gradients); });
  }
  outcome->output = operands.on_host(outcome->output);
  for (Tensor& gradient : outcome->gradients) gradient = operands.on_host(gradient);
  return outcome;
}

/// Largest error relative to the largest number.
inline double difference(const Tensor& a, const Tensor& b) {
  double error = 0, size = 1e-30;
  for (std::int64_t i = 0; i < a.count(); ++i) {
    if (std::isnan(get(a, i)) || std::isnan(get(b, i))) return INFINITY;
    error = std::max(error, std::abs(get(a, i) - get(b, i)));
    size = std::max(size, std::abs(get(b, i)));
  }
  return error / size;
}

/// The difference that rounding the truth to `type` alone would make.
inline double rounding(const Tensor& truth, DType type) {
  if (type != DType::bf16) return 0;
  double error = 0, size = 1e-30;
  for (std::int64_t i = 0; i < truth.count(); ++i) {
    const double exact = get(truth, i);
    error = std::max(error, std::abs(static_cast<double>(BFloat16(exact)) - exact));
    size = std::max(size, std::abs(exact));
  }
  return error / size;
}

}  // namespace zonda::model::testing
