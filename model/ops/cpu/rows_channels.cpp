// Maps between channels, permutations of rows, depthwise convolution of tokens.
#include <algorithm>
#include <array>
#include <cstring>

#include "core/vectorise.hpp"
#include "model/ops/cpu/cpu_backend.hpp"
#include "model/ops/cpu/for_pieces.hpp"

namespace zonda::model {

namespace {

constexpr std::int64_t kPiece = 8192;  // numbers
constexpr std::int64_t kRows = 64;     // permuted by one thread at a time
constexpr std::int64_t kSums = 64;     // partial sums of a gradient

ZONDA_CLONES void add_scaled(float factor, const float* x, float* y, std::int64_t n) {
#pragma omp simd
  for (std::int64_t i = 0; i < n; ++i) y[i] += factor * x[i];
}

ZONDA_CLONES void bound(float lower, float upper, float* x, std::int64_t n) {
#pragma omp simd
  for (std::int64_t i = 0; i < n; ++i) x[i] = x[i] < lower ? lower : x[i] > upper ? upper : x[i];
}

ZONDA_CLONES void stop_at_bounds(float lower, float upper, const float* x, float* gradient, std::int64_t n) {
#pragma omp simd
  for (std::int64_t i = 0; i < n; ++i) gradient[i] = x[i] <= lower || x[i] >= upper ? 0.0f : gradient[i];
}

/// Calls f(range, first number, numbers) for all pieces of the channels with a range.
template <class F>
void for_ranges(std::span<const ChannelRange> ranges, const Tensor& x, int threads, F&& f) {
  const std::int64_t points = x.shape[2] * x.shape[3], pieces = (points + kPiece - 1) / kPiece,
                     count = static_cast<std::int64_t>(ranges.size());
  for_pieces(threads, x.shape[0] * count * pieces, [&](std::int64_t task) {
    const ChannelRange& range = ranges[static_cast<std::size_t>(task / pieces % count)];
    const std::int64_t b = task / pieces / count, at = task % pieces * kPiece;
    f(range, (b * x.shape[1] + range.channel) * points + at, std::min(kPiece, points - at));
  });
}

/// The tokens around one token, row above first; null where the raster ends.
using Neighbours = std::array<const float*, 9>;

Neighbours neighbours(const TokenRaster& raster, const float* x, std::int64_t width, std::int64_t row,
                      std::int64_t column) {
  Neighbours around{};
  for (int tap = 0; tap < 9; ++tap) {
    const std::int64_t i = row + tap / 3 - 1;
    std::int64_t j = column + tap % 3 - 1;
    if (raster.periodic) j = (j + raster.columns) % raster.columns;
    if (i >= 0 && i < raster.rows && j >= 0 && j < raster.columns)
      around[static_cast<std::size_t>(tap)] = x + (i * raster.columns + j) * width;
  }
  return around;
}

bool complete(const Neighbours& around) {
  return std::find(around.begin(), around.end(), nullptr) == around.end();
}

/// y [width] = bias + sum over the taps of w[tap] * x[tap]; w [9] rows of weights.
ZONDA_CLONES void nine_taps(const Neighbours& x, const std::array<const float*, 9>& w, const float* bias, float* y,
                            std::int64_t width) {
#pragma omp simd
  for (std::int64_t d = 0; d < width; ++d)
    y[d] = (bias ? bias[d] : 0.0f) + w[0][d] * x[0][d] + w[1][d] * x[1][d] + w[2][d] * x[2][d] + w[3][d] * x[3][d] +
           w[4][d] * x[4][d] + w[5][d] * x[5][d] + w[6][d] * x[6][d] + w[7][d] * x[7][d] + w[8][d] * x[8][d];
}

ZONDA_CLONES void add_product(const float* a, const float* b, float* sum, std::int64_t n) {
#pragma omp simd
  for (std::int64_t i = 0; i < n; ++i) sum[i] += a[i] * b[i];
}

/// One row of tokens; with `mirrored` the adjoint.
void depthwise_row(const TokenRaster& raster, const float* x, const float* weight, const float* bias, bool mirrored,
                   float* y, std::int64_t row, std::int64_t width) {
  std::array<const float*, 9> w{};
  for (int tap = 0; tap < 9; ++tap) w[static_cast<std::size_t>(tap)] = weight + (mirrored ? 8 - tap : tap) * width;
  for (std::int64_t j = 0; j < raster.columns; ++j) {
    const Neighbours around = neighbours(raster, x, width, row, j);
    float* to = y + (row * raster.columns + j) * width;
    if (complete(around)) {
      nine_taps(around, w, bias, to, width);
      continue;
    }
    if (bias)
      std::copy_n(bias, width, to);
    else
      std::fill_n(to, width, 0.0f);
    for (std::size_t tap = 0; tap < 9; ++tap)
      if (around[tap]) add_product(w[tap], around[tap], to, width);
  }
}

}  // namespace

void CpuBackend::map_channels(Context& ctx, const Tensor& x, std::span<const ChannelTerm> terms, const Tensor& y,
                              bool accumulate) {
  if (ctx.planning()) return;
  if (y.dtype != DType::f32) return ReferenceBackend::map_channels(ctx, x, terms, y, accumulate);
  const std::int64_t channels = y.shape[1], points = y.shape[2] * y.shape[3], pieces = (points + kPiece - 1) / kPiece;
  for_pieces(team(y.count()), y.shape[0] * channels * pieces, [&](std::int64_t task) {
    const std::int64_t plane = task / pieces, b = plane / channels, c = plane % channels, at = task % pieces * kPiece,
                       n = std::min(kPiece, points - at);
    float* to = y.as<float>() + plane * points + at;
    if (!accumulate) std::fill_n(to, n, 0.0f);
    for (const ChannelTerm& term : terms)
      if (term.to == c) add_scaled(term.factor, x.as<float>() + (b * x.shape[1] + term.from) * points + at, to, n);
  });
}

void CpuBackend::bound_channels(Context& ctx, std::span<const ChannelRange> ranges, const Tensor& x) {
  if (ctx.planning() || ranges.empty()) return;
  if (x.dtype != DType::f32) return ReferenceBackend::bound_channels(ctx, ranges, x);
  for_ranges(ranges, x, team(x.count()), [&](const ChannelRange& range, std::int64_t first, std::int64_t n) {
    bound(range.lower, range.upper, x.as<float>() + first, n);
  });
}

void CpuBackend::bound_channels_backward(Context& ctx, std::span<const ChannelRange> ranges, const Tensor& bounded,
                                         const Tensor& gradient) {
  if (ctx.planning() || ranges.empty()) return;
  if (gradient.dtype != DType::f32) return ReferenceBackend::bound_channels_backward(ctx, ranges, bounded, gradient);
  for_ranges(ranges, bounded, team(bounded.count()),
             [&](const ChannelRange& range, std::int64_t first, std::int64_t n) {
               stop_at_bounds(range.lower, range.upper, bounded.as<float>() + first, gradient.as<float>() + first, n);
             });
}

void CpuBackend::permute_rows(Context& ctx, const Tensor& x, const IndexTable& index, const Tensor& y) {
  if (ctx.planning()) return;
  const auto tokens = static_cast<std::int64_t>(index.values.size()), rows = x.shape[0];
  const std::size_t bytes = static_cast<std::size_t>(x.shape[1]) * size_of(x.dtype);
  for_pieces(team(x.count()), (rows + kRows - 1) / kRows, [&](std::int64_t p) {
    const std::int64_t piece = p * kRows;
    for (std::int64_t i = piece; i < std::min(rows, piece + kRows); ++i) {
      const std::int64_t from = i / tokens * tokens + index.values[static_cast<std::size_t>(i % tokens)];
      std::memcpy(y.as<std::byte>() + static_cast<std::size_t>(i) * bytes,
                  x.as<std::byte>() + static_cast<std::size_t>(from) * bytes, bytes);
    }
  });
}

void CpuBackend::depthwise(Context& ctx, const TokenRaster& raster, const Tensor& x, const Tensor& weight,
                           const Tensor& bias, const Tensor& y) {
  if (ctx.planning()) return;
  if (x.dtype != DType::f32) return ReferenceBackend::depthwise(ctx, raster, x, weight, bias, y);
  const std::int64_t width = x.shape[1], sample = raster.rows * raster.columns * width;
  for_pieces(team(x.count()), x.count() / sample * raster.rows, [&](std::int64_t task) {
    depthwise_row(raster, x.as<float>() + task / raster.rows * sample, weight.as<float>(),
                  bias.none() ? nullptr : bias.as<float>(), false, y.as<float>() + task / raster.rows * sample,
                  task % raster.rows, width);
  });
}

void CpuBackend::depthwise_backward_input(Context& ctx, const TokenRaster& raster, const Tensor& weight,
                                          const Tensor& dy, const Tensor& dx) {
  if (ctx.planning()) return;
  if (dy.dtype != DType::f32) return ReferenceBackend::depthwise_backward_input(ctx, raster, weight, dy, dx);
  const std::int64_t width = dy.shape[1], sample = raster.rows * raster.columns * width;
  for_pieces(team(dy.count()), dy.count() / sample * raster.rows, [&](std::int64_t task) {
    depthwise_row(raster, dy.as<float>() + task / raster.rows * sample, weight.as<float>(), nullptr, true,
                  dx.as<float>() + task / raster.rows * sample, task % raster.rows, width);
  });
}

void CpuBackend::depthwise_backward_weight(Context& ctx, const TokenRaster& raster, const Tensor& x, const Tensor& dy,
                                           const Tensor& weight_gradient, const Tensor& bias_gradient) {
  if (dy.dtype != DType::f32)
    return ReferenceBackend::depthwise_backward_weight(ctx, raster, x, dy, weight_gradient, bias_gradient);
  const std::int64_t width = dy.shape[1], sample = raster.rows * raster.columns * width,
                     rows = dy.count() / sample * raster.rows, pieces = std::min(rows, kSums);
  Tensor partial = ctx.take({pieces, 10, width}, DType::f32);
  if (!ctx.planning()) {
    for_pieces(team(dy.count()), pieces, [&](std::int64_t p) {
      float* sums = partial.as<float>() + p * 10 * width;
      std::fill_n(sums, 10 * width, 0.0f);
      for (std::int64_t task = p * rows / pieces; task < (p + 1) * rows / pieces; ++task)
        for (std::int64_t j = 0; j < raster.columns; ++j) {
          const std::int64_t first = task / raster.rows * sample, row = task % raster.rows;
          const Neighbours around = neighbours(raster, x.as<float>() + first, width, row, j);
          const float* g = dy.as<float>() + first + (row * raster.columns + j) * width;
          for (std::size_t tap = 0; tap < 9; ++tap)
            if (around[tap]) add_product(g, around[tap], sums + static_cast<std::int64_t>(tap) * width, width);
          add_scaled(1.0f, g, sums + 9 * width, width);
        }
    });
    for (std::int64_t p = 0; p < pieces; ++p) {
      const float* sums = partial.as<float>() + p * 10 * width;
      add_scaled(1.0f, sums, weight_gradient.as<float>(), 9 * width);
      if (!bias_gradient.none()) add_scaled(1.0f, sums + 9 * width, bias_gradient.as<float>(), width);
    }
  }
  ctx.release(partial);
}

}  // namespace zonda::model
