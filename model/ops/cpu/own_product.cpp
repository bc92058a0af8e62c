#include "model/ops/cpu/own_product.hpp"

#include <algorithm>
#include <vector>

#include "model/ops/cpu/small_product.hpp"

namespace zonda::model {

namespace {

constexpr std::int64_t kPanel = 64;    // columns that are packed at a time
constexpr std::int64_t kFewRows = 16;  // do not pay for packing

/// out [k, kPanel]: columns first .. first + columns of op(b), zeros beyond.
void pack(const MatrixProduct& p, const float* b, std::int64_t first, std::int64_t columns, float* out) {
  for (std::int64_t l = 0; l < p.k; ++l, out += kPanel) {
    if (p.transpose_b == 'N')
      std::copy_n(b + l * p.b_stride + first, columns, out);
    else
      for (std::int64_t j = 0; j < columns; ++j) out[j] = b[(first + j) * p.b_stride + l];
    std::fill(out + columns, out + kPanel, 0.0f);
  }
}

}  // namespace

void multiply_by_tiles(const MatrixProduct& p, const float* a, const float* b, bool accumulate, float* c) {
  const bool in_place = !accumulate && p.n % small::kLanes == 0;
  if (in_place && p.rows < kFewRows && p.transpose_a == 'N' && p.transpose_b == 'N')
    return small::product(a, p.a_stride, 1, b, p.b_stride, c, p.n, p.rows, p.n, p.k);
  thread_local std::vector<float> room;
  if (const auto needed = static_cast<std::size_t>((p.k + (in_place ? 0 : p.rows)) * kPanel); room.size() < needed)
    room.resize(needed);
  float *right = room.data(), *sums = right + p.k * kPanel;
  const std::int64_t a_row = p.transpose_a == 'N' ? p.a_stride : 1, a_column = p.transpose_a == 'N' ? 1 : p.a_stride;
  for (std::int64_t first = 0; first < p.n; first += kPanel) {
    const std::int64_t columns = std::min(kPanel, p.n - first), padded = small::padded(columns);
    pack(p, b, first, columns, right);
    if (in_place) {
      small::product(a, a_row, a_column, right, kPanel, c + first, p.n, p.rows, padded, p.k);
      continue;
    }
    small::product(a, a_row, a_column, right, kPanel, sums, kPanel, p.rows, padded, p.k);
    for (std::int64_t i = 0; i < p.rows; ++i) {
      float* to = c + i * p.n + first;
      const float* from = sums + i * kPanel;
      if (accumulate)
        for (std::int64_t j = 0; j < columns; ++j) to[j] += from[j];
      else
        std::copy_n(from, columns, to);
    }
  }
}

}  // namespace zonda::model
