// The weighted loss of a batch of fields and its gradient.
#include "model/ops/cuda/kernels.hpp"
#include "model/ops/cuda/reductions.hpp"

namespace zonda::model::cuda {

namespace {

constexpr int kThreads = 256;

/// Block (piece, field).
__global__ void field_piece(LossShape s, const float* prediction, const float* target, const double* row_weight,
                            const float* weight, float* gradient, double* partial) {
  __shared__ double room[kThreads / kWarp];
  const std::int64_t begin = s.piece_rows[blockIdx.x], end = s.piece_rows[blockIdx.x + 1];
  const std::int64_t field = std::int64_t{blockIdx.y} * s.rows * s.columns;
  double sum = 0;
  for (std::int64_t i = begin; i < end; ++i) {
    const double w = row_weight[i];
    const float slope = static_cast<float>(weight[blockIdx.y] * w);
    double row = 0;
    for (std::int64_t j = threadIdx.x; j < s.columns; j += kThreads) {
      const std::int64_t at = field + i * s.columns + j;
      const float t = target[at], e = t != t ? 0.0f : prediction[at] - t;
      row += s.squared ? static_cast<double>(e) * static_cast<double>(e) : static_cast<double>(fabsf(e));
      if (gradient) gradient[at] = s.squared ? 2 * slope * e : e > 0 ? slope : e < 0 ? -slope : 0.0f;
    }
    sum += w * row;
  }
  sum = block_sum(sum, room);
  if (threadIdx.x == 0) partial[std::int64_t{blockIdx.y} * gridDim.x + blockIdx.x] = sum;
}

}  // namespace

void loss(Stream stream, const LossShape& s, const float* prediction, const float* target, const double* row_weight,
          const float* weight, float* gradient, double* partial) {
  launch(field_piece, dim3(static_cast<unsigned>(s.pieces), static_cast<unsigned>(s.batch * s.channels)),
         dim3(kThreads), 0, stream, s, prediction, target, row_weight, weight, gradient, partial);
}

}  // namespace zonda::model::cuda
