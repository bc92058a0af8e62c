// Normalisation with modulation, and gated addition: row by row; per-group sums over fixed pieces of rows.
#include <algorithm>
#include <cmath>

#include "core/vectorise.hpp"
#include "model/ops/cpu/cpu_backend.hpp"
#include "model/ops/cpu/for_pieces.hpp"
#include "model/ops/cpu/mixed.hpp"
#include "model/ops/cpu/row_reductions.hpp"

namespace zonda::model {

namespace {

constexpr std::int64_t kPiece = 64;  // rows whose sums one thread forms

template <class H>
ZONDA_CLONES void norm_rows(bool centre, const float* x, const float* scale, const float* shift, H* y,
                            float* statistics, std::int64_t rows, std::int64_t width) {
  for (std::int64_t i = 0; i < rows; ++i, x += width, y += width) {
    float mean = 0, square = 0;
    if (centre) {
#pragma omp simd reduction(+ : mean)
      for (std::int64_t d = 0; d < width; ++d) mean += x[d];
      mean /= float(width);
#pragma omp simd reduction(+ : square)
      for (std::int64_t d = 0; d < width; ++d) square += (x[d] - mean) * (x[d] - mean);
    } else {
      square = small::square_sum(x, width);
    }
    const float inverse = 1.0f / std::sqrt(square / float(width) + float(Backend::norm_epsilon));
#pragma omp simd
    for (std::int64_t d = 0; d < width; ++d) store((x[d] - mean) * inverse * (1.0f + scale[d]) + shift[d], y[d]);
    statistics[2 * i] = mean;
    statistics[2 * i + 1] = inverse;
  }
}

template <class H>
ZONDA_CLONES void norm_rows_backward(bool centre, bool accumulate, const float* x, const float* scale,
                                     const float* statistics, const H* dy, float* dx, float* scale_sum,
                                     float* shift_sum, std::int64_t rows, std::int64_t width) {
  for (std::int64_t i = 0; i < rows; ++i, x += width, dy += width, dx += width) {
    const float mean = statistics[2 * i], inverse = statistics[2 * i + 1];
    float dot = 0, total = 0;
#pragma omp simd reduction(+ : dot, total)
    for (std::int64_t d = 0; d < width; ++d) {
      const float g = widen(dy[d]), u = (x[d] - mean) * inverse, du = g * (1.0f + scale[d]);
      dot += u * du;
      total += du;
      scale_sum[d] += g * u;
      shift_sum[d] += g;
    }
    dot /= float(width);
    total = centre ? total / float(width) : 0.0f;
    if (accumulate) {
#pragma omp simd
      for (std::int64_t d = 0; d < width; ++d)
        dx[d] += inverse * (widen(dy[d]) * (1.0f + scale[d]) - (x[d] - mean) * inverse * dot - total);
    } else {
#pragma omp simd
      for (std::int64_t d = 0; d < width; ++d)
        dx[d] = inverse * (widen(dy[d]) * (1.0f + scale[d]) - (x[d] - mean) * inverse * dot - total);
    }
  }
}

template <class H>
ZONDA_CLONES void gated_rows(const float* x, const H* branch, const float* gate, float* y, std::int64_t rows,
                             std::int64_t width) {
  for (std::int64_t i = 0; i < rows; ++i) {
    const std::int64_t at = i * width;
    if (x) {
#pragma omp simd
      for (std::int64_t d = 0; d < width; ++d) y[at + d] = x[at + d] + gate[d] * widen(branch[at + d]);
    } else {
#pragma omp simd
      for (std::int64_t d = 0; d < width; ++d) y[at + d] = gate[d] * widen(branch[at + d]);
    }
  }
}

template <class H>
ZONDA_CLONES void gated_rows_backward(const H* branch, const float* gate, const float* dy, H* dbranch, float* sum,
                                      std::int64_t rows, std::int64_t width) {
  for (std::int64_t i = 0; i < rows; ++i) {
    const std::int64_t at = i * width;
#pragma omp simd
    for (std::int64_t d = 0; d < width; ++d) {
      const float g = dy[at + d];
      sum[d] += g * widen(branch[at + d]);
      store(gate[d] * g, dbranch[at + d]);
    }
  }
}

/// out[d] = sum over the pieces of a group, in order.
ZONDA_CLONES void sum_pieces(const float* partial, std::int64_t stride, std::int64_t pieces, float* out,
                             std::int64_t width) {
#pragma omp simd
  for (std::int64_t d = 0; d < width; ++d) out[d] = 0;
  for (std::int64_t p = 0; p < pieces; ++p) {
#pragma omp simd
    for (std::int64_t d = 0; d < width; ++d) out[d] += partial[p * stride + d];
  }
}

}  // namespace

void CpuBackend::norm_modulate(Context& ctx, NormKind kind, const Tensor& x, const Modulation& modulation,
                               const Tensor& y, const Tensor& statistics) {
  if (ctx.planning()) return;
  if (x.dtype != DType::f32) return ReferenceBackend::norm_modulate(ctx, kind, x, modulation, y, statistics);
  const std::int64_t width = x.shape[1], groups = modulation.rows.shape[0], per_group = x.shape[0] / groups;
  const std::int64_t pieces = (per_group + kPiece - 1) / kPiece;
  for_half_type(y.dtype, [&](auto half) {
    using H = decltype(half);
    for_pieces(team(x.count()), groups * pieces, [&](std::int64_t p) {
      const std::int64_t g = p / pieces, in_group = p % pieces * kPiece, first = g * per_group + in_group;
      const float* m = modulation.rows.as<float>() + g * modulation.rows.shape[1];
      norm_rows(kind == NormKind::layer, x.as<float>() + first * width, m + modulation.scale, m + modulation.shift,
                y.as<H>() + first * width, statistics.as<float>() + 2 * first, std::min(kPiece, per_group - in_group),
                width);
    });
  });
}

void CpuBackend::norm_modulate_backward(Context& ctx, NormKind kind, const Tensor& x, const Modulation& modulation,
                                        const Tensor& statistics, const Tensor& dy, const Tensor& dx, bool accumulate,
                                        const Modulation& gradient) {
  if (x.dtype != DType::f32)
    return ReferenceBackend::norm_modulate_backward(ctx, kind, x, modulation, statistics, dy, dx, accumulate, gradient);
  const std::int64_t width = x.shape[1], groups = modulation.rows.shape[0], per_group = x.shape[0] / groups;
  const std::int64_t pieces = (per_group + kPiece - 1) / kPiece;
  Tensor partial = ctx.take({groups * pieces, 2, width});
  if (!ctx.planning()) {
    for_half_type(dy.dtype, [&](auto half) {
      using H = decltype(half);
      for_pieces(team(x.count()), groups * pieces, [&](std::int64_t p) {
        const std::int64_t g = p / pieces, in_group = p % pieces * kPiece, first = g * per_group + in_group;
        float* sums = partial.as<float>() + p * 2 * width;
        std::fill_n(sums, 2 * width, 0.0f);
        norm_rows_backward(kind == NormKind::layer, accumulate, x.as<float>() + first * width,
                           modulation.rows.as<float>() + g * modulation.rows.shape[1] + modulation.scale,
                           statistics.as<float>() + 2 * first, dy.as<H>() + first * width,
                           dx.as<float>() + first * width, sums, sums + width, std::min(kPiece, per_group - in_group),
                           width);
      });
    });
    if (!gradient.rows.none())
      for (std::int64_t g = 0; g < groups; ++g) {
        float* out = gradient.rows.as<float>() + g * gradient.rows.shape[1];
        const float* sums = partial.as<float>() + g * pieces * 2 * width;
        sum_pieces(sums, 2 * width, pieces, out + gradient.scale, width);
        sum_pieces(sums + width, 2 * width, pieces, out + gradient.shift, width);
      }
  }
  ctx.release(partial);
}

void CpuBackend::gated_add(Context& ctx, const Tensor& x, const Tensor& branch, const Tensor& rows, std::int64_t gate,
                           const Tensor& y) {
  if (ctx.planning()) return;
  if (y.dtype != DType::f32) return ReferenceBackend::gated_add(ctx, x, branch, rows, gate, y);
  const std::int64_t width = y.shape[1], groups = rows.shape[0], per_group = y.shape[0] / groups;
  const std::int64_t pieces = (per_group + kPiece - 1) / kPiece;
  for_half_type(branch.dtype, [&](auto half) {
    using H = decltype(half);
    for_pieces(team(y.count()), groups * pieces, [&](std::int64_t p) {
      const std::int64_t g = p / pieces, in_group = p % pieces * kPiece, at = (g * per_group + in_group) * width;
      gated_rows(x.none() ? nullptr : x.as<float>() + at, branch.as<H>() + at,
                 rows.as<float>() + g * rows.shape[1] + gate, y.as<float>() + at,
                 std::min(kPiece, per_group - in_group), width);
    });
  });
}

void CpuBackend::gated_add_backward(Context& ctx, const Tensor& branch, const Tensor& rows, std::int64_t gate,
                                    const Tensor& dy, const Tensor& dbranch, const Tensor& rows_gradient) {
  if (dy.dtype != DType::f32)
    return ReferenceBackend::gated_add_backward(ctx, branch, rows, gate, dy, dbranch, rows_gradient);
  const std::int64_t width = dy.shape[1], groups = rows.shape[0], per_group = dy.shape[0] / groups;
  const std::int64_t pieces = (per_group + kPiece - 1) / kPiece;
  Tensor partial = ctx.take({groups * pieces, width});
  if (!ctx.planning()) {
    for_half_type(branch.dtype, [&](auto half) {
      using H = decltype(half);
      for_pieces(team(dy.count()), groups * pieces, [&](std::int64_t p) {
        const std::int64_t g = p / pieces, in_group = p % pieces * kPiece, at = (g * per_group + in_group) * width;
        float* sum = partial.as<float>() + p * width;
        std::fill_n(sum, width, 0.0f);
        gated_rows_backward(branch.as<H>() + at, rows.as<float>() + g * rows.shape[1] + gate, dy.as<float>() + at,
                            dbranch.as<H>() + at, sum, std::min(kPiece, per_group - in_group), width);
      });
    });
    if (!rows_gradient.none())
      for (std::int64_t g = 0; g < groups; ++g)
        sum_pieces(partial.as<float>() + g * pieces * width, width, pieces,
                   rows_gradient.as<float>() + g * rows_gradient.shape[1] + gate, width);
  }
  ctx.release(partial);
}

}  // namespace zonda::model
