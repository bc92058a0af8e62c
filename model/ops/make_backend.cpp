#include "core/error.hpp"
#include "model/ops/cpu/cpu_backend.hpp"
#include "model/ops/cuda/device_query.hpp"
#include "model/ops/cuda/module.hpp"
#include "model/ops/reference/reference_backend.hpp"

namespace zonda::model {

std::shared_ptr<Backend> make_backend(const std::string& name, int threads) {
  if (name == "reference") return std::make_shared<ReferenceBackend>();
  if (name == "cpu") return std::make_shared<CpuBackend>(threads);
  if (const int device = cuda::device_number(name); device >= 0) return cuda::make_cuda_backend(device);
  const std::vector<std::string> known{"cpu", "cuda", "reference"};
  throw Error(ErrorKind::usage, unknown_word("backend", name, known));
}

std::string backend_of_device(const std::string& device) {
  if (device == "auto") return cuda_devices().empty() ? "cpu" : "cuda";
  if (device == "cpu" || cuda::device_number(device) >= 0) return device;
  const std::vector<std::string> known{"auto", "cpu", "cuda", "cuda:0", "cuda:1"};
  throw Error(ErrorKind::usage, unknown_word("device", device, known));
}

}  // namespace zonda::model
