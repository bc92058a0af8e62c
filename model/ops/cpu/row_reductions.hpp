#pragma once
// Reductions of a row lane by lane, the lanes in pairs at the end: not in a chain of sixteen.
#include <cmath>
#include <cstdint>

#include "model/ops/cpu/mixed.hpp"
#include "model/ops/cpu/small_product.hpp"

namespace zonda::model::small {

[[gnu::always_inline]] inline float sum_of(const Vector& x) {
  const Vector a = x + __builtin_shufflevector(x, x, 8, 9, 10, 11, 12, 13, 14, 15, 0, 1, 2, 3, 4, 5, 6, 7);
  const Vector b = a + __builtin_shufflevector(a, a, 4, 5, 6, 7, 0, 1, 2, 3, 12, 13, 14, 15, 8, 9, 10, 11);
  const Vector c = b + __builtin_shufflevector(b, b, 2, 3, 0, 1, 6, 7, 4, 5, 10, 11, 8, 9, 14, 15, 12, 13);
  return c[0] + c[1];
}

[[gnu::always_inline]] inline float largest_of(const Vector& x) {
  Vector a = __builtin_shufflevector(x, x, 8, 9, 10, 11, 12, 13, 14, 15, 0, 1, 2, 3, 4, 5, 6, 7);
  a = a > x ? a : x;
  Vector b = __builtin_shufflevector(a, a, 4, 5, 6, 7, 0, 1, 2, 3, 12, 13, 14, 15, 8, 9, 10, 11);
  b = b > a ? b : a;
  Vector c = __builtin_shufflevector(b, b, 2, 3, 0, 1, 6, 7, 4, 5, 10, 11, 8, 9, 14, 15, 12, 13);
  c = c > b ? c : b;
  return c[0] > c[1] ? c[0] : c[1];
}

/// Calls f(lanes, column) for the row's vectors, zeros behind its end.
template <class H, class F>
[[gnu::always_inline]] inline void for_vectors(const H* x, std::int64_t columns, F&& f) {
  using Halves [[maybe_unused]] = std::uint16_t __attribute__((vector_size(32), aligned(2), may_alias));
  using Words [[maybe_unused]] = std::uint32_t __attribute__((vector_size(64)));
  std::int64_t j = 0;
  for (; j + kLanes <= columns; j += kLanes) {
    if constexpr (sizeof(H) == sizeof(float)) {
      f(*reinterpret_cast<const Vector*>(x + j), j);
    } else {
      const Words words = __builtin_convertvector(*reinterpret_cast<const Halves*>(x + j), Words) << 16;
      f(reinterpret_cast<const Vector&>(words), j);
    }
  }
  if (j == columns) return;
  Vector last = {};
  for (std::int64_t l = 0; j + l < columns; ++l) last[l] = widen(x[j + l]);
  f(last, j);
}

template <class H>
[[gnu::always_inline]] inline float square_sum(const H* x, std::int64_t columns) {
  Vector sum = {};
  for_vectors(
      x, columns, [&](const Vector& v, std::int64_t) __attribute__((always_inline)) { sum += v * v; });
  return sum_of(sum);
}

[[gnu::always_inline]] inline void grow_to_magnitude(Vector& largest, const Vector& v) {
  const Vector size = v < 0.0f ? -v : v;
  largest = size > largest ? size : largest;
}

template <class H>
[[gnu::always_inline]] inline float largest_magnitude(const H* x, std::int64_t columns) {
  Vector largest = {};
  for_vectors(
      x, columns, [&](const Vector& v, std::int64_t) __attribute__((always_inline)) { grow_to_magnitude(largest, v); });
  return largest_of(largest);
}

}  // namespace zonda::model::small
