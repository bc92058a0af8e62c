#include "model/ops/cpu/small_product.hpp"

#include <algorithm>
#include <utility>

#include "core/vectorise.hpp"

namespace zonda::model::small {

namespace {

/// c [R rows, V registers] = a [R x k] b.
template <class Register, int R, int V, class Left>
[[gnu::always_inline]] inline void tile(const Left& a, const float* b, std::int64_t b_row, float* c, std::int64_t c_row,
                                        std::int64_t k) {
  constexpr std::int64_t lanes = sizeof(Register) / sizeof(float);
  Register sum[R][V] = {};
  for (std::int64_t l = 0; l < k; ++l) {
    Register right[V];
#pragma GCC unroll 16
    for (int v = 0; v < V; ++v) right[v] = *reinterpret_cast<const Register*>(b + l * b_row + v * lanes);
#pragma GCC unroll 16
    for (int r = 0; r < R; ++r) {
      const float left = a(r, l);
#pragma GCC unroll 16
      for (int v = 0; v < V; ++v) sum[r][v] += left * right[v];
    }
  }
#pragma GCC unroll 16
  for (int r = 0; r < R; ++r)
#pragma GCC unroll 16
    for (int v = 0; v < V; ++v) *reinterpret_cast<Register*>(c + r * c_row + v * lanes) = sum[r][v];
}

/// Rows [0, m), R at a time.
template <class Register, int R, int V, class Left>
[[gnu::always_inline]] inline void tiles(const Left& a, const float* b, std::int64_t b_row, float* c,
                                         std::int64_t c_row, std::int64_t m, std::int64_t k) {
  std::int64_t i = 0;
  for (; i + R <= m; i += R) tile<Register, R, V>(a.template tile<R>(i), b, b_row, c + i * c_row, c_row, k);
  for (; i + 2 <= m; i += 2) tile<Register, 2, V>(a.template tile<2>(i), b, b_row, c + i * c_row, c_row, k);
  if (i < m) tile<Register, 1, V>(a.template tile<1>(i), b, b_row, c + i * c_row, c_row, k);
}

/// For 32 registers of 16 lanes.
template <class Left>
ZONDA_CLONES void product_wide(const Left& a, const float* b, std::int64_t b_row, float* c, std::int64_t c_row,
                               std::int64_t m, std::int64_t n, std::int64_t k) {
  for_panels(
      n / kLanes, [&](std::int64_t first, auto width) __attribute__((always_inline)) {
        constexpr int V = decltype(width)::value;
        tiles<Vector, kTileRows<V>, V>(a, b + first * kLanes, b_row, c + first * kLanes, c_row, m, k);
      });
}

/// For 16 registers of 8 lanes, or 32 of 4: wider vectors than the machine has would go through memory.
#ifdef __x86_64__
using Narrow = float __attribute__((vector_size(32), aligned(4), may_alias));
#else
using Narrow = float __attribute__((vector_size(16), aligned(4), may_alias));
#endif

template <class Left>
ZONDA_CLONES void product_narrow(const Left& a, const float* b, std::int64_t b_row, float* c, std::int64_t c_row,
                                 std::int64_t m, std::int64_t n, std::int64_t k) {
  for (std::int64_t first = 0; first < n; first += kLanes)
    tiles<Narrow, 6, sizeof(Vector) / sizeof(Narrow)>(a, b + first, b_row, c + first, c_row, m, k);
}

bool has_wide_registers() {
#ifdef __x86_64__
  return __builtin_cpu_supports("avx512f") != 0;
#else
  return false;
#endif
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

void product(const float* a, std::int64_t a_row, std::int64_t a_column, const float* b, std::int64_t b_row, float* c,
             std::int64_t c_row, std::int64_t m, std::int64_t n, std::int64_t k) {
  static const auto of_this_machine = has_wide_registers() ? product_wide<Steps<float>> : product_narrow<Steps<float>>;
  of_this_machine({a, a_row, a_column}, b, b_row, c, c_row, m, n, k);
}

void product_at(const float* a, const std::int32_t* rows, const std::int32_t* columns, const float* b,
                std::int64_t b_row, float* c, std::int64_t c_row, std::int64_t m, std::int64_t n, std::int64_t k) {
  static const auto of_this_machine =
      has_wide_registers() ? product_wide<Listed<float>> : product_narrow<Listed<float>>;
  of_this_machine({a, rows, columns}, b, b_row, c, c_row, m, n, k);
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
