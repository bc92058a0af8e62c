// 3x3 convolution without im2col: the image is padded once, then each tap is the padded row read one column further on.
// Only the weight gradient of many channels is a product.
#include <omp.h>

#include <algorithm>
#include <cstring>

#include "core/error.hpp"
#include "core/vectorise.hpp"
#include "model/ops/cpu/cpu_backend.hpp"
#include "model/ops/cpu/for_pieces.hpp"
#include "model/ops/cpu/matrix_product.hpp"
#include "model/ops/cpu/one_thread_each.hpp"
#include "model/ops/cpu/pair_convolution.hpp"
#include "model/ops/cpu/small_product.hpp"

namespace zonda::model {

namespace {

constexpr std::int64_t kManyChannels = 32 * 32;  // in x out, from which products beat the direct correlation
constexpr std::int64_t kBandPixels = 512, kPartialSums = 8;

using small::kLanes;
using small::Vector;

/// Length of a padded row: columns and borders, up to whole vectors, and one more that a shifted load may touch.
std::int64_t stride_of(std::int64_t columns) {
  return small::padded(columns) + kLanes;
}

/// One row of R output channels: out[r] = bias[r] + sum of weight[r] [in, 9] over rows y..y+2 of the padded planes.
template <int R>
[[gnu::always_inline]] inline void convolve_channels(const float* planes, std::int64_t plane, std::int64_t stride,
                                                     std::int64_t in, const float* weight, const float* bias,
                                                     float* out, std::int64_t out_plane, std::int64_t columns) {
  constexpr int V = 2;
  for (std::int64_t x = 0; x < columns; x += V * kLanes) {
    const bool second = x + kLanes < columns;
    Vector sum[R][V];
#pragma GCC unroll 8
    for (int r = 0; r < R; ++r)
#pragma GCC unroll 8
      for (int v = 0; v < V; ++v) sum[r][v] = Vector{} + (bias ? bias[r] : 0.0f);
    for (std::int64_t c = 0; c < in; ++c)
#pragma GCC unroll 3
      for (int u = 0; u < 3; ++u)
#pragma GCC unroll 3
        for (int t = 0; t < 3; ++t) {
          const float* from = planes + c * plane + u * stride + x + t;
          Vector right[V];
          right[0] = *reinterpret_cast<const Vector*>(from);
          right[1] = *reinterpret_cast<const Vector*>(second ? from + kLanes : from);
#pragma GCC unroll 8
          for (int r = 0; r < R; ++r) {
            const float w = weight[(r * in + c) * 9 + u * 3 + t];
#pragma GCC unroll 8
            for (int v = 0; v < V; ++v) sum[r][v] += w * right[v];
          }
        }
#pragma GCC unroll 8
    for (int r = 0; r < R; ++r)
#pragma GCC unroll 8
      for (int v = 0; v < V; ++v) {
        const std::int64_t left = columns - x - v * kLanes;
        if (left >= kLanes)
          *reinterpret_cast<Vector*>(out + r * out_plane + x + v * kLanes) = sum[r][v];
        else if (left > 0)
          std::memcpy(out + r * out_plane + x + v * kLanes, &sum[r][v], static_cast<std::size_t>(left) * sizeof(float));
      }
  }
}

ZONDA_CLONES void convolve_row(const float* planes, std::int64_t plane, std::int64_t stride, std::int64_t in,
                               const float* weight, const float* bias, float* out, std::int64_t out_plane,
                               std::int64_t out_channels, std::int64_t columns) {
  std::int64_t o = 0;
  for (; o + 8 <= out_channels; o += 8)
    convolve_channels<8>(planes, plane, stride, in, weight + o * in * 9, bias ? bias + o : nullptr, out + o * out_plane,
                         out_plane, columns);
  for (; o + 2 <= out_channels; o += 2)
    convolve_channels<2>(planes, plane, stride, in, weight + o * in * 9, bias ? bias + o : nullptr, out + o * out_plane,
                         out_plane, columns);
  if (o < out_channels)
    convolve_channels<1>(planes, plane, stride, in, weight + o * in * 9, bias ? bias + o : nullptr, out + o * out_plane,
                         out_plane, columns);
}

/// Sums of R output channels x one input channel over all rows of all samples: [R][9].
template <int R>
[[gnu::always_inline]] inline void correlate_channels(const float* x, std::int64_t x_plane, std::int64_t x_sample,
                                                      const float* dy, std::int64_t dy_plane, std::int64_t dy_sample,
                                                      std::int64_t stride, std::int64_t batch, std::int64_t rows,
                                                      std::int64_t columns, float* out) {
  Vector sum[R][9] = {};
  for (std::int64_t b = 0; b < batch; ++b)
    for (std::int64_t y = 0; y < rows; ++y)
      for (std::int64_t j = 0; j < columns; j += kLanes) {
        Vector g[R];
#pragma GCC unroll 4
        for (int r = 0; r < R; ++r)
          g[r] = *reinterpret_cast<const Vector*>(dy + b * dy_sample + r * dy_plane + y * stride + j);
#pragma GCC unroll 9
        for (int t = 0; t < 9; ++t) {
          const Vector value = *reinterpret_cast<const Vector*>(x + b * x_sample + (y + t / 3) * stride + j + t % 3);
#pragma GCC unroll 4
          for (int r = 0; r < R; ++r) sum[r][t] += g[r] * value;
        }
      }
  (void)x_plane;
  for (int r = 0; r < R; ++r)
    for (int t = 0; t < 9; ++t) {
      float total = 0;
      for (int l = 0; l < kLanes; ++l) total += sum[r][t][l];
      out[r * 9 + t] = total;
    }
}

ZONDA_CLONES void correlate(int channels, const float* x, std::int64_t x_plane, std::int64_t x_sample, const float* dy,
                            std::int64_t dy_plane, std::int64_t dy_sample, std::int64_t stride, std::int64_t batch,
                            std::int64_t rows, std::int64_t columns, float* out) {
  if (channels == 3)
    correlate_channels<3>(x, x_plane, x_sample, dy, dy_plane, dy_sample, stride, batch, rows, columns, out);
  else if (channels == 2)
    correlate_channels<2>(x, x_plane, x_sample, dy, dy_plane, dy_sample, stride, batch, rows, columns, out);
  else
    correlate_channels<1>(x, x_plane, x_sample, dy, dy_plane, dy_sample, stride, batch, rows, columns, out);
}

/// Planes [rows, columns] -> [rows + 2, stride] with the operation's borders; the rest of a padded row is zero.
void pad_planes(bool periodic, const float* x, float* out, std::int64_t planes, std::int64_t rows, std::int64_t columns,
                [[maybe_unused]] int threads) {
  const std::int64_t stride = stride_of(columns + 2);
  for_pieces(
      threads, planes * (rows + 2),
      [&](std::int64_t task) {
        const std::int64_t plane = task / (rows + 2),
                           row = std::clamp<std::int64_t>(task % (rows + 2) - 1, 0, rows - 1);
        const float* from = x + (plane * rows + row) * columns;
        float* to = out + task * stride;
        to[0] = periodic ? from[columns - 1] : from[0];
        std::memcpy(to + 1, from, static_cast<std::size_t>(columns) * sizeof(float));
        to[columns + 1] = periodic ? from[0] : from[columns - 1];
        std::memset(to + columns + 2, 0, static_cast<std::size_t>(stride - columns - 2) * sizeof(float));
      },
      16);
}

/// gradient [channels] (may be none) accumulates the sums of dy's channels.
void add_channel_sums(const Tensor& dy, const Tensor& gradient, [[maybe_unused]] int threads) {
  if (gradient.none()) return;
  const std::int64_t batch = dy.shape[0], channels = dy.shape[1], points = dy.shape[2] * dy.shape[3];
  for_pieces(threads, channels, [&](std::int64_t c) {
    double sum = 0;
    for (std::int64_t b = 0; b < batch; ++b) {
      const float* from = dy.as<float>() + (b * channels + c) * points;
      for (std::int64_t i = 0; i < points; ++i) sum += double(from[i]);
    }
    gradient.as<float>()[c] += float(sum);
  });
}

/// Planes -> [rows + 2 border, stride]: zeros around, the image's first pixel at (border, border).
void pad_zero(std::int64_t border, const float* x, float* out, std::int64_t planes, std::int64_t rows,
              std::int64_t columns, std::int64_t stride, [[maybe_unused]] int threads) {
  for_pieces(
      threads, planes * (rows + 2 * border),
      [&](std::int64_t task) {
        const std::int64_t plane = task / (rows + 2 * border), row = task % (rows + 2 * border) - border;
        float* to = out + task * stride;
        std::memset(to, 0, static_cast<std::size_t>(stride) * sizeof(float));
        if (row >= 0 && row < rows)
          std::memcpy(to + border, x + (plane * rows + row) * columns,
                      static_cast<std::size_t>(columns) * sizeof(float));
      },
      16);
}

}  // namespace

/// The gradient as dy [out, pixels] times the pixels' surroundings [in 9, pixels]^T, band of rows by band of rows.
void CpuBackend::weight_gradient_by_products(Context& ctx, bool periodic, const Tensor& x, const Tensor& dy,
                                             const Tensor& weight_gradient, const Tensor& bias_gradient) {
  const std::int64_t batch = x.shape[0], in = x.shape[1], out = dy.shape[1], rows = x.shape[2], columns = x.shape[3];
  const std::int64_t stride = stride_of(columns + 2), plane = (rows + 2) * stride, taps = 9 * in, sums = out * taps;
  const std::int64_t band = std::clamp<std::int64_t>(kBandPixels / columns, 1, rows), bands = (rows + band - 1) / band,
                     pieces = std::min(kPartialSums, batch * bands);
  Tensor padded = ctx.take({batch, in, rows + 2, stride});
  Tensor around = ctx.take({threads_, taps * band * columns});
  Tensor partial = ctx.take({pieces, sums});
  if (!ctx.planning()) {
    pad_planes(periodic, x.as<float>(), padded.as<float>(), batch * in, rows, columns, team(x.count()));
    const OneThreadEach one_thread_each;
    bool failed = false;
#pragma omp parallel for schedule(dynamic) num_threads(team(batch* out* in* rows* columns)) reduction(|| : failed)
    for (std::int64_t p = 0; p < pieces; ++p) {
      float* right = around.as<float>() + omp_get_thread_num() * taps * band * columns;
      const std::int64_t begin = p * batch * bands / pieces, end = (p + 1) * batch * bands / pieces;
      for (std::int64_t task = begin; task < end; ++task) {
        const std::int64_t b = task / bands, row = task % bands * band, n = std::min(band, rows - row);
        for (std::int64_t c = 0; c < in; ++c)
          for (std::int64_t t = 0; t < 9; ++t)
            for (std::int64_t i = 0; i < n; ++i)
              std::memcpy(right + ((c * 9 + t) * n + i) * columns,
                          padded.as<float>() + (b * in + c) * plane + (row + i + t / 3) * stride + t % 3,
                          static_cast<std::size_t>(columns) * sizeof(float));
        failed = !multiply({'N', 'T', out, taps, n * columns, rows * columns, n * columns},
                           dy.as<float>() + (b * out * rows + row) * columns, right, task != begin,
                           partial.as<float>() + p * sums) ||
                 failed;
      }
    }
    if (failed) fail(ErrorKind::failure, "the library refused a product of {}x{}x{}", out, taps, band * columns);
    for (std::int64_t p = 0; p < pieces; ++p)
      for (std::int64_t i = 0; i < sums; ++i) weight_gradient.as<float>()[i] += partial.as<float>()[p * sums + i];
    add_channel_sums(dy, bias_gradient, team(dy.count()));
  }
  ctx.release(padded, around, partial);
}

/// In int8 the head's images and weights are rounded to bf16, as the bundle keeps the weights.
void CpuBackend::convolution_coarse([[maybe_unused]] Context& ctx, [[maybe_unused]] bool periodic,
                                    [[maybe_unused]] const Tensor& x, [[maybe_unused]] const Tensor& weight,
                                    [[maybe_unused]] const Tensor& bias, [[maybe_unused]] const Tensor& y) {
#ifdef ZONDA_AVX512_BF16
  const std::int64_t batch = x.shape[0], in = x.shape[1], out = y.shape[1], rows = x.shape[2], columns = x.shape[3],
                     pairs = (in + 1) / 2, stride = stride_of(columns + 2), plane = (rows + 2) * stride;
  Tensor padded = ctx.take({batch, pairs, rows + 2, stride}), taps = ctx.take({out, pairs, 9});  // of words
  if (!ctx.planning()) {
    auto* words = reinterpret_cast<small::Pair*>(padded.as<float>());
    auto* of_weights = reinterpret_cast<small::Pair*>(taps.as<float>());
    small::pair_taps(weight.as<float>(), out, in, of_weights);
    for_pieces(
        team(x.count()), batch * pairs * (rows + 2),
        [&](std::int64_t task) {
          const std::int64_t b = task / (rows + 2) / pairs, c = 2 * (task / (rows + 2) % pairs),
                             row = std::clamp<std::int64_t>(task % (rows + 2) - 1, 0, rows - 1);
          const float* first = x.as<float>() + ((b * in + c) * rows + row) * columns;
          small::pair_padded_row(first, c + 1 < in ? first + rows * columns : nullptr, columns, periodic, stride,
                                 words + task * stride);
        },
        16);
    for_pieces(team(batch * out * in * rows * columns), batch * rows, [&](std::int64_t task) {
      const std::int64_t b = task / rows, i = task % rows;
      small::pair_convolve_row(words + b * pairs * plane + i * stride, plane, stride, pairs, of_weights,
                               bias.none() ? nullptr : bias.as<float>(), y.as<float>() + (b * out * rows + i) * columns,
                               rows * columns, out, columns);
    });
  }
  ctx.release(padded, taps);
#endif
}

void CpuBackend::convolution(Context& ctx, bool periodic, const Tensor& x, const Tensor& weight, const Tensor& bias,
                             const Tensor& y) {
  if (x.dtype != DType::f32) return ReferenceBackend::convolution(ctx, periodic, x, weight, bias, y);
  if (ctx.int8 && bf16_products_ && small::has_pair_products())
    return convolution_coarse(ctx, periodic, x, weight, bias, y);
  const std::int64_t batch = x.shape[0], in = x.shape[1], out = y.shape[1], rows = x.shape[2], columns = x.shape[3];
  const std::int64_t stride = stride_of(columns + 2), plane = (rows + 2) * stride;
  Tensor padded = ctx.take({batch, in, rows + 2, stride});
  if (!ctx.planning()) {
    pad_planes(periodic, x.as<float>(), padded.as<float>(), batch * in, rows, columns, team(x.count()));
    for_pieces(team(batch * out * in * rows * columns), batch * rows, [&](std::int64_t task) {
      const std::int64_t b = task / rows, i = task % rows;
      convolve_row(padded.as<float>() + b * in * plane + i * stride, plane, stride, in, weight.as<float>(),
                   bias.none() ? nullptr : bias.as<float>(), y.as<float>() + (b * out * rows + i) * columns,
                   rows * columns, out, columns);
    });
  }
  ctx.release(padded);
}

void CpuBackend::convolution_backward_input(Context& ctx, bool periodic, const Tensor& weight, const Tensor& dy,
                                            const Tensor& dx) {
  if (dx.dtype != DType::f32) return ReferenceBackend::convolution_backward_input(ctx, periodic, weight, dy, dx);
  const std::int64_t batch = dx.shape[0], in = dx.shape[1], out = dy.shape[1], rows = dx.shape[2],
                     columns = dx.shape[3];
  const std::int64_t stride = stride_of(columns + 4), plane = (rows + 4) * stride;
  Tensor around = ctx.take({batch, out, rows + 4, stride});
  Tensor full = ctx.take({batch, in, rows + 2, columns + 2});
  Tensor mirrored = ctx.take({in, out, 9});
  if (!ctx.planning()) {
    for (std::int64_t c = 0; c < in; ++c)
      for (std::int64_t o = 0; o < out; ++o)
        for (int t = 0; t < 9; ++t)
          mirrored.as<float>()[(c * out + o) * 9 + t] = weight.as<float>()[(o * in + c) * 9 + 8 - t];
    pad_zero(2, dy.as<float>(), around.as<float>(), batch * out, rows, columns, stride, team(dy.count()));
    const std::int64_t wide = columns + 2, full_plane = (rows + 2) * wide;
    for_pieces(team(batch * out * in * rows * columns), batch * (rows + 2), [&](std::int64_t task) {
      const std::int64_t b = task / (rows + 2), i = task % (rows + 2);
      convolve_row(around.as<float>() + b * out * plane + i * stride, plane, stride, out, mirrored.as<float>(), nullptr,
                   full.as<float>() + b * in * full_plane + i * wide, full_plane, in, wide);
    });
    // The adjoint of padding: what the borders received goes to the pixels they were copied from.
    for_pieces(team(dx.count()), batch * in, [&](std::int64_t p) {
      for (std::int64_t i = 0; i < rows; ++i) {
        float* to = dx.as<float>() + (p * rows + i) * columns;
        std::memset(to, 0, static_cast<std::size_t>(columns) * sizeof(float));
        for (std::int64_t from_row = i == 0 ? 0 : i + 1; from_row <= (i == rows - 1 ? rows + 1 : i + 1); ++from_row) {
          const float* from = full.as<float>() + p * full_plane + from_row * wide;
          for (std::int64_t j = 0; j < columns; ++j) to[j] += from[j + 1];
          to[periodic ? columns - 1 : 0] += from[0];
          to[periodic ? 0 : columns - 1] += from[columns + 1];
        }
      }
    });
  }
  ctx.release(around, full, mirrored);
}

void CpuBackend::convolution_backward_weight(Context& ctx, bool periodic, const Tensor& x, const Tensor& dy,
                                             const Tensor& weight_gradient, const Tensor& bias_gradient) {
  if (x.dtype != DType::f32)
    return ReferenceBackend::convolution_backward_weight(ctx, periodic, x, dy, weight_gradient, bias_gradient);
  const std::int64_t batch = x.shape[0], in = x.shape[1], out = dy.shape[1], rows = x.shape[2], columns = x.shape[3];
  if (in * out >= kManyChannels)
    return weight_gradient_by_products(ctx, periodic, x, dy, weight_gradient, bias_gradient);
  const std::int64_t stride = stride_of(columns + 2), plane = (rows + 2) * stride, dy_plane = rows * stride;
  Tensor padded = ctx.take({batch, in, rows + 2, stride});
  Tensor widened = ctx.take({batch, out, rows, stride});
  if (!ctx.planning()) {
    pad_planes(periodic, x.as<float>(), padded.as<float>(), batch * in, rows, columns, team(x.count()));
    pad_zero(0, dy.as<float>(), widened.as<float>(), batch * out, rows, columns, stride, team(dy.count()));
    const std::int64_t triples = (out + 2) / 3;
    for_pieces(team(batch * out * in * rows * columns), triples * in, [&](std::int64_t task) {
      const std::int64_t o = task / in * 3, c = task % in;
      const int channels = static_cast<int>(std::min<std::int64_t>(3, out - o));
      float sum[27];
      correlate(channels, padded.as<float>() + c * plane, plane, in * plane, widened.as<float>() + o * dy_plane,
                dy_plane, out * dy_plane, stride, batch, rows, columns, sum);
      for (int r = 0; r < channels; ++r)
        for (int t = 0; t < 9; ++t) weight_gradient.as<float>()[((o + r) * in + c) * 9 + t] += sum[r * 9 + t];
    });
    add_channel_sums(dy, bias_gradient, team(dy.count()));
  }
  ctx.release(padded, widened);
}

}  // namespace zonda::model
