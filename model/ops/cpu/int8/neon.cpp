#include "model/ops/cpu/int8/kernels.hpp"

#ifdef ZONDA_INT8_NEON
#include <arm_neon.h>

#include "model/ops/cpu/int8/packing.hpp"

namespace zonda::model::int8 {

namespace {

void pack_quadruples(const std::int8_t* b, std::int64_t n, std::int64_t columns, std::int64_t k, std::byte* panel,
                     std::int32_t* offsets) {
  pack_quadruples_by(0, b, n, columns, k, panel, offsets);
}

const std::int8_t* numbers(const std::byte* bytes) {
  return reinterpret_cast<const std::int8_t*>(bytes);
}

/// Four numbers of the left operand, again and again.
inline int8x16_t four_times(const std::byte* left) {
  std::int32_t word;
  std::memcpy(&word, left, sizeof(word));
  return vreinterpretq_s8_s32(vdupq_n_s32(word));
}

// Two products of bytes add up in 16 bits, since those of the left operand are at least -127; then pairs in 32 bits.
template <int R, int V>
void tile(const std::byte* left, std::int64_t row, const std::byte* panel, std::int64_t k, std::int32_t* sums) {
  int32x4_t low[R][V] = {}, high[R][V] = {};
  for (std::int64_t l = 0; l < k; l += 8) {
    int8x16_t first[V], second[V];
#pragma GCC unroll 8
    for (int v = 0; v < V; ++v) {
      first[v] = vld1q_s8(numbers(panel) + l * kPanel + 16 * v);
      second[v] = vld1q_s8(numbers(panel) + (l + 4) * kPanel + 16 * v);
    }
#pragma GCC unroll 8
    for (int r = 0; r < R; ++r) {
      const int8x16_t a = four_times(left + r * row + l), b = four_times(left + r * row + l + 4);
#pragma GCC unroll 8
      for (int v = 0; v < V; ++v) {
        const int16x8_t begin =
            vmlal_s8(vmull_s8(vget_low_s8(a), vget_low_s8(first[v])), vget_low_s8(b), vget_low_s8(second[v]));
        const int16x8_t end = vmlal_high_s8(vmull_high_s8(a, first[v]), b, second[v]);
        low[r][v] = vpadalq_s16(low[r][v], begin);
        high[r][v] = vpadalq_s16(high[r][v], end);
      }
    }
  }
#pragma GCC unroll 8
  for (int r = 0; r < R; ++r)
#pragma GCC unroll 8
    for (int v = 0; v < V; ++v) vst1q_s32(sums + r * kPanel + 4 * v, vpaddq_s32(low[r][v], high[r][v]));
}

void multiply(const std::byte* left, const std::byte* panel, const std::int32_t*, std::int64_t rows, std::int64_t k,
              std::int32_t* sums) {
  constexpr int V = 2;
  for (std::int64_t column = 0; column < kPanel; column += 4 * V) {
    std::int64_t i = 0;
    for (; i + 4 <= rows; i += 4) tile<4, V>(left + i * k, k, panel + 4 * column, k, sums + i * kPanel + column);
    for (; i < rows; ++i) tile<1, V>(left + i * k, k, panel + 4 * column, k, sums + i * kPanel + column);
  }
}

template <int R, int V>
[[gnu::target("arch=armv8.2-a+dotprod")]] void tile_dotprod(const std::byte* left, std::int64_t row,
                                                            const std::byte* panel, std::int64_t k,
                                                            std::int32_t* sums) {
  int32x4_t sum[R][V] = {};
  for (std::int64_t l = 0; l < k; l += 4) {
    int8x16_t right[V];
#pragma GCC unroll 8
    for (int v = 0; v < V; ++v) right[v] = vld1q_s8(numbers(panel) + l * kPanel + 16 * v);
#pragma GCC unroll 8
    for (int r = 0; r < R; ++r) {
      const int8x16_t a = four_times(left + r * row + l);
#pragma GCC unroll 8
      for (int v = 0; v < V; ++v) sum[r][v] = vdotq_s32(sum[r][v], a, right[v]);
    }
  }
#pragma GCC unroll 8
  for (int r = 0; r < R; ++r)
#pragma GCC unroll 8
    for (int v = 0; v < V; ++v) vst1q_s32(sums + r * kPanel + 4 * v, sum[r][v]);
}

[[gnu::target("arch=armv8.2-a+dotprod")]] void multiply_dotprod(const std::byte* left, const std::byte* panel,
                                                                const std::int32_t*, std::int64_t rows, std::int64_t k,
                                                                std::int32_t* sums) {
  constexpr int V = 4;
  for (std::int64_t column = 0; column < kPanel; column += 4 * V) {
    std::int64_t i = 0;
    for (; i + 6 <= rows; i += 6)
      tile_dotprod<6, V>(left + i * k, k, panel + 4 * column, k, sums + i * kPanel + column);
    for (; i < rows; ++i) tile_dotprod<1, V>(left + i * k, k, panel + 4 * column, k, sums + i * kPanel + column);
  }
}

}  // namespace

const Kernel neon{"neon", 1, 1, pack_bytes, pack_quadruples, multiply};
const Kernel neon_dotprod{"neon-dotprod", 1, 1, pack_bytes, pack_quadruples, multiply_dotprod};

}  // namespace zonda::model::int8
#endif
