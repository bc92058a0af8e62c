#include "model/ops/cpu/pair_product.hpp"

#include "model/ops/cpu/small_product.hpp"

#ifdef ZONDA_AVX512_BF16
#include <immintrin.h>
#endif

namespace zonda::model::small {

#ifdef ZONDA_AVX512_BF16

bool has_pair_products() {
  return __builtin_cpu_supports("avx512bf16") && __builtin_cpu_supports("avx512bw") &&
         __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq");
}

namespace {

using Words = std::uint32_t __attribute__((vector_size(64), aligned(4), may_alias));
using Halves = std::uint16_t __attribute__((vector_size(32)));

template <int R, int V, class Left>
ZONDA_AVX512_BF16 inline void tile(const Left& a, const Pair* b, std::int64_t b_row, float* c, std::int64_t c_row,
                                   std::int64_t pairs) {
  __m512 sum[R][V];
#pragma GCC unroll 16
  for (int r = 0; r < R; ++r)
#pragma GCC unroll 16
    for (int v = 0; v < V; ++v) sum[r][v] = _mm512_setzero_ps();
  for (std::int64_t l = 0; l < pairs; ++l) {
    __m512bh right[V];
#pragma GCC unroll 16
    for (int v = 0; v < V; ++v) right[v] = (__m512bh)_mm512_loadu_si512(b + l * b_row + v * kLanes);
#pragma GCC unroll 16
    for (int r = 0; r < R; ++r) {
      const __m512bh left = (__m512bh)_mm512_set1_epi32(static_cast<int>(a(r, l)));
#pragma GCC unroll 16
      for (int v = 0; v < V; ++v) sum[r][v] = _mm512_dpbf16_ps(sum[r][v], left, right[v]);
    }
  }
#pragma GCC unroll 16
  for (int r = 0; r < R; ++r)
#pragma GCC unroll 16
    for (int v = 0; v < V; ++v) _mm512_storeu_ps(c + r * c_row + v * kLanes, sum[r][v]);
}

template <int V, class Left>
ZONDA_AVX512_BF16 void panel(const Left& a, const Pair* b, std::int64_t b_row, float* c, std::int64_t c_row,
                             std::int64_t m, std::int64_t pairs) {
  constexpr int R = kTileRows<V>;
  std::int64_t i = 0;
  for (; i + R <= m; i += R) tile<R, V>(a.template tile<R>(i), b, b_row, c + i * c_row, c_row, pairs);
  for (; i + 2 <= m; i += 2) tile<2, V>(a.template tile<2>(i), b, b_row, c + i * c_row, c_row, pairs);
  if (i < m) tile<1, V>(a.template tile<1>(i), b, b_row, c + i * c_row, c_row, pairs);
}

template <class Left>
ZONDA_AVX512_BF16 void panels(const Left& a, const Pair* b, std::int64_t b_row, float* c, std::int64_t c_row,
                              std::int64_t m, std::int64_t n, std::int64_t pairs) {
  for_panels(n / kLanes, [&](std::int64_t first, auto width) {
    panel<decltype(width)::value>(a, b + first * kLanes, b_row, c + first * kLanes, c_row, m, pairs);
  });
}

ZONDA_AVX512_BF16 inline Words rounded_words(const float* x) {
  return __builtin_convertvector((Halves)_mm512_cvtneps_pbh(_mm512_loadu_ps(x)), Words);
}

}  // namespace

void pair_product(const Pair* a, std::int64_t a_row, std::int64_t a_column, const Pair* b, std::int64_t b_row, float* c,
                  std::int64_t c_row, std::int64_t m, std::int64_t n, std::int64_t pairs) {
  panels(Steps<Pair>{a, a_row, a_column}, b, b_row, c, c_row, m, n, pairs);
}

void pair_product_at(const Pair* a, const std::int32_t* rows, const std::int32_t* columns, const Pair* b,
                     std::int64_t b_row, float* c, std::int64_t c_row, std::int64_t m, std::int64_t n,
                     std::int64_t pairs) {
  panels(Listed<Pair>{a, rows, columns}, b, b_row, c, c_row, m, n, pairs);
}

void pair_rows(const BFloat16* x, std::int64_t rows, std::int64_t columns, Pair* out) {
  for (std::int64_t i = 0; i < rows; i += 2, x += 2 * columns, out += columns) {
    const BFloat16* next = i + 1 < rows ? x + columns : nullptr;
    for (std::int64_t j = 0; j < columns; ++j) out[j] = x[j].bits | (next ? Pair{next[j].bits} << 16 : 0);
  }
}

void pair_rows(const float* x, std::int64_t rows, std::int64_t columns, Pair* out) {
  for (std::int64_t i = 0; i < rows; i += 2, x += 2 * columns, out += columns)
    for (std::int64_t j = 0; j < columns; j += kLanes) {
      Words words = rounded_words(x + j);
      if (i + 1 < rows) words |= rounded_words(x + columns + j) << 16;
      *reinterpret_cast<Words*>(out + j) = words;
    }
}

void round_rows(const float* x, std::int64_t rows, std::int64_t k, Pair* out) {
  const std::int64_t row = 2 * paired_row(k);
  auto* to = reinterpret_cast<BFloat16*>(out);
  for (std::int64_t i = 0; i < rows; ++i, x += k, to += row)
    for (std::int64_t l = 0; l < row; l += kLanes) {
      const std::int64_t left = k - l;
      const auto lanes = static_cast<__mmask16>(left >= kLanes ? 0xffff : left > 0 ? (1 << left) - 1 : 0);
      _mm256_storeu_si256(reinterpret_cast<__m256i*>(to + l),
                          (__m256i)_mm512_cvtneps_pbh(_mm512_maskz_loadu_ps(lanes, x + l)));
    }
}

void round_all(const float* x, std::int64_t count, BFloat16* out) {
  for (std::int64_t i = 0; i < count; i += kLanes)
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(out + i), (__m256i)_mm512_cvtneps_pbh(_mm512_loadu_ps(x + i)));
}

#else

bool has_pair_products() {
  return false;
}

#endif

}  // namespace zonda::model::small
