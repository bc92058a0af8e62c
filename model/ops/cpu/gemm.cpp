// Matrix products, one call per piece of rows on each thread: pieces are fixed, so that the bits do not
// depend on the number of threads, and the epilogue runs while the piece is in the cache.
#include <algorithm>
#include <atomic>

#include "core/error.hpp"
#include "core/vectorise.hpp"
#include "model/ops/cpu/cpu_backend.hpp"
#include "model/ops/cpu/for_pieces.hpp"
#include "model/ops/cpu/matrix_product.hpp"
#include "model/ops/cpu/mixed.hpp"
#include "model/ops/cpu/one_thread_each.hpp"
#include "model/ops/cpu/pair_product.hpp"
#include "model/ops/cpu/small_product.hpp"
#include "model/ops/cpu/vector_math.hpp"

namespace zonda::model {

namespace {

/// c = sum [+ bias], activated = GELU(c before it is rounded); sum may be c.
template <class C>
ZONDA_CLONES void epilogue(const float* sum, const float* bias, C* c, C* activated, std::int64_t rows,
                           std::int64_t columns) {
  for (std::int64_t i = 0; i < rows; ++i, sum += columns, c += columns) {
    if (activated) {
      C* out = activated + i * columns;
#pragma omp simd
      for (std::int64_t j = 0; j < columns; ++j) {
        const float value = sum[j] + (bias ? bias[j] : 0.0f);
        store(value, c[j]);
        store(fast_gelu(value), out[j]);
      }
    } else {
#pragma omp simd
      for (std::int64_t j = 0; j < columns; ++j) store(sum[j] + (bias ? bias[j] : 0.0f), c[j]);
    }
  }
}

template <class H>
ZONDA_CLONES void add_row_sums(const H* x, float* sum, std::int64_t rows, std::int64_t columns) {
  for (std::int64_t i = 0; i < rows; ++i) {
    const H* row = x + i * columns;
#pragma omp simd
    for (std::int64_t j = 0; j < columns; ++j) sum[j] += widen(row[j]);
  }
}

/// out [rows, columns] = the block of x whose rows lie `stride` apart.
ZONDA_CLONES void widen_block(const BFloat16* x, std::int64_t stride, float* out, std::int64_t rows,
                              std::int64_t columns) {
  for (std::int64_t i = 0; i < rows; ++i) {
#pragma omp simd
    for (std::int64_t j = 0; j < columns; ++j) out[i * columns + j] = widen(x[i * stride + j]);
  }
}

// Of a piece at most: rows amortise the packing of the right operand, which is packed anew for each piece.
constexpr std::int64_t kRows = 384, kGradientRows = 128;
// Below so many rows oneDNN takes other kernels, with other bits; a smaller piece is filled up with zeros, so that a
// row of the product does not depend on the rows beside it.
constexpr std::int64_t kFewestRows = 16;
constexpr std::int64_t kShares = 4;  // pieces come in multiples of it, so that a few threads get as many each
constexpr std::int64_t kSumRows = 256;
constexpr std::int64_t kCoarseRows = 48;  // that are rounded at a time

/// Rows of a piece of m rows; never by the number of threads.
std::int64_t piece_rows(std::int64_t m) {
  const std::int64_t pieces = kShares * ((m + kShares * kRows - 1) / (kShares * kRows));
  return std::clamp<std::int64_t>((m + pieces - 1) / pieces, 64, kRows);
}

}  // namespace

#ifdef ZONDA_AVX512_BF16
/// Operands in f32 are rounded to pairs of bf16, the left one strip by strip.
void CpuBackend::gemm_coarse(Context& ctx, const Tensor& a, const Tensor& b, const Tensor& c,
                             const GemmOptions& options) {
  const std::int64_t m = c.shape[0], n = c.shape[1], k = a.shape[1], row = small::paired_row(k), pairs = (k + 1) / 2,
                     pieces = (m + kCoarseRows - 1) / kCoarseRows;
  Tensor right = ctx.take({pairs, n}, DType::f32);  // of words, as the left rows
  Tensor left = ctx.take({threads_, kCoarseRows, row}, DType::f32);
  if (!ctx.planning()) {
    auto* words = reinterpret_cast<small::Pair*>(right.as<float>());
    for_half_type(b.dtype, [&](auto half) { small::pair_rows(b.as<decltype(half)>(), k, n, words); });
    const float* bias = options.bias.none() ? nullptr : options.bias.as<float>();
    for_pieces(pieces == 1 ? 1 : team(m * n * k / 32), pieces, [&](std::int64_t p, std::int64_t worker) {
      const std::int64_t first = p * kCoarseRows, rows = std::min(kCoarseRows, m - first);
      auto* rounded = reinterpret_cast<small::Pair*>(left.as<float>() + worker * kCoarseRows * row);
      small::round_rows(a.as<float>() + first * k, rows, k, rounded);
      float* sum = c.as<float>() + first * n;
      small::pair_product(rounded, row, 1, words, n, sum, n, rows, n, pairs);
      if (bias || !options.activated.none())
        epilogue(sum, bias, sum, options.activated.none() ? nullptr : options.activated.as<float>() + first * n, rows,
                 n);
    });
  }
  ctx.release(right, left);
}
#else
void CpuBackend::gemm_coarse(Context&, const Tensor&, const Tensor&, const Tensor&, const GemmOptions&) {
  fail(ErrorKind::failure, "no products of pairs in this build");
}
#endif

bool CpuBackend::rounds(bool coarse) const {
  return coarse && bf16_products_ && small::has_pair_products();
}

void CpuBackend::gemm(Context& ctx, const Tensor& a, const Tensor& b, const Tensor& c, const GemmOptions& options) {
  if (c.dtype == DType::f64 || c.shape.rank() != 2) return ReferenceBackend::gemm(ctx, a, b, c, options);
  if (rounds(options.coarse) && a.dtype == DType::f32 && c.dtype == DType::f32 && !options.transpose_a &&
      !options.transpose_b && !options.accumulate && c.shape[1] % small::kLanes == 0)
    return gemm_coarse(ctx, a, b, c, options);
  if (a.dtype == DType::f32 && b.dtype == DType::bf16) {
    Tensor wide = ctx.take(b.shape, DType::f32);
    cast(ctx, b, wide);
    gemm(ctx, a, wide, c, options);
    return ctx.release(wide);
  }
  const std::int64_t m = c.shape[0], n = c.shape[1], k = options.transpose_a ? a.shape[0] : a.shape[1];
  const std::int64_t piece = options.transpose_a ? kGradientRows : piece_rows(m), pieces = (m + piece - 1) / piece;
  const bool wide_result = c.dtype == DType::f32,
             widened = a.dtype == DType::bf16 && !(bf16_products_ && has_bf16_products());
  const MatrixProduct all{options.transpose_a ? 'T' : 'N', options.transpose_b ? 'T' : 'N', m, n, k,
                          options.transpose_a ? m : k,     options.transpose_b ? k : n};
  const bool rows_alike = options.transpose_a || (a.dtype == DType::f32 && by_tiles(all));
  const bool filled_up = !rows_alike && m % piece > 0 && m % piece < kFewestRows;
  Tensor sums, wide_a, wide_b;
  // Not of the arena: whoever leaves out a product must not change its plan by the number of rows.
  if (filled_up) few_rows_.resize(std::max(few_rows_.size(), static_cast<std::size_t>(kFewestRows * (k + n))));
  if (!wide_result) sums = ctx.take({threads_, piece * n}, DType::f32);
  if (widened) {
    wide_a = ctx.take({threads_, piece * k}, DType::f32);
    wide_b = ctx.take(b.shape, DType::f32);
  }
  if (!ctx.planning()) {
    if (widened) cast(ctx, b, wide_b);
    const int threads = pieces == 1 ? 1 : team(m * n * k / 32);
    const OneThreadEach one_thread_each;
    const float* bias = options.bias.none() ? nullptr : options.bias.as<float>();
    std::atomic<bool> failed = false;
    for_pieces(threads, pieces, [&](std::int64_t p, std::int64_t worker) {
      const std::int64_t first = p * piece, rows = std::min(piece, m - first);
      const std::int64_t from = options.transpose_a ? first : first * k;
      MatrixProduct part = all;
      part.rows = rows;
      float* sum = wide_result ? c.as<float>() + first * n : sums.as<float>() + worker * piece * n;
      const auto product = [&]<class T>(const T* left, const T* right) {
        if (rows_alike || rows >= kFewestRows) return multiply(part, left, right, options.accumulate, sum);
        float* few_c = few_rows_.data();
        T* few = reinterpret_cast<T*>(few_c + kFewestRows * n);
        std::fill(std::copy_n(left, rows * k, few), few + kFewestRows * k, T(0.0f));
        if (options.accumulate) std::copy_n(sum, rows * n, few_c);
        MatrixProduct whole = part;
        whole.rows = kFewestRows;
        const bool done = multiply(whole, few, right, options.accumulate, few_c);
        std::copy_n(few_c, rows * n, sum);
        return done;
      };
      if (widened) {
        float* left = wide_a.as<float>() + worker * piece * k;
        if (options.transpose_a)
          widen_block(a.as<BFloat16>() + from, m, left, k, rows), part.a_stride = rows;
        else
          widen_block(a.as<BFloat16>() + from, k, left, rows, k);
        if (!product(left, wide_b.as<float>())) failed = true;
      } else if (a.dtype == DType::bf16) {
        if (!product(a.as<BFloat16>() + from, b.as<BFloat16>())) failed = true;
      } else {
        if (!product(a.as<float>() + from, b.as<float>())) failed = true;
      }
      if (wide_result && !bias && options.activated.none()) return;
      for_half_type(c.dtype, [&](auto half) {
        using C = decltype(half);
        epilogue(sum, bias, c.as<C>() + first * n,
                 options.activated.none() ? nullptr : options.activated.as<C>() + first * n, rows, n);
      });
    });
    if (failed) fail(ErrorKind::failure, "the library refused a product of {}x{}x{}", m, n, k);
  }
  if (!wide_result) ctx.release(sums);
  if (widened) ctx.release(wide_a, wide_b);
}

void CpuBackend::bias_gradient(Context& ctx, const Tensor& dy, const Tensor& gradient) {
  if (dy.dtype == DType::f64) return ReferenceBackend::bias_gradient(ctx, dy, gradient);
  const std::int64_t n = dy.shape[dy.shape.rank() - 1], rows = dy.count() / n,
                     pieces = (rows + kSumRows - 1) / kSumRows;
  Tensor partial = ctx.take({pieces, n}, DType::f32);
  if (!ctx.planning()) {
    for_half_type(dy.dtype, [&](auto half) {
      using H = decltype(half);
      for_pieces(team(dy.count()), pieces, [&](std::int64_t p) {
        float* sum = partial.as<float>() + p * n;
        std::fill_n(sum, n, 0.0f);
        add_row_sums(dy.as<H>() + p * kSumRows * n, sum, std::min(kSumRows, rows - p * kSumRows), n);
      });
    });
    add_row_sums(partial.as<float>(), gradient.as<float>(), pieces, n);
  }
  ctx.release(partial);
}

}  // namespace zonda::model
