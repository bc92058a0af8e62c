#include <algorithm>

#include "core/vectorise.hpp"
#include "model/ops/cpu/cpu_backend.hpp"
#include "model/ops/cpu/vector_math.hpp"

namespace zonda::model {

namespace {

constexpr std::int64_t kPiece = 8192;

ZONDA_CLONES void gelu_piece(const float* x, float* y, std::int64_t n) {
#pragma omp simd
  for (std::int64_t i = 0; i < n; ++i) y[i] = fast_gelu(x[i]);
}

ZONDA_CLONES void gelu_backward_piece(const float* x, const float* dy, float* dx, float* y, std::int64_t n) {
  if (y) {
#pragma omp simd
    for (std::int64_t i = 0; i < n; ++i) {
      float value, derivative;
      fast_gelu_both(x[i], value, derivative);
      dx[i] = dy[i] * derivative;
      y[i] = value;
    }
  } else {
#pragma omp simd
    for (std::int64_t i = 0; i < n; ++i) {
      float value, derivative;
      fast_gelu_both(x[i], value, derivative);
      dx[i] = dy[i] * derivative;
    }
  }
}

ZONDA_CLONES void add_piece(const float* x, const float* y, float* z, std::int64_t n) {
#pragma omp simd
  for (std::int64_t i = 0; i < n; ++i) z[i] = x[i] + y[i];
}

}  // namespace

void CpuBackend::gelu(Context& ctx, const Tensor& x, const Tensor& y) {
  if (ctx.planning()) return;
  if (x.dtype != DType::f32) return ReferenceBackend::gelu(ctx, x, y);
  const std::int64_t n = x.count();
#pragma omp parallel for schedule(dynamic) num_threads(team(n))
  for (std::int64_t i = 0; i < n; i += kPiece)
    gelu_piece(x.as<float>() + i, y.as<float>() + i, std::min(kPiece, n - i));
}

void CpuBackend::gelu_backward(Context& ctx, const Tensor& x, const Tensor& dy, const Tensor& dx, const Tensor& y) {
  if (ctx.planning()) return;
  if (x.dtype != DType::f32) return ReferenceBackend::gelu_backward(ctx, x, dy, dx, y);
  const std::int64_t n = x.count();
#pragma omp parallel for schedule(dynamic) num_threads(team(n))
  for (std::int64_t i = 0; i < n; i += kPiece)
    gelu_backward_piece(x.as<float>() + i, dy.as<float>() + i, dx.as<float>() + i,
                        y.none() ? nullptr : y.as<float>() + i, std::min(kPiece, n - i));
}

void CpuBackend::add(Context& ctx, const Tensor& x, const Tensor& y) {
  if (ctx.planning()) return;
  if (x.dtype != DType::f32) return ReferenceBackend::add(ctx, x, y);
  const std::int64_t n = x.count();
#pragma omp parallel for schedule(dynamic) num_threads(team(n))
  for (std::int64_t i = 0; i < n; i += kPiece)
    add_piece(x.as<float>() + i, y.as<float>() + i, y.as<float>() + i, std::min(kPiece, n - i));
}

void CpuBackend::add_rows(Context& ctx, const Tensor& x, const Tensor& rows, const Tensor& y) {
  if (ctx.planning()) return;
  if (x.dtype != DType::f32) return ReferenceBackend::add_rows(ctx, x, rows, y);
  const std::int64_t period = rows.count(), pieces = (period + kPiece - 1) / kPiece, groups = x.count() / period;
#pragma omp parallel for schedule(dynamic) num_threads(team(x.count()))
  for (std::int64_t p = 0; p < groups * pieces; ++p) {
    const std::int64_t within = p % pieces * kPiece, at = p / pieces * period + within;
    add_piece(x.as<float>() + at, rows.as<float>() + within, y.as<float>() + at, std::min(kPiece, period - within));
  }
}

void CpuBackend::sum_rows(Context& ctx, const Tensor& dy, const Tensor& gradient, bool accumulate) {
  if (ctx.planning()) return;
  if (dy.dtype != DType::f32) return ReferenceBackend::sum_rows(ctx, dy, gradient, accumulate);
  const std::int64_t period = gradient.count(), groups = dy.count() / period;
#pragma omp parallel for schedule(dynamic) num_threads(team(dy.count()))
  for (std::int64_t at = 0; at < period; at += kPiece) {
    const std::int64_t n = std::min(kPiece, period - at);
    float* sum = gradient.as<float>() + at;
    if (!accumulate) std::fill_n(sum, n, 0.0f);
    for (std::int64_t g = 0; g < groups; ++g) add_piece(sum, dy.as<float>() + g * period + at, sum, n);
  }
}

}  // namespace zonda::model
