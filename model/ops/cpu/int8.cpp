// Products of int8 numbers for inference: rows of the left operand are quantised as they come, the right one before.
#include <dnnl.h>
#include <omp.h>

#include <algorithm>
#include <cmath>

#include "core/error.hpp"
#include "core/vectorise.hpp"
#include "model/ops/cpu/cpu_backend.hpp"
#include "model/ops/cpu/mixed.hpp"
#include "model/ops/cpu/one_thread_each.hpp"
#include "model/ops/cpu/vector_math.hpp"
#include "model/ops/quantise.hpp"

namespace zonda::model {

namespace {

constexpr std::int64_t kRows = 256;

template <class H>
ZONDA_CLONES void quantise_rows(const H* x, std::int8_t* out, float* scales, std::int64_t rows, std::int64_t columns) {
  for (std::int64_t i = 0; i < rows; ++i, x += columns, out += columns) {
    float largest = 0;
#pragma omp simd reduction(max : largest)
    for (std::int64_t j = 0; j < columns; ++j) {
      const float size = std::fabs(widen(x[j]));
      largest = size > largest ? size : largest;
    }
    const float inverse = inverse_scale(largest);
    scales[i] = largest / kQuantised;
#pragma omp simd
    for (std::int64_t j = 0; j < columns; ++j) out[j] = quantised(widen(x[j]), inverse);
  }
}

/// c = sum * row scale * column scale [+ bias], activated = GELU(c before it is rounded).
template <class C>
ZONDA_CLONES void scale_back(const std::int32_t* sum, const float* row_scales, const float* column_scales,
                             const float* bias, C* c, C* activated, std::int64_t rows, std::int64_t columns) {
  for (std::int64_t i = 0; i < rows; ++i) {
    const std::int64_t at = i * columns;
#pragma omp simd
    for (std::int64_t j = 0; j < columns; ++j)
      store(float(sum[at + j]) * (row_scales[i] * column_scales[j]) + (bias ? bias[j] : 0.0f), c[at + j]);
    if (!activated) continue;
#pragma omp simd
    for (std::int64_t j = 0; j < columns; ++j)
      store(fast_gelu(float(sum[at + j]) * (row_scales[i] * column_scales[j]) + (bias ? bias[j] : 0.0f)),
            activated[at + j]);
  }
}

/// oneDNN's product saturates halfway where the machine does not add products of bytes in 32 bits.
bool has_int8_products() {
#if defined(__x86_64__)
  return __builtin_cpu_supports("avx512vnni");
#else
  return false;
#endif
}

}  // namespace

void CpuBackend::gemm_int8(Context& ctx, const Tensor& a, const Tensor& b, const Tensor& scales, const Tensor& c,
                           const GemmOptions& options) {
  if (!has_int8_products() || a.dtype == DType::f64 || c.dtype == DType::f64)
    return ReferenceBackend::gemm_int8(ctx, a, b, scales, c, options);
  const std::int64_t m = c.shape[0], n = c.shape[1], k = a.shape[1], pieces = (m + kRows - 1) / kRows;
  Tensor numbers = ctx.take({threads_, kRows * k}, DType::i8);
  Tensor row_scales = ctx.take({threads_, kRows}, DType::f32);
  Tensor sums = ctx.take({threads_, kRows * n}, DType::f32);
  if (!ctx.planning()) {
    const OneThreadEach one_thread_each;
    bool failed = false;
#pragma omp parallel for schedule(dynamic) num_threads(pieces == 1 ? 1 : team(m * n * k / 32)) reduction(|| : failed)
    for (std::int64_t p = 0; p < pieces; ++p) {
      const std::int64_t first = p * kRows, rows = std::min(kRows, m - first), worker = omp_get_thread_num();
      auto* left = numbers.as<std::int8_t>() + worker * kRows * k;
      float* left_scales = row_scales.as<float>() + worker * kRows;
      auto* sum = reinterpret_cast<std::int32_t*>(sums.as<float>() + worker * kRows * n);
      for_half_type(a.dtype,
                    [&](auto half) { quantise_rows(a.as<decltype(half)>() + first * k, left, left_scales, rows, k); });
      const std::int32_t zero = 0;
      failed = dnnl_gemm_s8s8s32('N', 'N', 'F', rows, n, k, 1.0f, left, k, 0, b.as<std::int8_t>(), n, 0, 0.0f, sum, n,
                                 &zero) != dnnl_success ||
               failed;
      for_half_type(c.dtype, [&](auto half) {
        using C = decltype(half);
        scale_back(sum, left_scales, scales.as<float>(), options.bias.none() ? nullptr : options.bias.as<float>(),
                   c.as<C>() + first * n, options.activated.none() ? nullptr : options.activated.as<C>() + first * n,
                   rows, n);
      });
    }
    if (failed) fail(ErrorKind::failure, "oneDNN refused an int8 product of {}x{}x{}", m, n, k);
  }
  ctx.release(numbers, row_scales, sums);
}

}  // namespace zonda::model
