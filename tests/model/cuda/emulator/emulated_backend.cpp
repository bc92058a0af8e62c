#include "emulated_backend.hpp"

#include <cmath>
#include <vector>

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

/// Attention written out, in f64.
class PlainAttention final : public cuda::LongAttention {
 public:
  bool covers(const cuda::LongAttentionShape& shape) override { return shape.tokens >= 100; }
  void forward(const cuda::LongAttentionShape& s, const void* q, const void* k, const void* v, void* y, float* log_sum,
               cuda::Stream) override {
    emulator::enqueue([=] {
      const auto row = [&](const void* of, std::int64_t b, std::int64_t h, std::int64_t i) {
        return static_cast<const BFloat16*>(of) + ((b * s.tokens + i) * s.heads + h) * s.head_size;
      };
      std::vector<double> p(static_cast<std::size_t>(s.tokens));
      for (std::int64_t b = 0; b < s.batch; ++b)
        for (std::int64_t h = 0; h < s.heads; ++h)
          for (std::int64_t i = 0; i < s.tokens; ++i) {
            double total = 0;
            for (std::int64_t j = 0; j < s.tokens; ++j) {
              double logit = 0;
              for (std::int64_t d = 0; d < s.head_size; ++d)
                logit += double(row(q, b, h, i)[d]) * double(row(k, b, h, j)[d]);
              total += p[static_cast<std::size_t>(j)] = std::exp(logit / std::sqrt(double(s.head_size)));
            }
            log_sum[(b * s.heads + h) * s.tokens + i] = static_cast<float>(std::log(total));
            for (std::int64_t d = 0; d < s.head_size; ++d) {
              double sum = 0;
              for (std::int64_t j = 0; j < s.tokens; ++j)
                sum += p[static_cast<std::size_t>(j)] * double(row(v, b, h, j)[d]);
              static_cast<BFloat16*>(y)[((b * s.tokens + i) * s.heads + h) * s.head_size + d] = BFloat16(sum / total);
            }
          }
    });
  }
};

}  // namespace

std::shared_ptr<Backend> emulated_cuda_backend() {
  return std::make_shared<cuda::CudaBackend>(
      0, [](cuda::CudaMemory&) { return std::make_unique<PlainProducts>(); },
      [](cuda::CudaMemory&) { return std::make_unique<PlainAttention>(); });
}

}  // namespace zonda::model::testing
