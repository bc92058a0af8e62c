#include "emulated_backend.hpp"

#include <cmath>
#include <vector>

#include "model/ops/cuda/cuda_backend.hpp"
#include "model/ops/gelu.hpp"

namespace zonda::model::testing {

namespace {

/// Products as plain loops with sums in f64; of bytes as cuBLASLt takes them, rows of whole words.
class PlainProducts final : public cuda::ProductLibrary {
 public:
  bool multiply_bytes(std::int64_t m, std::int64_t n, std::int64_t k, const std::int8_t* a, const std::int8_t* b,
                      std::int32_t* c, cuda::Stream) override {
    if (n % 4 != 0 || k % 4 != 0) return false;
    emulator::enqueue([=] {
      for (std::int64_t i = 0; i < m; ++i)
        for (std::int64_t j = 0; j < n; ++j) {
          c[i * n + j] = 0;
          for (std::int64_t l = 0; l < k; ++l) c[i * n + j] += std::int32_t{a[i * k + l]} * std::int32_t{b[j * k + l]};
        }
    });
    return true;
  }

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

/// Attention written out, in f64, of sequences of 100 tokens or more.
class PlainAttention final : public cuda::LongAttention {
 public:
  bool covers(const cuda::LongAttentionShape& shape) override { return shape.tokens >= 100; }
  bool covers_backward(const cuda::LongAttentionShape&) override { return true; }

  void forward(const cuda::LongAttentionShape& s, const void* q, const void* k, const void* v, void* y, float* log_sum,
               cuda::Stream) override {
    emulator::enqueue([=] {
      for_queries(s, [&](const Head& head, std::int64_t i) {
        double total = 0;
        std::vector<double> sum(static_cast<std::size_t>(s.head_size));
        for (std::int64_t j = 0; j < s.tokens; ++j) {
          const double p = std::exp(head.logit(q, i, k, j));
          total += p;
          head.add(sum, p, v, j);
        }
        log_sum[(head.sample * s.heads + head.number) * s.tokens + i] = static_cast<float>(std::log(total));
        head.put(y, i, sum, 1 / total);
      });
    });
  }

  void backward(const cuda::LongAttentionShape& s, const void* q, const void* k, const void* v, const void* y,
                const float* log_sum, const void* dy, void* dq, void* dk, void* dv, cuda::Stream) override {
    emulator::enqueue([=] {
      const double factor = 1 / std::sqrt(double(s.head_size));
      // With rows and columns exchanged: the gradient of query i, of key and value j.
      for_queries(s, [&](const Head& head, std::int64_t i) {
        std::vector<double> of_query(static_cast<std::size_t>(s.head_size)), of_key(of_query), of_value(of_query);
        const auto weight = [&](std::int64_t query, std::int64_t key) {
          return std::exp(head.logit(q, query, k, key) -
                          double(log_sum[(head.sample * s.heads + head.number) * s.tokens + query]));
        };
        const auto slope = [&](std::int64_t query, std::int64_t key) {
          return factor * weight(query, key) * (head.dot(dy, query, v, key) - head.dot(dy, query, y, query));
        };
        for (std::int64_t j = 0; j < s.tokens; ++j) {
          head.add(of_query, slope(i, j), k, j);
          head.add(of_key, slope(j, i), q, j);
          head.add(of_value, weight(j, i), dy, j);
        }
        head.put(dq, i, of_query, 1);
        head.put(dk, i, of_key, 1);
        head.put(dv, i, of_value, 1);
      });
    });
  }

 private:
  /// Rows of one head of a sample.
  struct Head {
    const cuda::LongAttentionShape& s;
    std::int64_t sample, number;
    std::int64_t at(std::int64_t i) const { return ((sample * s.tokens + i) * s.heads + number) * s.head_size; }
    double dot(const void* a, std::int64_t i, const void* b, std::int64_t j) const {
      double sum = 0;
      for (std::int64_t d = 0; d < s.head_size; ++d)
        sum += double(static_cast<const BFloat16*>(a)[at(i) + d]) * double(static_cast<const BFloat16*>(b)[at(j) + d]);
      return sum;
    }
    double logit(const void* q, std::int64_t i, const void* k, std::int64_t j) const {
      return dot(q, i, k, j) / std::sqrt(double(s.head_size));
    }
    void add(std::vector<double>& sum, double weight, const void* rows, std::int64_t j) const {
      for (std::size_t d = 0; d < sum.size(); ++d)
        sum[d] += weight * double(static_cast<const BFloat16*>(rows)[at(j) + static_cast<std::int64_t>(d)]);
    }
    void put(void* rows, std::int64_t i, const std::vector<double>& sum, double factor) const {
      for (std::size_t d = 0; d < sum.size(); ++d)
        static_cast<BFloat16*>(rows)[at(i) + static_cast<std::int64_t>(d)] = BFloat16(sum[d] * factor);
    }
  };
  template <class F>
  static void for_queries(const cuda::LongAttentionShape& s, F&& f) {
    for (std::int64_t b = 0; b < s.batch; ++b)
      for (std::int64_t h = 0; h < s.heads; ++h)
        for (std::int64_t i = 0; i < s.tokens; ++i) f(Head{s, b, h}, i);
  }
};

}  // namespace

std::shared_ptr<Backend> emulated_cuda_backend() {
  return std::make_shared<cuda::CudaBackend>(
      0, [](cuda::CudaMemory&) { return std::make_unique<PlainProducts>(); },
      [](cuda::CudaMemory&) { return std::make_unique<PlainAttention>(); });
}

}  // namespace zonda::model::testing
