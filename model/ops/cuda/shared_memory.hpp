#pragma once
// The dynamic shared memory of a block.
#include <cuda_runtime.h>

namespace zonda::model::cuda {

template <class T>
__device__ __forceinline__ T* dynamic_shared() {
#ifdef __CUDACC__
  extern __shared__ __align__(16) unsigned char room[];
  return reinterpret_cast<T*>(room);
#else
  return static_cast<T*>(emulator::dynamic_shared());
#endif
}

}  // namespace zonda::model::cuda
