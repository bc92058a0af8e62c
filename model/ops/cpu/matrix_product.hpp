#pragma once
// Products of whole matrices on one thread: by own tiles (own_product.cpp), and large or transposed ones by oneDNN
// where the machine has it, which is opened with the first of them: a program of small models never pays for it.
#include <cstdint>

#include "model/tensor/bfloat16.hpp"

namespace zonda::model {

/// c [rows, n] = op(a) op(b), op(a) [rows, k]; row after row, consecutive rows of a and b `stride` numbers apart.
struct MatrixProduct {
  char transpose_a, transpose_b;  ///< 'N' or 'T'
  std::int64_t rows, n, k, a_stride, b_stride;
};

/// Whether own tiles multiply f32 numbers: then the bits of a row do not depend on the rows beside it.
bool by_tiles(const MatrixProduct& p);

/// c = product, or c += product. False where the library refuses; c is then of no use.
bool multiply(const MatrixProduct& p, const float* a, const float* b, bool accumulate, float* c);
/// The same of bf16 operands, with sums in f32; always false where has_bf16_products() is.
bool multiply(const MatrixProduct& p, const BFloat16* a, const BFloat16* b, bool accumulate, float* c);

/// Whether the machine multiplies bf16; opens oneDNN.
bool has_bf16_products();

}  // namespace zonda::model
