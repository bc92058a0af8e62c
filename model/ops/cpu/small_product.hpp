#pragma once
// Matrix products of operands that lie in the L1 or L2 cache: register tiles over GCC vectors, sized for the registers
// of AVX-512 or, where it is absent, for those of AVX2 and NEON. The sums are the same: each is one chain along k.
#include <cstdint>
#include <type_traits>

namespace zonda::model::small {

using Vector = float __attribute__((vector_size(64), aligned(4), may_alias));
using Integers = std::int32_t __attribute__((vector_size(64), aligned(4), may_alias));
inline constexpr std::int64_t kLanes = 16;

[[gnu::always_inline]] inline std::int64_t padded(std::int64_t n) {
  return (n + kLanes - 1) / kLanes * kLanes;
}

/// How `vectors` columns of vectors are cut into panels of at most four: calls panel(first vector, constant width).
template <class F>
[[gnu::always_inline]] inline void for_panels(std::int64_t vectors, F&& panel) {
  std::int64_t threes = vectors % 4 == 0 ? 0 : 4 - vectors % 4, at = 0;
  if (3 * threes > vectors) threes = vectors == 3 || vectors == 5 ? 1 : 0;
  for (; threes > 0; --threes, at += 3) panel(at, std::integral_constant<int, 3>{});
  for (; vectors - at >= 4; at += 4) panel(at, std::integral_constant<int, 4>{});
  if (vectors - at >= 2) panel(at, std::integral_constant<int, 2>{}), at += 2;
  if (vectors - at == 1) panel(at, std::integral_constant<int, 1>{});
}

/// Where a tile's left operands lie: rows and columns at equal steps, or as lists say.
template <class T>
struct Steps {
  const T* a;
  std::int64_t row, column;
  template <int R>
  struct Tile {
    const T* a;
    std::int64_t row, column;
    [[gnu::always_inline]] T operator()(int r, std::int64_t l) const { return a[r * row + l * column]; }
  };
  template <int R>
  [[gnu::always_inline]] Tile<R> tile(std::int64_t first) const {
    return {a + first * row, row, column};
  }
};

template <class T>
struct Listed {
  const T* a;
  const std::int32_t *rows, *columns;
  template <int R>
  struct Tile {
    const T* row[R];
    const std::int32_t* columns;
    [[gnu::always_inline]] T operator()(int r, std::int64_t l) const { return row[r][columns[l]]; }
  };
  template <int R>
  [[gnu::always_inline]] Tile<R> tile(std::int64_t first) const {
    Tile<R> found{{}, columns};
#pragma GCC unroll 16
    for (int r = 0; r < R; ++r) found.row[r] = a + rows[first + r];
    return found;
  }
};

/// Rows of a tile that is V vectors wide: sums, right operands and one left operand fit the registers.
template <int V>
inline constexpr int kTileRows = V == 4   ? 6
                                 : V == 3 ? 8
                                          : 12;

/// c [m x n] = a [m x k] b [k x n]; element (i, l) of a at a[i * a_row + l * a_column]; n is a multiple of 16 (pad the
/// rows of b and c).
void product(const float* a, std::int64_t a_row, std::int64_t a_column, const float* b, std::int64_t b_row, float* c,
             std::int64_t c_row, std::int64_t m, std::int64_t n, std::int64_t k);

/// The same with element (i, l) of a at a[rows[i] + columns[l]].
void product_at(const float* a, const std::int32_t* rows, const std::int32_t* columns, const float* b,
                std::int64_t b_row, float* c, std::int64_t c_row, std::int64_t m, std::int64_t n, std::int64_t k);

/// out [columns, out_row] = transpose of the 32 bit words x [rows, columns], zeros from `rows` up to whole vectors;
/// columns a multiple of 16, `out` room for whole vectors.
void transpose(const float* x, std::int64_t rows, std::int64_t columns, float* out, std::int64_t out_row);

}  // namespace zonda::model::small
