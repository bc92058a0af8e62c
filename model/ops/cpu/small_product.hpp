#pragma once
// Matrix products of operands that lie in the L1 or L2 cache: register tiles over GCC vectors, inlined into the
// caller's instruction set (the caller is a ZONDA_CLONES function).
#include <cstdint>

namespace zonda::model::small {

using Vector = float __attribute__((vector_size(64), aligned(4), may_alias));
inline constexpr std::int64_t kLanes = 16;

[[gnu::always_inline]] inline std::int64_t padded(std::int64_t n) {
  return (n + kLanes - 1) / kLanes * kLanes;
}

/// c [R x 16 V] (+)= a [R x k] b [k x 16 V]; element (i, l) of a at a[i * a_row + l * a_column].
template <int R, int V>
[[gnu::always_inline]] inline void tile(const float* a, std::int64_t a_row, std::int64_t a_column, const float* b,
                                        std::int64_t ldb, float* c, std::int64_t ldc, std::int64_t k) {
  Vector sum[R][V] = {};
  for (std::int64_t l = 0; l < k; ++l) {
    Vector right[V];
#pragma GCC unroll 8
    for (int v = 0; v < V; ++v) right[v] = *reinterpret_cast<const Vector*>(b + l * ldb + v * kLanes);
#pragma GCC unroll 8
    for (int r = 0; r < R; ++r) {
      const float left = a[r * a_row + l * a_column];
#pragma GCC unroll 8
      for (int v = 0; v < V; ++v) sum[r][v] += left * right[v];
    }
  }
#pragma GCC unroll 8
  for (int r = 0; r < R; ++r)
#pragma GCC unroll 8
    for (int v = 0; v < V; ++v) *reinterpret_cast<Vector*>(c + r * ldc + v * kLanes) = sum[r][v];
}

template <int V>
[[gnu::always_inline]] inline void rows(const float* a, std::int64_t a_row, std::int64_t a_column, const float* b,
                                        std::int64_t ldb, float* c, std::int64_t ldc, std::int64_t m, std::int64_t k) {
  std::int64_t i = 0;
  for (; i + 8 <= m; i += 8) tile<8, V>(a + i * a_row, a_row, a_column, b, ldb, c + i * ldc, ldc, k);
  for (; i + 2 <= m; i += 2) tile<2, V>(a + i * a_row, a_row, a_column, b, ldb, c + i * ldc, ldc, k);
  if (i < m) tile<1, V>(a + i * a_row, a_row, a_column, b, ldb, c + i * ldc, ldc, k);
}

/// c [m x n] = a [m x k] b [k x n]; n is a multiple of 16 (pad the rows of b and c).
[[gnu::always_inline]] inline void product(const float* a, std::int64_t a_row, std::int64_t a_column, const float* b,
                                           std::int64_t ldb, float* c, std::int64_t ldc, std::int64_t m, std::int64_t n,
                                           std::int64_t k) {
  std::int64_t j = 0;
  for (; j + 2 * kLanes <= n; j += 2 * kLanes) rows<2>(a, a_row, a_column, b + j, ldb, c + j, ldc, m, k);
  if (j < n) rows<1>(a, a_row, a_column, b + j, ldb, c + j, ldc, m, k);
}

}  // namespace zonda::model::small
