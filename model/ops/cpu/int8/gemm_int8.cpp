// Products of int8 numbers for inference: rows of the left operand are quantised as they come, the right one before.
#include <algorithm>

#include "core/vectorise.hpp"
#include "model/ops/cpu/cpu_backend.hpp"
#include "model/ops/cpu/for_pieces.hpp"
#include "model/ops/cpu/int8/int8_product.hpp"
#include "model/ops/cpu/int8/quantise_rows.hpp"
#include "model/ops/cpu/mixed.hpp"
#include "model/ops/cpu/vector_math.hpp"

namespace zonda::model {

namespace {

using int8::filled_up;
using int8::kPanel;

constexpr std::int64_t kRows = 384;  // of a piece at most: they share the packed right operand
constexpr std::int64_t kShares = 4;  // pieces come in multiples of it, so that a few threads get as many each
constexpr std::int64_t kStrip = 48;  // rows whose sums stay in the nearest cache until they are scaled back

template <class H>
ZONDA_CLONES void quantise_rows(const H* x, std::int8_t* out, float* scales, std::int64_t rows, std::int64_t columns) {
  int8::quantise_rows(x, out, scales, rows, columns);
}

/// c = sum * row scale * column scale [+ bias], activated = GELU(c before it is rounded), each unless null; `columns`
/// of kPanel, rows of c `stride` numbers apart.
template <class C>
ZONDA_CLONES void scale_back(const std::int32_t* sum, const float* row_scales, const float* column_scales,
                             const float* bias, C* c, C* activated, std::int64_t rows, std::int64_t columns,
                             std::int64_t stride) {
  for (std::int64_t i = 0; i < rows; ++i, sum += kPanel) {
    float value[kPanel];
#pragma omp simd
    for (std::int64_t j = 0; j < columns; ++j) {
      value[j] = float(sum[j]) * (row_scales[i] * column_scales[j]) + (bias ? bias[j] : 0.0f);
    }
    if (c) {
#pragma omp simd
      for (std::int64_t j = 0; j < columns; ++j) store(value[j], c[i * stride + j]);
    }
    if (activated) {
#pragma omp simd
      for (std::int64_t j = 0; j < columns; ++j) store(fast_gelu(value[j]), activated[i * stride + j]);
    }
  }
}

std::int64_t piece_rows(std::int64_t m) {
  const std::int64_t pieces = kShares * ((m + kShares * kRows - 1) / (kShares * kRows));
  return std::clamp<std::int64_t>((m + pieces - 1) / pieces, 48, kRows);
}

}  // namespace

void CpuBackend::gemm_int8(Context& ctx, const Tensor& a, const Tensor& b, const Tensor& scales, const Tensor& c,
                           const GemmOptions& options) {
  const Tensor& some = c.none() ? options.activated : c;
  if (a.dtype == DType::f64 || some.dtype == DType::f64)
    return ReferenceBackend::gemm_int8(ctx, a, b, scales, c, options);
  const int8::Kernel& kernel = int8::chosen_kernel();
  const std::int64_t m = some.shape[0], n = some.shape[1], k = a.shape[1], full = filled_up(k), piece = piece_rows(m),
                     pieces = (m + piece - 1) / piece;
  Tensor numbers = ctx.take({threads_, piece * full}, DType::i8);
  Tensor packed = ctx.take({threads_, piece * full * kernel.left_bytes}, DType::i8);
  Tensor panels = ctx.take({threads_, full * kPanel * kernel.right_bytes}, DType::i8);
  Tensor row_scales = ctx.take({threads_, piece}, DType::f32);
  if (!ctx.planning()) {
    for_pieces(pieces == 1 ? 1 : team(m * n * k / 32), pieces, [&](std::int64_t p, std::int64_t worker) {
      const std::int64_t first = p * piece, rows = std::min(piece, m - first);
      auto* quantised_rows = numbers.as<std::int8_t>() + worker * piece * full;
      auto* left = packed.as<std::byte>() + worker * piece * full * kernel.left_bytes;
      auto* panel = panels.as<std::byte>() + worker * full * kPanel * kernel.right_bytes;
      float* left_scales = row_scales.as<float>() + worker * piece;
      for_half_type(a.dtype, [&](auto half) {
        quantise_rows(a.as<decltype(half)>() + first * k, quantised_rows, left_scales, rows, k);
      });
      kernel.pack_left(quantised_rows, rows, k, left);
      for (std::int64_t column = 0; column < n; column += kPanel) {
        const std::int64_t columns = std::min(kPanel, n - column);
        std::int32_t offsets[kPanel], sums[kStrip * kPanel];
        kernel.pack_right(b.as<std::int8_t>() + column, n, columns, k, panel, offsets);
        for (std::int64_t row = 0; row < rows; row += kStrip) {
          const std::int64_t strip = std::min(kStrip, rows - row), at = (first + row) * n + column;
          kernel.product(left + row * full * kernel.left_bytes, panel, offsets, strip, full, sums);
          for_half_type(some.dtype, [&](auto half) {
            using C = decltype(half);
            scale_back(sums, left_scales + row, scales.as<float>() + column,
                       options.bias.none() ? nullptr : options.bias.as<float>() + column,
                       c.none() ? nullptr : c.as<C>() + at,
                       options.activated.none() ? nullptr : options.activated.as<C>() + at, strip, columns, n);
          });
        }
      }
    });
  }
  ctx.release(numbers, packed, panels, row_scales);
}

}  // namespace zonda::model
