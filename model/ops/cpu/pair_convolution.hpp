#pragma once
// 3x3 convolution of operands rounded to bf16, two input channels in a word: twice the products of f32.
#include <cstdint>

#include "model/ops/cpu/pair_product.hpp"

namespace zonda::model::small {

#ifdef ZONDA_AVX512_BF16
/// One row of two planes as words, `second` null: zeros. out [stride]: the row with a border of one on either side, of
/// the opposite end where it is periodic, else of the same; zeros behind.
ZONDA_AVX512_BF16 void pair_padded_row(const float* first, const float* second, std::int64_t columns, bool periodic,
                                       std::int64_t stride, Pair* out);
/// Weights [out, in, 9] as words [out, (in + 1) / 2, 9].
void pair_taps(const float* weight, std::int64_t out, std::int64_t in, Pair* words);
/// One row of every output channel: `planes` [pairs] of three padded rows each, `plane` words apart and rows `stride`;
/// out's channels `out_plane` apart. Reads up to 16 words behind a padded row.
ZONDA_AVX512_BF16 void pair_convolve_row(const Pair* planes, std::int64_t plane, std::int64_t stride,
                                         std::int64_t pairs, const Pair* taps, const float* bias, float* out,
                                         std::int64_t out_plane, std::int64_t channels, std::int64_t columns);
#endif

}  // namespace zonda::model::small
