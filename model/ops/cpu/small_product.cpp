#include "model/ops/cpu/small_product.hpp"

#include <algorithm>
#include <utility>

#include "core/vectorise.hpp"

namespace zonda::model::small {

namespace {

/// c [R x 16 V] = a [R x k] b [k x 16 V].
template <int R, int V>
[[gnu::always_inline]] inline void tile(const float* a, std::int64_t a_row, std::int64_t a_column, const float* b,
                                        std::int64_t b_row, float* c, std::int64_t c_row, std::int64_t k) {
  Vector sum[R][V] = {};
  for (std::int64_t l = 0; l < k; ++l) {
    Vector right[V];
#pragma GCC unroll 16
    for (int v = 0; v < V; ++v) right[v] = *reinterpret_cast<const Vector*>(b + l * b_row + v * kLanes);
#pragma GCC unroll 16
    for (int r = 0; r < R; ++r) {
      const float left = a[r * a_row + l * a_column];
#pragma GCC unroll 16
      for (int v = 0; v < V; ++v) sum[r][v] += left * right[v];
    }
  }
#pragma GCC unroll 16
  for (int r = 0; r < R; ++r)
#pragma GCC unroll 16
    for (int v = 0; v < V; ++v) *reinterpret_cast<Vector*>(c + r * c_row + v * kLanes) = sum[r][v];
}

/// One step of the butterfly: exchanges the off-diagonal blocks of S lanes between rows S apart.
template <int S, std::size_t... Lane>
[[gnu::always_inline]] inline void exchange(Vector& a, Vector& b, std::index_sequence<Lane...>) {
  const Vector low = __builtin_shufflevector(a, b, int(Lane & S ? Lane - S + 16 : Lane)...);
  b = __builtin_shufflevector(a, b, int(Lane & S ? Lane + 16 : Lane + S)...);
  a = low;
}

template <int S>
[[gnu::always_inline]] inline void exchange_all(Vector (&rows)[16]) {
#pragma GCC unroll 16
  for (int i = 0; i < 16; ++i)
    if (!(i & S)) exchange<S>(rows[i], rows[i + S], std::make_index_sequence<16>{});
}

}  // namespace

ZONDA_CLONES void product(const float* a, std::int64_t a_row, std::int64_t a_column, const float* b, std::int64_t b_row,
                          float* c, std::int64_t c_row, std::int64_t m, std::int64_t n, std::int64_t k) {
  for_panels(
      n / kLanes, [&](std::int64_t first, auto width) __attribute__((always_inline)) {
        constexpr int V = decltype(width)::value, R = kTileRows<V>;
        const float* right = b + first * kLanes;
        float* to = c + first * kLanes;
        std::int64_t i = 0;
        for (; i + R <= m; i += R) tile<R, V>(a + i * a_row, a_row, a_column, right, b_row, to + i * c_row, c_row, k);
        for (; i + 2 <= m; i += 2) tile<2, V>(a + i * a_row, a_row, a_column, right, b_row, to + i * c_row, c_row, k);
        if (i < m) tile<1, V>(a + i * a_row, a_row, a_column, right, b_row, to + i * c_row, c_row, k);
      });
}

ZONDA_CLONES void transpose(const float* x, std::int64_t rows, std::int64_t columns, float* out, std::int64_t out_row) {
  for (std::int64_t i = 0; i < rows; i += kLanes)
    for (std::int64_t d = 0; d < columns; d += kLanes) {
      Vector block[16];
      const std::int64_t n = std::min(kLanes, rows - i);
#pragma GCC unroll 16
      for (int l = 0; l < 16; ++l)
        block[l] = l < n ? *reinterpret_cast<const Vector*>(x + (i + l) * columns + d) : Vector{};
      exchange_all<8>(block);
      exchange_all<4>(block);
      exchange_all<2>(block);
      exchange_all<1>(block);
#pragma GCC unroll 16
      for (int l = 0; l < 16; ++l) *reinterpret_cast<Vector*>(out + (d + l) * out_row + i) = block[l];
    }
}

}  // namespace zonda::model::small
