#include <dnnl.h>

#include "model/ops/cpu/matrix_product.hpp"

// The bf16 sibling of dnnl_sgemm: exported since oneDNN 1.0, though its header does not declare it. Absent, bf16
// operands are widened.
extern "C" [[gnu::weak]] dnnl_status_t dnnl_gemm_bf16bf16f32(char transpose_a, char transpose_b, dnnl_dim_t m,
                                                             dnnl_dim_t n, dnnl_dim_t k, float alpha,
                                                             const zonda::model::BFloat16* a, dnnl_dim_t a_stride,
                                                             const zonda::model::BFloat16* b, dnnl_dim_t b_stride,
                                                             float beta, float* c, dnnl_dim_t c_stride);

namespace zonda::model {

bool multiply(const MatrixProduct& p, const float* a, const float* b, bool accumulate, float* c) {
  return dnnl_sgemm(p.transpose_a, p.transpose_b, p.rows, p.n, p.k, 1.0f, a, p.a_stride, b, p.b_stride,
                    accumulate ? 1.0f : 0.0f, c, p.n) == dnnl_success;
}

bool multiply(const MatrixProduct& p, const BFloat16* a, const BFloat16* b, bool accumulate, float* c) {
  return dnnl_gemm_bf16bf16f32 &&
         dnnl_gemm_bf16bf16f32(p.transpose_a, p.transpose_b, p.rows, p.n, p.k, 1.0f, a, p.a_stride, b, p.b_stride,
                               accumulate ? 1.0f : 0.0f, c, p.n) == dnnl_success;
}

bool has_bf16_products() {
  static const bool has = [] {
    const BFloat16 two(2.0f);
    float product = 0;
    return multiply({'N', 'N', 1, 1, 1, 1, 1}, &two, &two, false, &product) && product == 4.0f;
  }();
  return has;
}

}  // namespace zonda::model
