#include "model/ops/cpu/onednn_library.hpp"

#include <dlfcn.h>

#include <initializer_list>

namespace zonda::model::onednn {

namespace {

/// Stays open for good: threads may be in it while the program ends.
Products open() {
  Products found;
  for (const char* name : {"libdnnl.so.3", "libdnnl.so.2"})
    if (void* library = dlopen(name, RTLD_NOW | RTLD_LOCAL)) {
      found.f32 = reinterpret_cast<Product<float>>(dlsym(library, "dnnl_sgemm"));
      found.bf16 = reinterpret_cast<Product<BFloat16>>(dlsym(library, "dnnl_gemm_bf16bf16f32"));
      break;
    }
  return found;
}

}  // namespace

const Products& products() {
  static const Products found = open();
  return found;
}

}  // namespace zonda::model::onednn
