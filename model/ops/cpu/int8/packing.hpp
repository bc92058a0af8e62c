#pragma once
// How kernels lay out their operands.
#include <algorithm>
#include <cstddef>
#include <cstring>

#include "core/vectorise.hpp"
#include "model/ops/cpu/int8/int8_product.hpp"

namespace zonda::model::int8 {

/// Rows as they are.
inline void pack_bytes(const std::int8_t* rows, std::int64_t count, std::int64_t k, std::byte* out) {
  std::memcpy(out, rows, static_cast<std::size_t>(count * filled_up(k)));
}

/// Four rows of b at kPanel columns, zeros beyond `columns` and beyond row k.
inline void four_rows(const std::int8_t* b, std::int64_t n, std::int64_t columns, std::int64_t first, std::int64_t k,
                      std::int8_t (&rows)[4][kPanel]) {
  for (std::int64_t r = 0; r < 4; ++r) {
    const std::int64_t real = first + r < k ? columns : 0;
    if (real > 0) std::memcpy(rows[r], b + (first + r) * n, static_cast<std::size_t>(real));
    if (real < kPanel) std::memset(rows[r] + real, 0, static_cast<std::size_t>(kPanel - real));
  }
}

/// panel [k / 4, kPanel, 4]; offsets = `bias` times each column's sum.
[[gnu::always_inline]] inline void pack_quadruples_by(std::int32_t bias, const std::int8_t* b, std::int64_t n,
                                                      std::int64_t columns, std::int64_t k, std::byte* panel,
                                                      std::int32_t* offsets) {
  std::fill_n(offsets, kPanel, 0);
  std::int8_t rows[4][kPanel];
  for (std::int64_t l = 0; l < filled_up(k); l += 4, panel += 4 * kPanel) {
    four_rows(b, n, columns, l, k, rows);
    auto* words = reinterpret_cast<std::uint32_t*>(panel);
    for (std::int64_t j = 0; j < kPanel; ++j) {
      const auto byte = [&](int r) { return std::uint32_t{static_cast<std::uint8_t>(rows[r][j])}; };
      words[j] = byte(0) | byte(1) << 8 | byte(2) << 16 | byte(3) << 24;
      offsets[j] += bias * (rows[0][j] + rows[1][j] + rows[2][j] + rows[3][j]);
    }
  }
}

}  // namespace zonda::model::int8
