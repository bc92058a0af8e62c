#include "model/ops/cuda/module.hpp"

#include <dlfcn.h>

#include <charconv>
#include <cstdlib>
#include <filesystem>

#include "core/error.hpp"
#include "model/ops/backend.hpp"
#include "model/ops/cuda/device_query.hpp"

namespace zonda::model::cuda {

namespace {

std::string module_path() {
  if (const char* path = std::getenv("ZONDA_CUDA_MODULE"); path && *path) return path;
  std::error_code unknown;
  const std::filesystem::path program = std::filesystem::read_symlink("/proc/self/exe", unknown);
  return (unknown ? std::filesystem::path("zonda_cuda.so") : program.parent_path() / "zonda_cuda.so").string();
}

/// Stays open for good: code of it may still run while the program ends.
EntryPoint entry_point() {
  const std::string path = module_path();
  void* module = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (!module) fail(ErrorKind::failure, "the CUDA module does not open: {}", dlerror());
  void* entry = dlsym(module, "zonda_cuda_backend");
  if (!entry) fail(ErrorKind::failure, "{} is no CUDA module of Zonda: {}", path, dlerror());
  return reinterpret_cast<EntryPoint>(entry);
}

}  // namespace

int device_number(const std::string& name) {
  if (name == "cuda") return 0;
  constexpr std::string_view prefix = "cuda:";
  if (!name.starts_with(prefix)) return -1;
  int number = -1;
  const char *begin = name.data() + prefix.size(), *end = name.data() + name.size();
  const auto [stop, error] = std::from_chars(begin, end, number);
  return error == std::errc{} && stop == end && number >= 0 ? number : -1;
}

std::shared_ptr<Backend> make_cuda_backend(int device) {
  const CudaLibraries libraries = cuda_libraries();
  if (!libraries.compiled) fail(ErrorKind::usage, "backend cuda: this build has no CUDA parts; use 'cpu'");
  const std::size_t devices = cuda_devices().size();
  if (devices == 0)
    fail(ErrorKind::usage, "backend cuda: no CUDA device here (driver: {}); use 'cpu'",
         libraries.driver.empty() ? "none" : libraries.driver);
  if (static_cast<std::size_t>(device) >= devices)
    fail(ErrorKind::usage, "backend cuda:{}: this machine has {} CUDA device{}, counted from 0", device, devices,
         devices == 1 ? "" : "s");
  return std::shared_ptr<Backend>(entry_point()(device));
}

}  // namespace zonda::model::cuda
