// Matrix products by oneDNN's sgemm, one call per piece of rows on each thread: pieces are fixed, so that the bits do
// not depend on the number of threads, and the epilogue runs while the piece is in the cache.
#include <dnnl.h>
#include <omp.h>

#include <algorithm>

#include "core/error.hpp"
#include "core/vectorise.hpp"
#include "model/ops/cpu/cpu_backend.hpp"
#include "model/ops/cpu/vector_math.hpp"

namespace zonda::model {

namespace {

ZONDA_CLONES void epilogue(float* c, const float* bias, float* activated, std::int64_t rows, std::int64_t columns) {
  for (std::int64_t i = 0; i < rows; ++i) {
    float* row = c + i * columns;
    if (bias) {
#pragma omp simd
      for (std::int64_t j = 0; j < columns; ++j) row[j] += bias[j];
    }
    if (activated) {
      float* out = activated + i * columns;
#pragma omp simd
      for (std::int64_t j = 0; j < columns; ++j) out[j] = fast_gelu(row[j]);
    }
  }
}

ZONDA_CLONES void add_row_sums(const float* x, float* sum, std::int64_t rows, std::int64_t columns) {
  for (std::int64_t i = 0; i < rows; ++i) {
    const float* row = x + i * columns;
#pragma omp simd
    for (std::int64_t j = 0; j < columns; ++j) sum[j] += row[j];
  }
}

/// oneDNN asks OpenMP how many threads it may use; within a team of ours, and in a team of one, that is one.
class OneThreadEach {
 public:
  OneThreadEach() : before_(omp_get_max_threads()) { omp_set_num_threads(1); }
  ~OneThreadEach() { omp_set_num_threads(before_); }
  OneThreadEach(const OneThreadEach&) = delete;
  OneThreadEach& operator=(const OneThreadEach&) = delete;

 private:
  int before_;
};

constexpr std::int64_t kRows = 512;         // of a forward piece: amortises the packing of the right operand
constexpr std::int64_t kGradientRows = 64;  // of a weight gradient's piece
constexpr std::int64_t kSumRows = 256;

}  // namespace

void CpuBackend::gemm(Context& ctx, const Tensor& a, const Tensor& b, const Tensor& c, const GemmOptions& options) {
  if (ctx.planning()) return;
  if (c.dtype != DType::f32 || c.shape.rank() != 2) return ReferenceBackend::gemm(ctx, a, b, c, options);
  const std::int64_t m = c.shape[0], n = c.shape[1], k = options.transpose_a ? a.shape[0] : a.shape[1];
  const std::int64_t piece = options.transpose_a ? kGradientRows : kRows, pieces = (m + piece - 1) / piece;
  const int threads = pieces == 1 ? 1 : team(m * n * k / 32);
  const OneThreadEach one_thread_each;
  bool failed = false;
#pragma omp parallel for schedule(dynamic) num_threads(threads) reduction(|| : failed)
  for (std::int64_t p = 0; p < pieces; ++p) {
    const std::int64_t first = p * piece, rows = std::min(piece, m - first);
    float* out = c.as<float>() + first * n;
    const float* left = a.as<float>() + (options.transpose_a ? first : first * k);
    failed = dnnl_sgemm(options.transpose_a ? 'T' : 'N', options.transpose_b ? 'T' : 'N', rows, n, k, 1.0f, left,
                        options.transpose_a ? m : k, b.as<float>(), options.transpose_b ? k : n,
                        options.accumulate ? 1.0f : 0.0f, out, n) != dnnl_success ||
             failed;
    if (!options.bias.none() || !options.activated.none())
      epilogue(out, options.bias.none() ? nullptr : options.bias.as<float>(),
               options.activated.none() ? nullptr : options.activated.as<float>() + first * n, rows, n);
  }
  if (failed) fail(ErrorKind::failure, "oneDNN refused a product of {}x{}x{}", m, n, k);
}

void CpuBackend::bias_gradient(Context& ctx, const Tensor& dy, const Tensor& gradient) {
  if (dy.dtype != DType::f32) return ReferenceBackend::bias_gradient(ctx, dy, gradient);
  const std::int64_t n = dy.shape[dy.shape.rank() - 1], rows = dy.count() / n,
                     pieces = (rows + kSumRows - 1) / kSumRows;
  Tensor partial = ctx.take({pieces, n});
  if (!ctx.planning()) {
#pragma omp parallel for schedule(dynamic) num_threads(team(dy.count()))
    for (std::int64_t p = 0; p < pieces; ++p) {
      float* sum = partial.as<float>() + p * n;
      std::fill_n(sum, n, 0.0f);
      add_row_sums(dy.as<float>() + p * kSumRows * n, sum, std::min(kSumRows, rows - p * kSumRows), n);
    }
    add_row_sums(partial.as<float>(), gradient.as<float>(), pieces, n);
  }
  ctx.release(partial);
}

}  // namespace zonda::model
