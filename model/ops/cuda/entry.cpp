// What the module gives to the program that opens it (module.hpp).
#include "model/ops/cuda/cublaslt_products.hpp"
#include "model/ops/cuda/cuda_backend.hpp"
#include "model/ops/cuda/module.hpp"

extern "C" __attribute__((visibility("default"))) zonda::model::Backend* zonda_cuda_backend(int device) {
  using namespace zonda::model::cuda;
  return new CudaBackend(device, cublaslt_products);
}

static_assert(std::is_same_v<decltype(&zonda_cuda_backend), zonda::model::cuda::EntryPoint>);
