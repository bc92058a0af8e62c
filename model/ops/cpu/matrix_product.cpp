#include "model/ops/cpu/matrix_product.hpp"

#include "model/ops/cpu/onednn_library.hpp"
#include "model/ops/cpu/own_product.hpp"

namespace zonda::model {

namespace {

constexpr std::int64_t kOwn = std::int64_t{1} << 18;  // numbers of a right operand: 1 MiB, about a second-level cache

}  // namespace

bool by_tiles(const MatrixProduct& p) {
  return p.transpose_a == 'N' && p.transpose_b == 'N' && p.n * p.k <= kOwn;
}

bool multiply(const MatrixProduct& p, const float* a, const float* b, bool accumulate, float* c) {
  const onednn::Products* library = by_tiles(p) ? nullptr : &onednn::products();
  if (library && library->f32)
    return library->f32(p.transpose_a, p.transpose_b, p.rows, p.n, p.k, 1.0f, a, p.a_stride, b, p.b_stride,
                        accumulate ? 1.0f : 0.0f, c, p.n) == onednn::success;
  multiply_by_tiles(p, a, b, accumulate, c);
  return true;
}

bool multiply(const MatrixProduct& p, const BFloat16* a, const BFloat16* b, bool accumulate, float* c) {
  const onednn::Products& library = onednn::products();
  return library.bf16 && library.bf16(p.transpose_a, p.transpose_b, p.rows, p.n, p.k, 1.0f, a, p.a_stride, b,
                                      p.b_stride, accumulate ? 1.0f : 0.0f, c, p.n) == onednn::success;
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
