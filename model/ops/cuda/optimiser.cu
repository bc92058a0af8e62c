// AdamW, norms of gradients, moving averages.
#include "model/ops/cuda/kernels.hpp"
#include "model/ops/cuda/numbers.hpp"
#include "model/ops/cuda/reductions.hpp"

namespace zonda::model::cuda {

namespace {

constexpr int kThreads = 256;

template <int N>
__global__ void adamw_packs(AdamWRates r, float* w, const float* g, float* m, float* v, bf16* copy, std::int64_t n) {
  const std::int64_t at = (std::int64_t{blockIdx.x} * kThreads + threadIdx.x) * N;
  if (at >= n) return;
  Pack<N> weight = load<N>(w + at), first = load<N>(m + at), second = load<N>(v + at);
  const Pack<N> gradient = load<N>(g + at);
#pragma unroll
  for (int k = 0; k < N; ++k) {
    const float gi = gradient.at[k] * r.scale;
    first.at[k] = r.beta1 * first.at[k] + (1 - r.beta1) * gi;
    second.at[k] = r.beta2 * second.at[k] + (1 - r.beta2) * gi * gi;
    weight.at[k] -= r.step * first.at[k] / (sqrtf(second.at[k] * r.correction2) + r.epsilon) + r.decay * weight.at[k];
  }
  store(w + at, weight);
  if (copy) store(copy + at, weight);
  store(m + at, first);
  store(v + at, second);
}

__global__ void square_chunk(const float* x, std::int64_t n, std::int64_t raster, std::int64_t chunk, double* part) {
  __shared__ double room[kThreads / kWarp];
  const std::int64_t c = raster / chunk + blockIdx.x;
  const std::int64_t begin = max(raster, c * chunk) - raster, end = min(raster + n, (c + 1) * chunk) - raster;
  double sum = 0;
  for (std::int64_t i = begin + threadIdx.x; i < end; i += kThreads)
    sum += static_cast<double>(x[i]) * static_cast<double>(x[i]);
  sum = block_sum(sum, room);
  if (threadIdx.x == 0) part[blockIdx.x] = sum;
}

__global__ void scale_numbers(float* x, float factor, std::int64_t n) {
  const std::int64_t i = std::int64_t{blockIdx.x} * kThreads + threadIdx.x;
  if (i < n) x[i] *= factor;
}

__global__ void average_numbers(const float* x, float* mean, float rate, std::int64_t n) {
  const std::int64_t i = std::int64_t{blockIdx.x} * kThreads + threadIdx.x;
  if (i < n) mean[i] += rate * (x[i] - mean[i]);
}

}  // namespace

void adamw(Stream stream, const AdamWRates& rates, float* w, const float* g, float* m, float* v, bf16* copy,
           std::int64_t n) {
  if (packs<4>(w, n) && packs<4>(g, n) && packs<4>(m, n) && packs<4>(v, n) && packs<4>(copy, n))
    launch(adamw_packs<4>, dim3(blocks_for(n / 4, kThreads)), dim3(kThreads), 0, stream, rates, w, g, m, v, copy, n);
  else
    launch(adamw_packs<1>, dim3(blocks_for(n, kThreads)), dim3(kThreads), 0, stream, rates, w, g, m, v, copy, n);
}

void square_sum(Stream stream, const float* x, std::int64_t n, std::int64_t raster, std::int64_t chunk, double* part,
                std::int64_t chunks) {
  launch(square_chunk, dim3(static_cast<unsigned>(chunks)), dim3(kThreads), 0, stream, x, n, raster, chunk, part);
}

void scale(Stream stream, float* x, float factor, std::int64_t n) {
  launch(scale_numbers, dim3(blocks_for(n, kThreads)), dim3(kThreads), 0, stream, x, factor, n);
}

void average(Stream stream, const float* x, float* mean, float rate, std::int64_t n) {
  launch(average_numbers, dim3(blocks_for(n, kThreads)), dim3(kThreads), 0, stream, x, mean, rate, n);
}

}  // namespace zonda::model::cuda
