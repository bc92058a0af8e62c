#pragma once
// Rows of numbers to int8, each by its own scale.
#include <algorithm>
#include <cmath>

#include "model/ops/cpu/int8/int8_product.hpp"
#include "model/ops/cpu/mixed.hpp"
#include "model/ops/cpu/row_reductions.hpp"
#include "model/ops/quantise.hpp"

namespace zonda::model::int8 {

/// A row whose largest magnitude is known: `out` [filled_up(columns)], zeros beyond `columns`. Returns the scale.
template <class H>
[[gnu::always_inline]] inline float quantise_row(const H* x, float largest, std::int8_t* out, std::int64_t columns) {
  const float inverse = inverse_scale(largest);
#pragma omp simd
  for (std::int64_t j = 0; j < columns; ++j) out[j] = quantised(widen(x[j]), inverse);
  if (columns % kGroup != 0) std::fill(out + columns, out + filled_up(columns), std::int8_t{0});
  return largest / kQuantised;
}

/// `out` [rows, filled_up(columns)].
template <class H>
[[gnu::always_inline]] inline void quantise_rows(const H* x, std::int8_t* out, float* scales, std::int64_t rows,
                                                 std::int64_t columns) {
  for (std::int64_t i = 0; i < rows; ++i, x += columns, out += filled_up(columns)) {
    scales[i] = quantise_row(x, small::largest_magnitude(x, columns), out, columns);
  }
}

}  // namespace zonda::model::int8
