#include "model/ops/cpu/int8/kernels.hpp"

#ifdef ZONDA_INT8_X86
#include <immintrin.h>

#include <type_traits>

#include "model/ops/cpu/int8/packing.hpp"

#define ZONDA_AVX2 [[gnu::target("avx2")]]
#define ZONDA_AVX512 [[gnu::target("avx512f,avx512bw,avx512vl,avx512vnni")]]

namespace zonda::model::int8 {

namespace {

// The instruction multiplies unsigned bytes of the left operand with signed ones of the right: 128 is added on the
// left, and 128 times each column's sum taken off in the end.
constexpr std::int32_t kShift = 128;

ZONDA_CLONES void pack_shifted(const std::int8_t* rows, std::int64_t count, std::int64_t k, std::byte* out) {
  for (std::int64_t i = 0; i < count * filled_up(k); ++i) out[i] = static_cast<std::byte>(rows[i]) ^ std::byte{0x80};
}

/// panel [k / 4, kPanel, 4]; offsets = -kShift times each column's sum.
ZONDA_AVX2 void pack_quadruples(const std::int8_t* b, std::int64_t n, std::int64_t columns, std::int64_t k,
                                std::byte* panel, std::int32_t* offsets) {
  constexpr int kParts = kPanel / 32;  // registers a row
  __m256i total[kParts][4];            // quadruples 0-3 and 16-19, 4-7 and 20-23, ... of a part
  for (auto& part : total)
    for (__m256i& sum : part) sum = _mm256_setzero_si256();
  const __m256i bytes = _mm256_set1_epi8(1), words = _mm256_set1_epi16(1);
  std::int8_t filled[4][kPanel];
  for (std::int64_t l = 0; l < filled_up(k); l += 4, panel += 4 * kPanel) {
    const bool whole = columns == kPanel && l + 4 <= k;
    if (!whole) four_rows(b, n, columns, l, k, filled);
    const std::int8_t* from = whole ? b + l * n : filled[0];
    const std::int64_t stride = whole ? n : kPanel;
#pragma GCC unroll 2
    for (int part = 0; part < kParts; ++part) {
      __m256i row[4];
#pragma GCC unroll 4
      for (int r = 0; r < 4; ++r)
        row[r] = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(from + r * stride + 32 * part));
      const __m256i low01 = _mm256_unpacklo_epi8(row[0], row[1]), high01 = _mm256_unpackhi_epi8(row[0], row[1]),
                    low23 = _mm256_unpacklo_epi8(row[2], row[3]), high23 = _mm256_unpackhi_epi8(row[2], row[3]);
      const __m256i four[] = {_mm256_unpacklo_epi16(low01, low23), _mm256_unpackhi_epi16(low01, low23),
                              _mm256_unpacklo_epi16(high01, high23), _mm256_unpackhi_epi16(high01, high23)};
#pragma GCC unroll 4
      for (int q = 0; q < 4; ++q)
        total[part][q] =
            _mm256_add_epi32(total[part][q], _mm256_madd_epi16(_mm256_maddubs_epi16(bytes, four[q]), words));
      auto* to = reinterpret_cast<__m256i*>(panel + 128 * part);
      _mm256_storeu_si256(to, _mm256_permute2x128_si256(four[0], four[1], 0x20));
      _mm256_storeu_si256(to + 1, _mm256_permute2x128_si256(four[2], four[3], 0x20));
      _mm256_storeu_si256(to + 2, _mm256_permute2x128_si256(four[0], four[1], 0x31));
      _mm256_storeu_si256(to + 3, _mm256_permute2x128_si256(four[2], four[3], 0x31));
    }
  }
  for (int part = 0; part < kParts; ++part)
    for (int q = 0; q < 4; ++q) {
      const __m256i shifted = _mm256_mullo_epi32(total[part][q], _mm256_set1_epi32(-kShift));
      auto* low = reinterpret_cast<__m128i*>(offsets + 32 * part + 4 * q);
      _mm_storeu_si128(low, _mm256_castsi256_si128(shifted));
      _mm_storeu_si128(low + 4, _mm256_extracti128_si256(shifted, 1));
    }
}

ZONDA_CLONES void pack_wide(const std::int8_t* rows, std::int64_t count, std::int64_t k, std::byte* out) {
  auto* wide = reinterpret_cast<std::int16_t*>(out);
  for (std::int64_t i = 0; i < count * filled_up(k); ++i) wide[i] = rows[i];
}

/// panel [k / 2, kPanel, 2] of 16 bit numbers.
ZONDA_CLONES void pack_pairs(const std::int8_t* b, std::int64_t n, std::int64_t columns, std::int64_t k,
                             std::byte* panel, std::int32_t* offsets) {
  std::fill_n(offsets, kPanel, 0);
  std::int8_t rows[4][kPanel];
  auto* words = reinterpret_cast<std::uint32_t*>(panel);
  for (std::int64_t l = 0; l < filled_up(k); l += 4)
    for (int half = (four_rows(b, n, columns, l, k, rows), 0); half < 2; ++half, words += kPanel)
      for (std::int64_t j = 0; j < kPanel; ++j)
        words[j] = (std::uint32_t{static_cast<std::uint16_t>(rows[2 * half][j])}) |
                   std::uint32_t{static_cast<std::uint16_t>(rows[2 * half + 1][j])} << 16;
}

/// Whole tiles of R rows, then what remains one by one: calls tile(first row, constant rows).
template <int R, class F>
[[gnu::always_inline]] inline void for_tiles(std::int64_t rows, F&& tile) {
  std::int64_t i = 0;
  for (; i + R <= rows; i += R) tile(i, std::integral_constant<int, R>{});
  for (; i + 2 <= rows; i += 2) tile(i, std::integral_constant<int, 2>{});
  if (i < rows) tile(i, std::integral_constant<int, 1>{});
}

inline int word(const std::byte* left) {
  int value;
  std::memcpy(&value, left, sizeof(value));
  return value;
}

template <int R>
ZONDA_AVX512 void tile_avx512(const std::byte* left, std::int64_t row, const std::byte* panel,
                              const std::int32_t* offsets, std::int64_t k, std::int32_t* sums) {
  constexpr int V = 4;
  __m512i sum[R][V];
#pragma GCC unroll 16
  for (int r = 0; r < R; ++r)
#pragma GCC unroll 16
    for (int v = 0; v < V; ++v) sum[r][v] = _mm512_loadu_si512(offsets + 16 * v);
  for (std::int64_t l = 0; l < k; l += 4) {
    __m512i right[V];
#pragma GCC unroll 16
    for (int v = 0; v < V; ++v) right[v] = _mm512_loadu_si512(panel + l * kPanel + 64 * v);
#pragma GCC unroll 16
    for (int r = 0; r < R; ++r) {
      const __m512i both = _mm512_set1_epi32(word(left + r * row + l));
#pragma GCC unroll 16
      for (int v = 0; v < V; ++v) sum[r][v] = _mm512_dpbusd_epi32(sum[r][v], both, right[v]);
    }
  }
#pragma GCC unroll 16
  for (int r = 0; r < R; ++r)
#pragma GCC unroll 16
    for (int v = 0; v < V; ++v) _mm512_storeu_si512(sums + r * kPanel + 16 * v, sum[r][v]);
}

ZONDA_AVX512 void multiply_avx512(const std::byte* left, const std::byte* panel, const std::int32_t* offsets,
                                  std::int64_t rows, std::int64_t k, std::int32_t* sums) {
  for_tiles<6>(rows, [&](std::int64_t i, auto count) {
    tile_avx512<decltype(count)::value>(left + i * k, k, panel, offsets, k, sums + i * kPanel);
  });
}

/// Pairs of 16 bit numbers; quadruples of bytes by the instruction in the form that processors without AVX-512 have,
/// and in that of AVX-512.
enum class Dot { pairs, bytes_vex, bytes_evex };

template <Dot D>
ZONDA_AVX2 [[gnu::always_inline]] inline __m256i dot(__m256i sum, __m256i left, __m256i right) {
  if constexpr (D == Dot::pairs) return _mm256_add_epi32(sum, _mm256_madd_epi16(left, right));
  if constexpr (D == Dot::bytes_vex) asm("%{vex%} vpdpbusd %2, %1, %0" : "+x"(sum) : "x"(left), "x"(right));
  if constexpr (D == Dot::bytes_evex) asm("%{evex%} vpdpbusd %2, %1, %0" : "+x"(sum) : "x"(left), "x"(right));
  return sum;
}

/// 8 V columns from `panel` on.
template <Dot D, int R, int V>
ZONDA_AVX2 void tile_avx2(const std::byte* left, std::int64_t row, const std::byte* panel, const std::int32_t* offsets,
                          std::int64_t steps, std::int32_t* sums) {
  __m256i sum[R][V];
#pragma GCC unroll 16
  for (int r = 0; r < R; ++r)
#pragma GCC unroll 16
    for (int v = 0; v < V; ++v) sum[r][v] = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(offsets + 8 * v));
  for (std::int64_t l = 0; l < steps; ++l) {
    __m256i right[V];
#pragma GCC unroll 16
    for (int v = 0; v < V; ++v)
      right[v] = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(panel + l * 4 * kPanel + 32 * v));
#pragma GCC unroll 16
    for (int r = 0; r < R; ++r) {
      const __m256i both = _mm256_set1_epi32(word(left + r * row + 4 * l));
#pragma GCC unroll 16
      for (int v = 0; v < V; ++v) sum[r][v] = dot<D>(sum[r][v], both, right[v]);
    }
  }
#pragma GCC unroll 16
  for (int r = 0; r < R; ++r)
#pragma GCC unroll 16
    for (int v = 0; v < V; ++v) _mm256_storeu_si256(reinterpret_cast<__m256i*>(sums + r * kPanel + 8 * v), sum[r][v]);
}

template <Dot D>
ZONDA_AVX2 void multiply_avx2(const std::byte* left, const std::byte* panel, const std::int32_t* offsets,
                              std::int64_t rows, std::int64_t k, std::int32_t* sums) {
  constexpr int V = 2;
  const std::int64_t row = D == Dot::pairs ? 2 * k : k;
  for (std::int64_t column = 0; column < kPanel; column += 8 * V)
    for_tiles<5>(rows, [&](std::int64_t i, auto count) {
      tile_avx2<D, decltype(count)::value, V>(left + i * row, row, panel + 4 * column, offsets + column, row / 4,
                                              sums + i * kPanel + column);
    });
}

}  // namespace

const Kernel avx2{"avx2", 2, 2, pack_wide, pack_pairs, multiply_avx2<Dot::pairs>};
const Kernel avx_vnni{"avx-vnni", 1, 1, pack_shifted, pack_quadruples, multiply_avx2<Dot::bytes_vex>};
const Kernel avx512vl_vnni{"avx512vl-vnni", 1, 1, pack_shifted, pack_quadruples, multiply_avx2<Dot::bytes_evex>};
const Kernel avx512_vnni{"avx512-vnni", 1, 1, pack_shifted, pack_quadruples, multiply_avx512};

}  // namespace zonda::model::int8
#endif
