#pragma once
// oneDNN's matrix products, opened at run time: the library and the code that it compiles take 10 MB of memory.
#include <cstdint>

#include "model/tensor/bfloat16.hpp"

namespace zonda::model::onednn {

/// c = alpha op(a) op(b) + beta c, row-major; the result is `success` or an error (oneDNN, dnnl_sgemm).
template <class T>
using Product = int (*)(char transpose_a, char transpose_b, std::int64_t m, std::int64_t n, std::int64_t k, float alpha,
                        const T* a, std::int64_t a_stride, const T* b, std::int64_t b_stride, float beta, float* c,
                        std::int64_t c_stride);
inline constexpr int success = 0;

struct Products {
  Product<float> f32 = nullptr;
  Product<BFloat16> bf16 = nullptr;  ///< exported since oneDNN 1.0, though its header does not declare it
};

/// Null where there is no such library.
const Products& products();

}  // namespace zonda::model::onednn
