#include "model/ops/cuda/device_query.hpp"

#ifdef ZONDA_WITH_CUDA
#include <cuda_runtime_api.h>
#include <dlfcn.h>
#include <fmt/core.h>
#endif

namespace zonda::model {

#ifdef ZONDA_WITH_CUDA

std::vector<DeviceInfo> cuda_devices() {
  int count = 0;
  if (cudaGetDeviceCount(&count) != cudaSuccess) {
    (void)cudaGetLastError();  // no driver or no device is an answer, not an error that stays
    return {};
  }
  std::vector<DeviceInfo> devices;
  for (int i = 0; i < count; ++i) {
    cudaDeviceProp properties{};
    if (cudaGetDeviceProperties(&properties, i) != cudaSuccess) continue;
    DeviceInfo info{properties.name,           properties.major,
                    properties.minor,          properties.multiProcessorCount,
                    properties.totalGlobalMem, 0};
    std::size_t total = 0;
    int before = 0;
    if (cudaGetDevice(&before) == cudaSuccess && cudaSetDevice(i) == cudaSuccess) {
      (void)cudaMemGetInfo(&info.free_bytes, &total);
      (void)cudaSetDevice(before);
    }
    devices.push_back(std::move(info));
  }
  return devices;
}

CudaLibraries cuda_libraries() {
  CudaLibraries libraries;
  libraries.compiled = true;
  const auto dotted = [](int version) { return fmt::format("{}.{}", version / 1000, version % 1000 / 10); };
  int version = 0;
  if (cudaRuntimeGetVersion(&version) == cudaSuccess && version) libraries.runtime = dotted(version);
  version = 0;
  if (cudaDriverGetVersion(&version) == cudaSuccess && version) libraries.driver = dotted(version);
#ifdef ZONDA_WITH_CUDNN
  if (void* library = dlopen("libcudnn.so.9", RTLD_LAZY | RTLD_LOCAL)) {
    if (auto* get = reinterpret_cast<std::size_t (*)()>(dlsym(library, "cudnnGetVersion"))) {
      const std::size_t v = get();
      libraries.cudnn = fmt::format("{}.{}.{}", v / 10000, v % 10000 / 100, v % 100);
    }
    dlclose(library);
  }
#endif
#ifdef ZONDA_WITH_NCCL
  if (void* library = dlopen("libnccl.so.2", RTLD_LAZY | RTLD_LOCAL)) {
    int v = 0;
    if (auto* get = reinterpret_cast<int (*)(int*)>(dlsym(library, "ncclGetVersion")); get && get(&v) == 0)
      libraries.nccl = fmt::format("{}.{}.{}", v / 10000, v % 10000 / 100, v % 100);
    dlclose(library);
  }
#endif
  return libraries;
}

#else

std::vector<DeviceInfo> cuda_devices() {
  return {};
}
CudaLibraries cuda_libraries() {
  return {};
}

#endif

}  // namespace zonda::model
