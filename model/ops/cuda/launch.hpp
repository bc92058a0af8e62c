#pragma once
// Launching kernels and asking for the outcome of runtime calls. The kernels of this folder are written against
// cuda_runtime.h alone; tests compile them once more as C++ against an emulation of it.
#include <cuda_runtime.h>

#include <cstddef>
#include <cstdint>

namespace zonda::model::cuda {

using Stream = cudaStream_t;

/// Throws Error(failure) naming `what` and the runtime's own words unless `status` is success.
void check(cudaError_t status, const char* what);

/// Starts `kernel` on `stream`; `shared` bytes of dynamic shared memory. Arguments convert to the kernel's parameters.
template <class... Parameters, class... Arguments>
void launch(void (*kernel)(Parameters...), dim3 grid, dim3 block, std::size_t shared, Stream stream,
            Arguments... arguments) {
  constexpr std::size_t without_asking = 48 << 10;
  if (shared > without_asking)
    check(cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, static_cast<int>(shared)),
          "reserving shared memory");
  cudaLaunchConfig_t config{};
  config.gridDim = grid;
  config.blockDim = block;
  config.dynamicSmemBytes = shared;
  config.stream = stream;
  check(cudaLaunchKernelEx(&config, kernel, static_cast<Parameters>(arguments)...), "starting a kernel");
}

constexpr unsigned blocks_for(std::int64_t items, std::int64_t per_block) {
  return static_cast<unsigned>((items + per_block - 1) / per_block);
}

}  // namespace zonda::model::cuda
