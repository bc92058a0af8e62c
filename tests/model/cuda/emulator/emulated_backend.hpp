#pragma once
// CudaBackend on the emulated device.
#include <memory>

#include "model/ops/backend.hpp"

namespace zonda::model::testing {

std::shared_ptr<Backend> emulated_cuda_backend();

}  // namespace zonda::model::testing
