#pragma once
// Sums and maxima over the lanes of a warp and the warps of a block, in one fixed order.
#include <cuda_runtime.h>

namespace zonda::model::cuda {

inline constexpr int kWarp = 32;
inline constexpr unsigned kAllLanes = 0xffffffffu;

/// Every lane receives the sum over `width` neighbouring lanes.
template <int width = kWarp, class T>
__device__ __forceinline__ T warp_sum(T x) {
#pragma unroll
  for (int step = width / 2; step > 0; step /= 2) x += __shfl_xor_sync(kAllLanes, x, step);
  return x;
}

template <int width = kWarp>
__device__ __forceinline__ float warp_max(float x) {
#pragma unroll
  for (int step = width / 2; step > 0; step /= 2) x = fmaxf(x, __shfl_xor_sync(kAllLanes, x, step));
  return x;
}

/// Every thread receives the sum over the block, whose threads lie along x in whole warps. `room` holds one number a
/// warp and may be used again after the block's next barrier.
template <class T>
__device__ __forceinline__ T block_sum(T x, T* room) {
  x = warp_sum(x);
  const int warp = static_cast<int>(threadIdx.x) / kWarp, warps = static_cast<int>(blockDim.x) / kWarp;
  if (threadIdx.x % kWarp == 0) room[warp] = x;
  __syncthreads();
  T sum = room[0];
  for (int i = 1; i < warps; ++i) sum += room[i];
  return sum;
}

}  // namespace zonda::model::cuda
