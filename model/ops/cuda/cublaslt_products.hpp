#pragma once
// Products by cuBLASLt: descriptors and algorithm chosen once per shape and epilogue.
#include <memory>

#include "model/ops/cuda/cuda_memory.hpp"
#include "model/ops/cuda/product_library.hpp"

namespace zonda::model::cuda {

/// f32 operands multiply in f32 proper (no TF32). Throws Error(failure) where cuBLASLt does not start.
std::unique_ptr<ProductLibrary> cublaslt_products(CudaMemory& memory);

}  // namespace zonda::model::cuda
