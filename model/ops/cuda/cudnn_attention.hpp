#pragma once
// Attention of long sequences by cuDNN 9, planned once per shape: forward as one scaled-dot-product node, backward as a
// graph of products, sums and operations by element. cuDNN is opened at run time; where it is absent or has no engine
// the backend's own kernels do the work.
#include <memory>
#include <string>

#include "model/ops/cuda/long_attention.hpp"

namespace zonda::model::cuda {

/// Null where libcudnn.so.9 does not open.
std::unique_ptr<LongAttention> cudnn_attention(CudaMemory& memory);

/// Whether cuDNN has an engine for a shape, forward or backward, on a device that need not be here.
struct CudnnSupport {
  bool supported = false;
  std::string reason;  ///< cuDNN's own words where it is not
};
/// `device`: a JSON description as cuDNN writes it of a device (maxGridSize, multiProcessorCount, deviceVer ...).
/// Throws Error(failure) where cuDNN does not open.
CudnnSupport cudnn_support(const LongAttentionShape&, bool backward, const std::string& device);

}  // namespace zonda::model::cuda
