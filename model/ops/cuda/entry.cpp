// What the module gives to the program that opens it (module.hpp).
#include "model/ops/cuda/cublaslt_products.hpp"
#include "model/ops/cuda/cuda_backend.hpp"
#include "model/ops/cuda/cudnn_attention.hpp"
#include "model/ops/cuda/module.hpp"

namespace {

std::unique_ptr<zonda::model::cuda::LongAttention> long_attention(zonda::model::cuda::CudaMemory& memory) {
#ifdef ZONDA_WITH_CUDNN
  return zonda::model::cuda::cudnn_attention(memory);
#else
  (void)memory;
  return nullptr;
#endif
}

}  // namespace

extern "C" __attribute__((visibility("default"))) zonda::model::Backend* zonda_cuda_backend(int device) {
  using namespace zonda::model::cuda;
  return new CudaBackend(device, cublaslt_products, long_attention);
}

static_assert(std::is_same_v<decltype(&zonda_cuda_backend), zonda::model::cuda::EntryPoint>);
