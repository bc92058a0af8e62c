#pragma once
// Small matrix products of bf16 operands with f32 sums by AVX512_BF16, which multiplies two numbers of each operand at
// once: operands are words of two bf16 numbers that follow one another along the summed dimension.
#include <cstdint>

#include "model/tensor/bfloat16.hpp"

#if defined(__GNUC__) && defined(__x86_64__)
#define ZONDA_AVX512_BF16 [[gnu::target("arch=x86-64-v4,avx512bf16")]]
#endif

namespace zonda::model::small {

using Pair = std::uint32_t;

/// Whether this machine has the instructions; the functions below need them.
bool has_pair_products();

#ifdef ZONDA_AVX512_BF16
/// c [m x n] f32 = a b; word (i, l) of a at a[i * a_row + l * a_column], b [pairs x n]; n is a multiple of 16.
ZONDA_AVX512_BF16 void pair_product(const Pair* a, std::int64_t a_row, std::int64_t a_column, const Pair* b,
                                    std::int64_t b_row, float* c, std::int64_t c_row, std::int64_t m, std::int64_t n,
                                    std::int64_t pairs);

/// The same with word (i, l) of a at a[rows[i] + columns[l]].
ZONDA_AVX512_BF16 void pair_product_at(const Pair* a, const std::int32_t* rows, const std::int32_t* columns,
                                       const Pair* b, std::int64_t b_row, float* c, std::int64_t c_row, std::int64_t m,
                                       std::int64_t n, std::int64_t pairs);

/// out [(rows + 1) / 2, columns]: x's rows 2 l (low half of a word) and 2 l + 1; a row beyond the last counts as zero.
ZONDA_AVX512_BF16 void pair_rows(const BFloat16* x, std::int64_t rows, std::int64_t columns, Pair* out);
/// The same of f32 numbers, rounded. columns a multiple of 16.
ZONDA_AVX512_BF16 void pair_rows(const float* x, std::int64_t rows, std::int64_t columns, Pair* out);
/// Words that hold a row of k numbers, zeros behind them.
constexpr std::int64_t paired_row(std::int64_t k) {
  return (k + 31) / 32 * 16;
}
/// out [rows, paired_row(k)] = x [rows, k] rounded.
ZONDA_AVX512_BF16 void round_rows(const float* x, std::int64_t rows, std::int64_t k, Pair* out);
/// out [count] = x rounded; count a multiple of 16.
ZONDA_AVX512_BF16 void round_all(const float* x, std::int64_t count, BFloat16* out);
#endif

}  // namespace zonda::model::small
