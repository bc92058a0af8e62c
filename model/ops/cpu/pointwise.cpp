#include <algorithm>
#include <cstring>

#include "core/vectorise.hpp"
#include "model/ops/cpu/cpu_backend.hpp"
#include "model/ops/cpu/for_pieces.hpp"
#include "model/ops/cpu/mixed.hpp"
#include "model/ops/cpu/vector_math.hpp"

namespace zonda::model {

namespace {

constexpr std::int64_t kPiece = 8192, kCopied = 65536;  // numbers, bytes

template <class H>
ZONDA_CLONES void gelu_piece(const H* x, H* y, std::int64_t n) {
#pragma omp simd
  for (std::int64_t i = 0; i < n; ++i) store(fast_gelu(widen(x[i])), y[i]);
}

template <class H>
ZONDA_CLONES void gelu_backward_piece(const H* x, const H* dy, H* dx, H* y, std::int64_t n) {
  if (y) {
#pragma omp simd
    for (std::int64_t i = 0; i < n; ++i) {
      float value, derivative;
      fast_gelu_both(widen(x[i]), value, derivative);
      store(widen(dy[i]) * derivative, dx[i]);
      store(value, y[i]);
    }
  } else {
#pragma omp simd
    for (std::int64_t i = 0; i < n; ++i) {
      float value, derivative;
      fast_gelu_both(widen(x[i]), value, derivative);
      store(widen(dy[i]) * derivative, dx[i]);
    }
  }
}

template <class H>
ZONDA_CLONES void add_piece(const H* x, const H* y, H* z, std::int64_t n) {
#pragma omp simd
  for (std::int64_t i = 0; i < n; ++i) store(widen(x[i]) + widen(y[i]), z[i]);
}

/// y [tokens, width] += row [width] + columns [tokens, width].
ZONDA_CLONES void add_raster_row(const float* row, const float* columns, float* y, std::int64_t tokens,
                                 std::int64_t width) {
  for (std::int64_t j = 0; j < tokens; ++j, columns += width, y += width) {
#pragma omp simd
    for (std::int64_t d = 0; d < width; ++d) y[d] = y[d] + row[d] + columns[d];
  }
}

template <class From, class To>
ZONDA_CLONES void cast_piece(const From* x, To* y, std::int64_t n) {
#pragma omp simd
  for (std::int64_t i = 0; i < n; ++i) store(widen(x[i]), y[i]);
}

}  // namespace

void CpuBackend::gelu(Context& ctx, const Tensor& x, const Tensor& y) {
  if (ctx.planning()) return;
  if (x.dtype == DType::f64) return ReferenceBackend::gelu(ctx, x, y);
  const std::int64_t n = x.count();
  for_half_type(x.dtype, [&](auto half) {
    using H = decltype(half);
    for_pieces(team(n), (n + kPiece - 1) / kPiece, [&](std::int64_t piece) {
      const std::int64_t i = piece * kPiece;
      gelu_piece(x.as<H>() + i, y.as<H>() + i, std::min(kPiece, n - i));
    });
  });
}

void CpuBackend::gelu_backward(Context& ctx, const Tensor& x, const Tensor& dy, const Tensor& dx, const Tensor& y) {
  if (ctx.planning()) return;
  if (x.dtype == DType::f64) return ReferenceBackend::gelu_backward(ctx, x, dy, dx, y);
  const std::int64_t n = x.count();
  for_half_type(x.dtype, [&](auto half) {
    using H = decltype(half);
    for_pieces(team(n), (n + kPiece - 1) / kPiece, [&](std::int64_t piece) {
      const std::int64_t i = piece * kPiece;
      gelu_backward_piece(x.as<H>() + i, dy.as<H>() + i, dx.as<H>() + i, y.none() ? nullptr : y.as<H>() + i,
                          std::min(kPiece, n - i));
    });
  });
}

void CpuBackend::copy(Context& ctx, const Tensor& x, const Tensor& y) {
  if (ctx.planning()) return;
  const auto bytes = static_cast<std::int64_t>(x.bytes());
  for_pieces(team(x.count()), (bytes + kCopied - 1) / kCopied, [&](std::int64_t piece) {
    const std::int64_t i = piece * kCopied;
    std::memcpy(y.as<std::byte>() + i, x.as<std::byte>() + i, static_cast<std::size_t>(std::min(kCopied, bytes - i)));
  });
}

void CpuBackend::cast(Context& ctx, const Tensor& x, const Tensor& y) {
  if (ctx.planning()) return;
  if (x.dtype == DType::f64 || y.dtype == DType::f64) return ReferenceBackend::cast(ctx, x, y);
  const std::int64_t n = x.count();
  for_half_type(x.dtype, [&](auto from) {
    for_half_type(y.dtype, [&](auto to) {
      using From = decltype(from);
      using To = decltype(to);
      for_pieces(team(n), (n + kPiece - 1) / kPiece, [&](std::int64_t piece) {
        const std::int64_t i = piece * kPiece;
        cast_piece(x.as<From>() + i, y.as<To>() + i, std::min(kPiece, n - i));
      });
    });
  });
}

void CpuBackend::add(Context& ctx, const Tensor& x, const Tensor& y) {
  if (ctx.planning()) return;
  if (x.dtype != DType::f32) return ReferenceBackend::add(ctx, x, y);
  const std::int64_t n = x.count();
  for_pieces(team(n), (n + kPiece - 1) / kPiece, [&](std::int64_t piece) {
    const std::int64_t i = piece * kPiece;
    add_piece(x.as<float>() + i, y.as<float>() + i, y.as<float>() + i, std::min(kPiece, n - i));
  });
}

void CpuBackend::add_rows(Context& ctx, const Tensor& x, const Tensor& rows, const Tensor& y) {
  if (ctx.planning()) return;
  if (x.dtype == DType::f64) return ReferenceBackend::add_rows(ctx, x, rows, y);
  const std::int64_t period = rows.count(), pieces = (period + kPiece - 1) / kPiece, groups = x.count() / period;
  for_half_type(x.dtype, [&](auto half) {
    using H = decltype(half);
    for_pieces(team(x.count()), groups * pieces, [&](std::int64_t p) {
      const std::int64_t within = p % pieces * kPiece, at = p / pieces * period + within;
      add_piece(x.as<H>() + at, rows.as<H>() + within, y.as<H>() + at, std::min(kPiece, period - within));
    });
  });
}

void CpuBackend::add_raster(Context& ctx, const Tensor& rows, const Tensor& columns, const Tensor& y) {
  if (ctx.planning()) return;
  if (y.dtype != DType::f32) return ReferenceBackend::add_raster(ctx, rows, columns, y);
  const std::int64_t of_row = columns.shape[0], width = columns.shape[1];
  for_pieces(team(y.count()), y.shape[0] / of_row, [&](std::int64_t row) {
    add_raster_row(rows.as<float>() + row % rows.shape[0] * width, columns.as<float>(),
                   y.as<float>() + row * of_row * width, of_row, width);
  });
}

void CpuBackend::sum_rows(Context& ctx, const Tensor& dy, const Tensor& gradient, bool accumulate) {
  if (ctx.planning()) return;
  if (dy.dtype != DType::f32) return ReferenceBackend::sum_rows(ctx, dy, gradient, accumulate);
  const std::int64_t period = gradient.count(), groups = dy.count() / period;
  for_pieces(team(dy.count()), (period + kPiece - 1) / kPiece, [&](std::int64_t piece) {
    const std::int64_t at = piece * kPiece;
    const std::int64_t n = std::min(kPiece, period - at);
    float* sum = gradient.as<float>() + at;
    if (!accumulate) std::fill_n(sum, n, 0.0f);
    for (std::int64_t g = 0; g < groups; ++g) add_piece(sum, dy.as<float>() + g * period + at, sum, n);
  });
}

}  // namespace zonda::model
