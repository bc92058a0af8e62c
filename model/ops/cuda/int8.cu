// Products of bytes: quantisation (model/ops/quantise.hpp), the way back to numbers, and a product for shapes that no
// library has.
#include "model/ops/cuda/kernels.hpp"
#include "model/ops/cuda/numbers.hpp"
#include "model/ops/cuda/reductions.hpp"
#include "model/ops/gelu.hpp"
#include "model/ops/quantise.hpp"

namespace zonda::model::cuda {

namespace {

constexpr int kThreads = 256, kRowsOfBlock = kThreads / kWarp;
constexpr float kLargest = kQuantised;

__device__ __forceinline__ std::int8_t quantise(float x, float inverse) {
  return static_cast<std::int8_t>(static_cast<int>(rintf(x * inverse)));
}

/// A warp a row.
template <class H>
__global__ void quantise_each_row(const H* x, std::int8_t* out, float* scales, std::int64_t rows,
                                  std::int64_t columns) {
  const int lane = static_cast<int>(threadIdx.x) % kWarp;
  const std::int64_t i = std::int64_t{blockIdx.x} * kRowsOfBlock + threadIdx.x / kWarp;
  if (i >= rows) return;
  float largest = 0;
  for (std::int64_t j = lane; j < columns; j += kWarp) largest = fmaxf(largest, fabsf(widen(x[i * columns + j])));
  largest = warp_max(largest);
  const float inverse = largest > 0 ? kLargest / largest : 0.0f;
  for (std::int64_t j = lane; j < columns; j += kWarp)
    out[i * columns + j] = quantise(widen(x[i * columns + j]), inverse);
  if (lane == 0) scales[i] = largest / kLargest;
}

/// A thread a column, which becomes a row.
__global__ void quantise_each_column(const float* w, std::int8_t* out, float* scales, std::int64_t rows,
                                     std::int64_t columns) {
  const std::int64_t j = std::int64_t{blockIdx.x} * kThreads + threadIdx.x;
  if (j >= columns) return;
  float largest = 0;
  for (std::int64_t i = 0; i < rows; ++i) largest = fmaxf(largest, fabsf(w[i * columns + j]));
  const float inverse = largest > 0 ? kLargest / largest : 0.0f;
  for (std::int64_t i = 0; i < rows; ++i) out[j * rows + i] = quantise(w[i * columns + j], inverse);
  scales[j] = largest / kLargest;
}

__global__ void multiply_each(const std::int8_t* a, const std::int8_t* b, std::int32_t* c, std::int64_t m,
                              std::int64_t n, std::int64_t k) {
  const std::int64_t at = std::int64_t{blockIdx.x} * kThreads + threadIdx.x;
  if (at >= m * n) return;
  const std::int8_t *row = a + at / n * k, *column = b + at % n * k;
  std::int32_t sum = 0;
  for (std::int64_t l = 0; l < k; ++l) sum += std::int32_t{row[l]} * std::int32_t{column[l]};
  c[at] = sum;
}

template <class C>
__global__ void scale_each(const std::int32_t* sum, const float* row_scales, const float* column_scales,
                           const float* bias, C* c, C* activated, std::int64_t n, std::int64_t count) {
  const std::int64_t at = std::int64_t{blockIdx.x} * kThreads + threadIdx.x;
  if (at >= count) return;
  const std::int64_t j = at % n;
  const float x = static_cast<float>(sum[at]) * (row_scales[at / n] * column_scales[j]) + (bias ? bias[j] : 0.0f);
  if (c) c[at] = narrow<C>(x);
  if (activated)
    activated[at] =
        narrow<C>(x / (1.0f + expf(-x * (static_cast<float>(kGeluA) + static_cast<float>(kGeluB) * x * x))));
}

}  // namespace

template <class H>
void quantise_rows(Stream stream, const H* x, std::int8_t* out, float* scales, std::int64_t rows,
                   std::int64_t columns) {
  launch(quantise_each_row<H>, dim3(blocks_for(rows, kRowsOfBlock)), dim3(kThreads), 0, stream, x, out, scales, rows,
         columns);
}

void quantise_columns(Stream stream, const float* w, std::int8_t* out, float* scales, std::int64_t rows,
                      std::int64_t columns) {
  launch(quantise_each_column, dim3(blocks_for(columns, kThreads)), dim3(kThreads), 0, stream, w, out, scales, rows,
         columns);
}

void multiply_bytes(Stream stream, const std::int8_t* a, const std::int8_t* b, std::int32_t* c, std::int64_t m,
                    std::int64_t n, std::int64_t k) {
  launch(multiply_each, dim3(blocks_for(m * n, kThreads)), dim3(kThreads), 0, stream, a, b, c, m, n, k);
}

template <class C>
void scale_back(Stream stream, const std::int32_t* sum, const float* row_scales, const float* column_scales,
                const float* bias, C* c, C* activated, std::int64_t m, std::int64_t n) {
  launch(scale_each<C>, dim3(blocks_for(m * n, kThreads)), dim3(kThreads), 0, stream, sum, row_scales, column_scales,
         bias, c, activated, n, m * n);
}

#define ZONDA_INT8(H)                                                                                        \
  template void quantise_rows<H>(Stream, const H*, std::int8_t*, float*, std::int64_t, std::int64_t);        \
  template void scale_back<H>(Stream, const std::int32_t*, const float*, const float*, const float*, H*, H*, \
                              std::int64_t, std::int64_t);
ZONDA_INT8(float)
ZONDA_INT8(bf16)
#undef ZONDA_INT8

}  // namespace zonda::model::cuda
