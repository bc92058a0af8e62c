#pragma once
// Matrix products on the device: the one thing of the backend that is a library's.
#include "model/ops/cuda/launch.hpp"
#include "model/tensor/tensor.hpp"

namespace zonda::model::cuda {

/// c [m, n] = op(a) op(b) [+ c] [+ bias]; activated, where not null, GELU(c). Row-major, contiguous; `count` products
/// whose matrices lie one after the other.
struct Product {
  std::int64_t count = 1, m = 0, n = 0, k = 0;
  bool transpose_a = false, transpose_b = false, accumulate = false;
  DType operands = DType::f32, result = DType::f32;  ///< of a and b; of c and activated
  const void *a = nullptr, *b = nullptr;
  void *c = nullptr, *activated = nullptr;
  const float* bias = nullptr;
};

class ProductLibrary {
 public:
  virtual ~ProductLibrary() = default;
  /// Scratch may be allocated the first time a shape is seen, never again.
  virtual void multiply(const Product&, Stream) = 0;
  /// c [m, n] = a [m, k] b^T, b [n, k], of bytes with sums in 32 bits. False, with nothing done, where it has no
  /// algorithm for the shape.
  virtual bool multiply_bytes(std::int64_t m, std::int64_t n, std::int64_t k, const std::int8_t* a,
                              const std::int8_t* b, std::int32_t* c, Stream) = 0;
};

}  // namespace zonda::model::cuda
