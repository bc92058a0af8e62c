#pragma once
// Packs: up to 16 bytes of consecutive numbers, moved by one access, computed in f32. For kernels alone.
#include <cstdint>

#include "model/ops/cuda/kernels.hpp"

namespace zonda::model::cuda {

__device__ __forceinline__ float widen(float x) {
  return x;
}
__device__ __forceinline__ float widen(bf16 x) {
  return __bfloat162float(x);
}
template <class T>
__device__ __forceinline__ T narrow(float x);
template <>
__device__ __forceinline__ float narrow<float>(float x) {
  return x;
}
template <>
__device__ __forceinline__ bf16 narrow<bf16>(float x) {
  return __float2bfloat16(x);
}

/// N numbers in registers, as f32.
template <int N>
struct Pack {
  float at[N];
};

template <class T, int N>
struct alignas(sizeof(T) * N) Stored {
  T at[N];
};

template <int N, class T>
__device__ __forceinline__ Pack<N> load(const T* from) {
  const auto stored = *reinterpret_cast<const Stored<T, N>*>(from);
  Pack<N> pack;
#pragma unroll
  for (int i = 0; i < N; ++i) pack.at[i] = widen(stored.at[i]);
  return pack;
}

template <int N, class T>
__device__ __forceinline__ void store(T* to, const Pack<N>& pack) {
  Stored<T, N> stored;
#pragma unroll
  for (int i = 0; i < N; ++i) stored.at[i] = narrow<T>(pack.at[i]);
  *reinterpret_cast<Stored<T, N>*>(to) = stored;
}

/// Whether every row of `width` numbers of T may be moved in packs of N.
template <int N, class T>
bool packs(const T* data, std::int64_t width) {
  return width % N == 0 && reinterpret_cast<std::uintptr_t>(data) % (sizeof(T) * N) == 0;
}

}  // namespace zonda::model::cuda
