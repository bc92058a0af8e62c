// Sums over rows, in two passes of fixed pieces.
#include "model/ops/cuda/kernels.hpp"
#include "model/ops/cuda/numbers.hpp"

namespace zonda::model::cuda {

namespace {

constexpr int kColumns = 32, kLanes = 8;  // columns of a block, and rows it adds at a time

__global__ void sum_rows_of(const float* in, std::int64_t rows, std::int64_t in_stride, std::int64_t width, float* out,
                            std::int64_t out_stride, bool accumulate) {
  __shared__ float part[kLanes][kColumns];
  const std::int64_t d = std::int64_t{blockIdx.x} * kColumns + threadIdx.x;
  const float* group = in + std::int64_t{blockIdx.y} * rows * in_stride;
  float sum = 0;
  if (d < width)
    for (std::int64_t i = threadIdx.y; i < rows; i += kLanes) sum += group[i * in_stride + d];
  part[threadIdx.y][threadIdx.x] = sum;
  __syncthreads();
  if (threadIdx.y != 0 || d >= width) return;
  for (int i = 1; i < kLanes; ++i) sum += part[i][threadIdx.x];
  float& to = out[std::int64_t{blockIdx.y} * out_stride + d];
  to = accumulate ? to + sum : sum;
}

template <class H>
__global__ void column_pieces(const H* dy, std::int64_t rows, std::int64_t piece, std::int64_t n, float* partial) {
  const std::int64_t d = std::int64_t{blockIdx.x} * blockDim.x + threadIdx.x;
  if (d >= n) return;
  const std::int64_t begin = std::int64_t{blockIdx.y} * piece, end = min(rows, begin + piece);
  float sum = 0;
#pragma unroll 4
  for (std::int64_t i = begin; i < end; ++i) sum += widen(dy[i * n + d]);
  partial[std::int64_t{blockIdx.y} * n + d] = sum;
}

}  // namespace

std::int64_t rows_of_piece(std::int64_t rows) {
  constexpr std::int64_t least = 16, pieces = 256;
  const std::int64_t even = (rows + pieces - 1) / pieces;
  return even > least ? even : least;
}

void sum_pieces(Stream stream, const float* in, std::int64_t groups, std::int64_t rows, std::int64_t in_stride,
                std::int64_t width, float* out, std::int64_t out_stride, bool accumulate) {
  launch(sum_rows_of, dim3(blocks_for(width, kColumns), static_cast<unsigned>(groups)), dim3(kColumns, kLanes), 0,
         stream, in, rows, in_stride, width, out, out_stride, accumulate);
}

template <class H>
void bias_gradient(Stream stream, const H* dy, std::int64_t rows, std::int64_t n, float* gradient, float* partial) {
  const std::int64_t pieces = pieces_of(rows);
  launch(column_pieces<H>, dim3(blocks_for(n, 128), static_cast<unsigned>(pieces)), dim3(128), 0, stream, dy, rows,
         rows_of_piece(rows), n, partial);
  sum_pieces(stream, partial, 1, pieces, n, n, gradient, 0, true);
}

template void bias_gradient<float>(Stream, const float*, std::int64_t, std::int64_t, float*, float*);
template void bias_gradient<bf16>(Stream, const bf16*, std::int64_t, std::int64_t, float*, float*);

}  // namespace zonda::model::cuda
