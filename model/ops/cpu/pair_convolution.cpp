#include "model/ops/cpu/pair_convolution.hpp"

#include <algorithm>

#include "model/ops/cpu/small_product.hpp"

#ifdef ZONDA_AVX512_BF16
#include <immintrin.h>

namespace zonda::model::small {

namespace {

Pair word_of(float low, float high) {
  return Pair{BFloat16(low).bits} | Pair{BFloat16(high).bits} << 16;
}

using Words = std::uint32_t __attribute__((vector_size(64)));
using Halves = std::uint16_t __attribute__((vector_size(32)));

/// The lowest half of each word.
ZONDA_AVX512_BF16 inline Words rounded(const float* x, __mmask16 lanes) {
  return __builtin_convertvector((Halves)_mm512_cvtneps_pbh(_mm512_maskz_loadu_ps(lanes, x)), Words);
}

template <int R>
ZONDA_AVX512_BF16 void convolve_channels(const Pair* planes, std::int64_t plane, std::int64_t stride,
                                         std::int64_t pairs, const Pair* taps, const float* bias, float* out,
                                         std::int64_t out_plane, std::int64_t columns) {
  constexpr int V = 2;
  for (std::int64_t x = 0; x < columns; x += V * kLanes) {
    const std::int64_t second = x + kLanes < columns ? kLanes : 0;
    __m512 sum[R][V];
#pragma GCC unroll 8
    for (int r = 0; r < R; ++r)
#pragma GCC unroll 2
      for (int v = 0; v < V; ++v) sum[r][v] = _mm512_set1_ps(bias ? bias[r] : 0.0f);
    for (std::int64_t c = 0; c < pairs; ++c)
#pragma GCC unroll 9
      for (int tap = 0; tap < 9; ++tap) {
        const Pair* from = planes + c * plane + tap / 3 * stride + x + tap % 3;
        const auto left = (__m512bh)_mm512_loadu_si512(from), right = (__m512bh)_mm512_loadu_si512(from + second);
#pragma GCC unroll 8
        for (int r = 0; r < R; ++r) {
          const auto w = (__m512bh)_mm512_set1_epi32(static_cast<int>(taps[(r * pairs + c) * 9 + tap]));
          sum[r][0] = _mm512_dpbf16_ps(sum[r][0], w, left);
          sum[r][1] = _mm512_dpbf16_ps(sum[r][1], w, right);
        }
      }
#pragma GCC unroll 8
    for (int r = 0; r < R; ++r)
#pragma GCC unroll 2
      for (int v = 0; v < V; ++v) {
        const std::int64_t at = x + v * kLanes, left = std::clamp<std::int64_t>(columns - at, 0, kLanes);
        _mm512_mask_storeu_ps(out + r * out_plane + at, static_cast<__mmask16>((1U << left) - 1), sum[r][v]);
      }
  }
}

}  // namespace

void pair_padded_row(const float* first, const float* second, std::int64_t columns, bool periodic, std::int64_t stride,
                     Pair* out) {
  const auto at = [&](std::int64_t j) { return word_of(first[j], second ? second[j] : 0.0f); };
  for (std::int64_t j = 0; j < columns; j += kLanes) {
    const auto lanes = static_cast<__mmask16>((1U << std::min(kLanes, columns - j)) - 1);
    Words words = rounded(first + j, lanes);
    if (second) words |= rounded(second + j, lanes) << 16;
    _mm512_mask_storeu_epi32(out + 1 + j, lanes, (__m512i)words);
  }
  out[0] = at(periodic ? columns - 1 : 0);
  out[columns + 1] = at(periodic ? 0 : columns - 1);
  std::fill(out + columns + 2, out + stride, Pair{0});
}

void pair_taps(const float* weight, std::int64_t out, std::int64_t in, Pair* words) {
  const std::int64_t pairs = (in + 1) / 2;
  for (std::int64_t o = 0; o < out; ++o)
    for (std::int64_t c = 0; c < pairs; ++c)
      for (std::int64_t tap = 0; tap < 9; ++tap) {
        const float* from = weight + (o * in + 2 * c) * 9 + tap;
        words[(o * pairs + c) * 9 + tap] = word_of(from[0], 2 * c + 1 < in ? from[9] : 0.0f);
      }
}

void pair_convolve_row(const Pair* planes, std::int64_t plane, std::int64_t stride, std::int64_t pairs,
                       const Pair* taps, const float* bias, float* out, std::int64_t out_plane, std::int64_t channels,
                       std::int64_t columns) {
  std::int64_t o = 0;
  const auto part = [&](std::int64_t count) {
    const Pair* of_part = taps + o * pairs * 9;
    const float* bias_of_part = bias ? bias + o : nullptr;
    float* to = out + o * out_plane;
    if (count == 8)
      return convolve_channels<8>(planes, plane, stride, pairs, of_part, bias_of_part, to, out_plane, columns);
    if (count == 2)
      return convolve_channels<2>(planes, plane, stride, pairs, of_part, bias_of_part, to, out_plane, columns);
    convolve_channels<1>(planes, plane, stride, pairs, of_part, bias_of_part, to, out_plane, columns);
  };
  for (; o + 8 <= channels; o += 8) part(8);
  for (; o + 2 <= channels; o += 2) part(2);
  if (o < channels) part(1);
}

}  // namespace zonda::model::small
#endif
