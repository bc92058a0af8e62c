// The weighted loss of a batch of fields, the fair CRPS of ensembles, and their gradients.
#include "model/ops/cuda/kernels.hpp"
#include "model/ops/cuda/reductions.hpp"
#include "model/ops/cuda/shared_memory.hpp"

namespace zonda::model::cuda {

namespace {

constexpr int kThreads = 256, kCrpsThreads = 128;

/// Block (piece, field).
__global__ void field_piece(LossShape s, LossWeights by, const float* prediction, const float* target, float* gradient,
                            double* partial) {
  __shared__ double room[kThreads / kWarp];
  const std::int64_t begin = by.piece_rows[blockIdx.x], end = by.piece_rows[blockIdx.x + 1];
  const std::int64_t field = std::int64_t{blockIdx.y} * s.rows * s.columns;
  double sum = 0;
  for (std::int64_t i = begin; i < end; ++i) {
    const double w = by.row[i];
    const float slope = static_cast<float>(by.scale * by.field[blockIdx.y] * w);
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

/// Block (piece, field of an ensemble's mean). A thread keeps the members' errors at its point side by side with those
/// of the others, and writes the gradient, which may lie where they came from, when it has read all.
__global__ void crps_piece(LossShape s, LossWeights by, int members, const float* prediction, const float* target,
                           float* gradient, double* partial) {
  __shared__ double room[kCrpsThreads / kWarp];
  float* mine = dynamic_shared<float>() + threadIdx.x;  // [member], kCrpsThreads apart
  const std::int64_t begin = by.piece_rows[blockIdx.x], end = by.piece_rows[blockIdx.x + 1];
  const std::int64_t plane = s.rows * s.columns, stride = s.channels * plane;  // between members
  const std::int64_t field = (blockIdx.y / s.channels * members * s.channels + blockIdx.y % s.channels) * plane;
  const float mean = 1.0f / static_cast<float>(members), pair = 1.0f / static_cast<float>(members * (members - 1));
  double sum = 0;
  for (std::int64_t i = begin; i < end; ++i) {
    const double w = by.row[i];
    const float slope = static_cast<float>(by.scale * (by.field[blockIdx.y] * w));
    double row = 0;
    for (std::int64_t j = threadIdx.x; j < s.columns; j += kCrpsThreads) {
      const std::int64_t at = field + i * s.columns + j;
      const bool masked = target[at] != target[at];
      for (int m = 0; m < members; ++m)
        mine[m * kCrpsThreads] = masked ? 0.0f : prediction[at + m * stride] - target[at + m * stride];
      for (int m = 0; m < members; ++m) {
        const float e = mine[m * kCrpsThreads];
        float order = 0, spread = 0;  // members below less members above; sum of distances
        for (int o = 0; o < members; ++o) {
          const float other = mine[o * kCrpsThreads];
          order += static_cast<float>(e > other) - static_cast<float>(e < other);
          spread += fabsf(e - other);
        }
        row += static_cast<double>(mean * fabsf(e)) - 0.5 * static_cast<double>(pair * spread);
        if (gradient)
          gradient[at + m * stride] =
              slope * (mean * (static_cast<float>(e > 0) - static_cast<float>(e < 0)) - pair * order);
      }
    }
    sum += w * row;
  }
  sum = block_sum(sum, room);
  if (threadIdx.x == 0) partial[std::int64_t{blockIdx.y} * gridDim.x + blockIdx.x] = sum;
}

/// One block a chunk of rows: its pieces of a field, then the weighted fields, each in order.
__global__ void add_parts(std::int64_t fields, std::int64_t pieces, LossWeights by, const double* partial,
                          double* parts) {
  __shared__ double room[kThreads];
  const std::int64_t begin = by.chunk_pieces[blockIdx.x], end = by.chunk_pieces[blockIdx.x + 1];
  double part = 0;
  for (std::int64_t first = 0; first < fields; first += kThreads) {
    const std::int64_t f = first + threadIdx.x;
    if (f < fields) {
      double sum = 0;
      for (std::int64_t p = begin; p < end; ++p) sum += partial[f * pieces + p];
      room[threadIdx.x] = by.field[f] * sum;
    }
    __syncthreads();
    if (threadIdx.x == 0)
      for (std::int64_t k = 0; k < min(std::int64_t{kThreads}, fields - first); ++k) part += room[k];
    __syncthreads();
  }
  if (threadIdx.x == 0) parts[blockIdx.x] = part;
}

}  // namespace

void loss(Stream stream, const LossShape& s, const LossWeights& by, const float* prediction, const float* target,
          float* gradient, double* partial, double* parts) {
  const std::int64_t fields = s.batch * s.channels;
  launch(field_piece, dim3(static_cast<unsigned>(by.pieces), static_cast<unsigned>(fields)), dim3(kThreads), 0, stream,
         s, by, prediction, target, gradient, partial);
  launch(add_parts, dim3(static_cast<unsigned>(by.chunks)), dim3(kThreads), 0, stream, fields, by.pieces, by, partial,
         parts);
}

void crps(Stream stream, const LossShape& s, const LossWeights& by, int members, const float* prediction,
          const float* target, float* gradient, double* partial, double* parts) {
  const std::int64_t fields = s.batch / members * s.channels;
  launch(crps_piece, dim3(static_cast<unsigned>(by.pieces), static_cast<unsigned>(fields)), dim3(kCrpsThreads),
         sizeof(float) * static_cast<std::size_t>(members * kCrpsThreads), stream, s, by, members, prediction, target,
         gradient, partial);
  launch(add_parts, dim3(static_cast<unsigned>(by.chunks)), dim3(kThreads), 0, stream, fields, by.pieces, by, partial,
         parts);
}

}  // namespace zonda::model::cuda
