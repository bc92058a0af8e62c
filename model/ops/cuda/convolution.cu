// 3x3 convolution of images: rows beyond the edge repeat the edge row, columns wrap around or repeat. A block computes
// sixteen channels of a tile of pixels, walking over the other side's channels.
#include "model/ops/cuda/kernels.hpp"
#include "model/ops/cuda/reductions.hpp"

namespace zonda::model::cuda {

namespace {

constexpr int kColumns = 32, kThreadRows = 4, kRowsOfThread = 2, kTileRows = kThreadRows * kRowsOfThread;
constexpr int kChannels = 16;
constexpr int kThreads = 256, kOutputs = 4;  // of the weight gradient

__device__ __forceinline__ std::int64_t clamped(std::int64_t i, std::int64_t n) {
  return i < 0 ? 0 : i < n ? i : n - 1;
}

/// The column that j means: -1 where the adjoint has none.
template <bool adjoint>
__device__ __forceinline__ std::int64_t column_of(const ImageShape& s, std::int64_t j) {
  if (s.periodic) return (j + s.columns) % s.columns;
  if (adjoint && (j < 0 || j >= s.columns)) return -1;
  return clamped(j, s.columns);
}

/// Block (tile, group of channels of `to`, sample). Forward: from x to y. Adjoint: from dy to dx, a pixel beyond the
/// edge counts as zero and the edge's own pixel takes the taps that reached beyond.
template <bool adjoint>
__global__ void convolve(ImageShape s, const float* from, const float* weight, const float* bias, float* to) {
  __shared__ float tile[kTileRows + 2][kColumns + 2];
  __shared__ float taps[9][kChannels];
  const int froms = static_cast<int>(adjoint ? s.out : s.in), tos = static_cast<int>(adjoint ? s.in : s.out);
  const std::int64_t tiles_across = (s.columns + kColumns - 1) / kColumns;
  const std::int64_t row0 = blockIdx.x / tiles_across * kTileRows, column0 = blockIdx.x % tiles_across * kColumns;
  const int first = static_cast<int>(blockIdx.y) * kChannels;
  const int x = static_cast<int>(threadIdx.x), y = static_cast<int>(threadIdx.y) * kRowsOfThread,
            thread = static_cast<int>(threadIdx.y) * kColumns + x;
  const std::int64_t column = column0 + x;
  float sum[kRowsOfThread][kChannels] = {};
  for (int c = 0; c < froms; ++c) {
    __syncthreads();
    const float* plane = from + (blockIdx.z * static_cast<std::int64_t>(froms) + c) * s.rows * s.columns;
    for (int e = thread; e < (kTileRows + 2) * (kColumns + 2); e += kColumns * kThreadRows) {
      const std::int64_t i = row0 + e / (kColumns + 2) - 1, j = column_of<adjoint>(s, column0 + e % (kColumns + 2) - 1);
      const bool there = !adjoint || (i >= 0 && i < s.rows && j >= 0);
      // Tiles at the rim reach further beyond the image than one pixel: nothing there is used.
      const bool used = column0 + e % (kColumns + 2) - 1 <= s.columns && i <= s.rows;
      tile[e / (kColumns + 2)][e % (kColumns + 2)] =
          there && used ? plane[clamped(i, s.rows) * s.columns + (j < 0 ? 0 : j)] : 0.0f;
    }
    for (int e = thread; e < 9 * kChannels; e += kColumns * kThreadRows) {
      const int channel = first + e % kChannels, tap = e / kChannels;
      taps[tap][e % kChannels] = channel >= tos ? 0.0f
                                 : adjoint      ? weight[(static_cast<std::int64_t>(c) * s.in + channel) * 9 + tap]
                                                : weight[(static_cast<std::int64_t>(channel) * s.in + c) * 9 + tap];
    }
    __syncthreads();
#pragma unroll
    for (int tap = 0; tap < 9; ++tap) {
      const int u = tap / 3 - 1, v = tap % 3 - 1;
#pragma unroll
      for (int r = 0; r < kRowsOfThread; ++r) {
        const int i = y + r + 1, j = x + 1;
        float value;
        if (adjoint) {
          const std::int64_t row = row0 + y + r;
          value = tile[i - u][j - v];
          const bool beyond_row = (u == -1 && row == 0) || (u == 1 && row == s.rows - 1),
                     beyond_column = !s.periodic && ((v == -1 && column == 0) || (v == 1 && column == s.columns - 1));
          if (beyond_row) value += tile[i][j - v];
          if (beyond_column) value += tile[i - u][j];
          if (beyond_row && beyond_column) value += tile[i][j];
        } else {
          value = tile[i + u][j + v];
        }
#pragma unroll
        for (int k = 0; k < kChannels; ++k) sum[r][k] += taps[tap][k] * value;
      }
    }
  }
#pragma unroll
  for (int r = 0; r < kRowsOfThread; ++r) {
    const std::int64_t row = row0 + y + r;
    if (row >= s.rows || column >= s.columns) continue;
#pragma unroll
    for (int k = 0; k < kChannels; ++k) {
      if (first + k >= tos) break;
      to[((blockIdx.z * static_cast<std::int64_t>(tos) + first + k) * s.rows + row) * s.columns + column] =
          sum[r][k] + (bias ? bias[first + k] : 0.0f);
    }
  }
}

/// Block (piece of rows, input channel, group of output channels): the nine taps' gradients of kOutputs channels, and
/// in the blocks of input channel 0 the bias'.
__global__ void weight_piece(ImageShape s, std::int64_t piece, const float* x, const float* dy, float* partial) {
  __shared__ float room[kThreads / kWarp];
  const std::int64_t pixels = s.rows * s.columns, rows = s.batch * s.rows;
  const std::int64_t c = blockIdx.y, first = static_cast<std::int64_t>(blockIdx.z) * kOutputs;
  const std::int64_t begin = static_cast<std::int64_t>(blockIdx.x) * piece, end = min(rows, begin + piece);
  float sum[kOutputs][9] = {}, bias_sum[kOutputs] = {};
  for (std::int64_t at = begin * s.columns + threadIdx.x; at < end * s.columns; at += kThreads) {
    const std::int64_t b = at / pixels, i = at / s.columns % s.rows, j = at % s.columns;
    const float* plane = x + (b * s.in + c) * pixels;
    float g[kOutputs];
#pragma unroll
    for (int k = 0; k < kOutputs; ++k) {
      g[k] = first + k < s.out ? dy[(b * s.out + first + k) * pixels + i * s.columns + j] : 0.0f;
      bias_sum[k] += g[k];
    }
#pragma unroll
    for (int tap = 0; tap < 9; ++tap) {
      const float value = plane[clamped(i + tap / 3 - 1, s.rows) * s.columns + column_of<false>(s, j + tap % 3 - 1)];
#pragma unroll
      for (int k = 0; k < kOutputs; ++k) sum[k][tap] += g[k] * value;
    }
  }
  float* mine = partial + static_cast<std::int64_t>(blockIdx.x) * (s.out * s.in * 9 + s.out);
#pragma unroll
  for (int k = 0; k < kOutputs; ++k) {
    if (first + k >= s.out) break;
#pragma unroll
    for (int tap = 0; tap < 9; ++tap) {
      __syncthreads();
      const float total = block_sum(sum[k][tap], room);
      if (threadIdx.x == 0) mine[((first + k) * s.in + c) * 9 + tap] = total;
    }
    __syncthreads();
    const float total = block_sum(bias_sum[k], room);
    if (c == 0 && threadIdx.x == 0) mine[s.out * s.in * 9 + first + k] = total;
  }
}

template <bool adjoint>
void convolve_with(Stream stream, const ImageShape& s, const float* from, const float* weight, const float* bias,
                   float* to) {
  const std::int64_t tiles = std::int64_t{blocks_for(s.rows, kTileRows)} * blocks_for(s.columns, kColumns);
  launch(
      convolve<adjoint>,
      dim3(static_cast<unsigned>(tiles), blocks_for(adjoint ? s.in : s.out, kChannels), static_cast<unsigned>(s.batch)),
      dim3(kColumns, kThreadRows), 0, stream, s, from, weight, bias, to);
}

std::int64_t rows_of_weight_piece(const ImageShape& s) {
  constexpr std::int64_t most = 32;
  return (s.batch * s.rows + most - 1) / most;
}

}  // namespace

void convolution(Stream stream, const ImageShape& s, const float* x, const float* weight, const float* bias, float* y) {
  convolve_with<false>(stream, s, x, weight, bias, y);
}

void convolution_backward_input(Stream stream, const ImageShape& s, const float* weight, const float* dy, float* dx) {
  convolve_with<true>(stream, s, dy, weight, nullptr, dx);
}

std::int64_t convolution_pieces(const ImageShape& s) {
  return blocks_for(s.batch * s.rows, rows_of_weight_piece(s));
}

void convolution_backward_weight(Stream stream, const ImageShape& s, const float* x, const float* dy,
                                 float* weight_gradient, float* bias_gradient, float* partial) {
  const std::int64_t pieces = convolution_pieces(s), weights = s.out * s.in * 9;
  launch(weight_piece, dim3(static_cast<unsigned>(pieces), static_cast<unsigned>(s.in), blocks_for(s.out, kOutputs)),
         dim3(kThreads), 0, stream, s, rows_of_weight_piece(s), x, dy, partial);
  sum_pieces(stream, partial, 1, pieces, weights + s.out, weights, weight_gradient, 0, true);
  if (bias_gradient) sum_pieces(stream, partial + weights, 1, pieces, weights + s.out, s.out, bias_gradient, 0, true);
}

}  // namespace zonda::model::cuda
