#include "model/ops/cpu/int8/kernels.hpp"
#include "model/ops/cpu/int8/packing.hpp"

namespace zonda::model::int8 {

namespace {

void pack_rows(const std::int8_t* b, std::int64_t n, std::int64_t columns, std::int64_t k, std::byte* panel,
               std::int32_t* offsets) {
  std::fill_n(offsets, kPanel, 0);
  std::int8_t rows[4][kPanel];
  for (std::int64_t l = 0; l < filled_up(k); l += 4, panel += 4 * kPanel) {
    four_rows(b, n, columns, l, k, rows);
    std::memcpy(panel, rows, sizeof(rows));
  }
}

ZONDA_CLONES void multiply(const std::byte* left, const std::byte* panel, const std::int32_t*, std::int64_t rows,
                           std::int64_t k, std::int32_t* sums) {
  const auto* b = reinterpret_cast<const std::int8_t*>(panel);
  for (std::int64_t i = 0; i < rows; ++i, sums += kPanel) {
    const auto* a = reinterpret_cast<const std::int8_t*>(left) + i * k;
    std::fill_n(sums, kPanel, 0);
    for (std::int64_t l = 0; l < k; ++l) {
      const std::int16_t factor = a[l];
#pragma omp simd
      for (std::int64_t j = 0; j < kPanel; ++j)
        sums[j] += static_cast<std::int16_t>(factor * std::int16_t{b[l * kPanel + j]});
    }
  }
}

}  // namespace

const Kernel portable{"portable", 1, 1, pack_bytes, pack_rows, multiply};

}  // namespace zonda::model::int8
