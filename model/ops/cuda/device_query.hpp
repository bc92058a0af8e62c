#pragma once
// What accelerators this machine has, asked at run time: a program built with CUDA starts and answers without one.
#include <cstddef>
#include <string>
#include <vector>

namespace zonda::model {

struct DeviceInfo {
  std::string name;
  int compute_major = 0, compute_minor = 0;
  int multiprocessors = 0;
  std::size_t memory_bytes = 0, free_bytes = 0;
};

/// Empty without a GPU, without a driver, or in a build without CUDA.
std::vector<DeviceInfo> cuda_devices();

struct CudaLibraries {
  bool compiled = false;                     ///< this build has the CUDA parts
  std::string runtime, driver, cudnn, nccl;  ///< versions as `13.0`, "" where absent at run time
};
CudaLibraries cuda_libraries();

}  // namespace zonda::model
