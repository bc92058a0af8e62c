// Images to patches and back.
#include "model/ops/cuda/kernels.hpp"

namespace zonda::model::cuda {

namespace {

constexpr int kThreads = 256;

/// Patches of token rows i - 1 and i that share a pixel row count half each.
__device__ __forceinline__ float share_of(const PatchShape& s, std::int64_t i, std::int64_t u) {
  const bool shared = s.kernel_rows > s.size && ((u == 0 && i > 0) || (u == s.size && i + 1 < s.token_rows));
  return shared ? 0.5f : 1.0f;
}

/// One thread a number of a patch.
__global__ void gather(PatchShape s, const float* image, float* patches, bool average, std::int64_t n) {
  std::int64_t at = std::int64_t{blockIdx.x} * kThreads + threadIdx.x;
  if (at >= n) return;
  float& to = patches[at];
  const std::int64_t v = at % s.size;
  at /= s.size;
  const std::int64_t u = at % s.kernel_rows;
  at /= s.kernel_rows;
  const std::int64_t c = at % s.channels;
  at /= s.channels;
  const std::int64_t j = at % s.token_columns;
  at /= s.token_columns;
  const std::int64_t i = at % s.token_rows, b = at / s.token_rows;
  const float pixel = image[((b * s.channels + c) * s.rows + i * s.size + u) * s.columns + j * s.size + v];
  to = average ? pixel * share_of(s, i, u) : pixel;
}

/// One thread a pixel, which at most two patches hold.
__global__ void scatter(PatchShape s, const float* patches, float* image, bool average, std::int64_t n) {
  const std::int64_t at = std::int64_t{blockIdx.x} * kThreads + threadIdx.x;
  if (at >= n) return;
  const std::int64_t column = at % s.columns, row = at / s.columns % s.rows, c = at / (s.columns * s.rows) % s.channels,
                     b = at / (s.columns * s.rows * s.channels);
  const std::int64_t j = column / s.size, v = column % s.size;
  float sum = 0;
  const std::int64_t last = row / s.size;
  for (std::int64_t i = last > 0 ? last - 1 : 0; i <= last && i < s.token_rows; ++i) {
    const std::int64_t u = row - i * s.size;
    if (u >= s.kernel_rows) continue;
    const float part =
        patches[(((b * s.token_rows + i) * s.token_columns + j) * s.channels + c) * s.kernel_rows * s.size +
                u * s.size + v];
    sum += average ? part * share_of(s, i, u) : part;
  }
  image[at] = sum;
}

}  // namespace

void patch_gather(Stream stream, const PatchShape& s, const float* image, float* patches, bool average) {
  const std::int64_t n = s.batch * s.token_rows * s.token_columns * s.channels * s.kernel_rows * s.size;
  launch(gather, dim3(blocks_for(n, kThreads)), dim3(kThreads), 0, stream, s, image, patches, average, n);
}

void patch_scatter(Stream stream, const PatchShape& s, const float* patches, float* image, bool average) {
  const std::int64_t n = s.batch * s.channels * s.rows * s.columns;
  launch(scatter, dim3(blocks_for(n, kThreads)), dim3(kThreads), 0, stream, s, patches, image, average, n);
}

}  // namespace zonda::model::cuda
