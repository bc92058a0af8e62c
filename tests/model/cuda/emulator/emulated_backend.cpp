#include "emulated_backend.hpp"

#include "model/ops/cuda/cuda_backend.hpp"
#include "model/ops/gelu.hpp"

namespace zonda::model::testing {

namespace {

/// Products as plain loops with sums in f64.
class PlainProducts final : public cuda::ProductLibrary {
 public:
  void multiply(const cuda::Product& p, cuda::Stream) override {
    emulator::enqueue([p] {
      const auto number = [](const void* at, DType type, std::int64_t i) {
        return type == DType::bf16 ? double(static_cast<const BFloat16*>(at)[i])
                                   : double(static_cast<const float*>(at)[i]);
      };
      const auto put = [&](void* at, std::int64_t i, double value) {
        if (p.result == DType::bf16)
          static_cast<BFloat16*>(at)[i] = BFloat16(value);
        else
          static_cast<float*>(at)[i] = static_cast<float>(value);
      };
      for (std::int64_t which = 0; which < p.count; ++which)
        for (std::int64_t i = 0; i < p.m; ++i)
          for (std::int64_t j = 0; j < p.n; ++j) {
            const std::int64_t to = (which * p.m + i) * p.n + j;
            double sum = (p.accumulate ? number(p.c, p.result, to) : 0) + (p.bias ? double(p.bias[j]) : 0);
            for (std::int64_t l = 0; l < p.k; ++l)
              sum += number(p.a, p.operands, which * p.m * p.k + (p.transpose_a ? l * p.m + i : i * p.k + l)) *
                     number(p.b, p.operands, which * p.k * p.n + (p.transpose_b ? j * p.k + l : l * p.n + j));
            put(p.c, to, sum);
            if (p.activated) put(p.activated, to, gelu_value(sum));
          }
    });
  }
};

}  // namespace

std::shared_ptr<Backend> emulated_cuda_backend() {
  return std::make_shared<cuda::CudaBackend>(0, [](cuda::CudaMemory&) { return std::make_unique<PlainProducts>(); });
}

}  // namespace zonda::model::testing
