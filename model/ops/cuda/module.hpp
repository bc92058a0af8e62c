#pragma once
// The CUDA backend lies in a module, zonda_cuda.so beside the programs, opened when it is asked for: a program built
// with CUDA starts and works on a machine without a driver or CUDA's libraries.
#include <memory>
#include <string>

namespace zonda::model {
class Backend;
}

namespace zonda::model::cuda {

/// The module's `zonda_cuda_backend`: a new backend on a device.
using EntryPoint = Backend* (*)(int device);

/// The number in `cuda` (0) or `cuda:N`; -1 for any other name.
int device_number(const std::string& backend_name);

/// Opens the module ($ZONDA_CUDA_MODULE, else zonda_cuda.so beside the program). Throws Error(usage) without a device
/// of that number, Error(failure) naming the file where it does not open.
std::shared_ptr<Backend> make_cuda_backend(int device);

}  // namespace zonda::model::cuda
