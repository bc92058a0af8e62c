// Maps between channels, permutations of rows, depthwise convolution of tokens.
#include "model/ops/cuda/kernels.hpp"
#include "model/ops/cuda/numbers.hpp"

namespace zonda::model::cuda {

namespace {

constexpr int kThreads = 256;

/// Block (points, channel of y, sample).
__global__ void map_points(ChannelMap map, const float* x, float* y, bool accumulate) {
  const std::int64_t i = std::int64_t{blockIdx.x} * kThreads + threadIdx.x;
  if (i >= map.points) return;
  const std::int32_t begin = map.first[blockIdx.y], end = map.first[blockIdx.y + 1];
  if (begin == end && accumulate) return;
  float& to = y[(blockIdx.z * map.to_channels + blockIdx.y) * map.points + i];
  float sum = accumulate ? to : 0.0f;
  for (std::int32_t t = begin; t < end; ++t)
    sum += map.factor[t] * x[(blockIdx.z * map.from_channels + map.from[t]) * map.points + i];
  to = sum;
}

/// Block (points, range, sample).
__global__ void bound_points(ChannelRanges ranges, float* x) {
  const std::int64_t i = std::int64_t{blockIdx.x} * kThreads + threadIdx.x;
  if (i >= ranges.points) return;
  const float lower = ranges.lower[blockIdx.y], upper = ranges.upper[blockIdx.y];
  float& value = x[(blockIdx.z * ranges.channels + ranges.channel[blockIdx.y]) * ranges.points + i];
  value = value < lower ? lower : value > upper ? upper : value;
}

__global__ void stop_at_bounds(ChannelRanges ranges, const float* bounded, float* gradient) {
  const std::int64_t i = std::int64_t{blockIdx.x} * kThreads + threadIdx.x;
  if (i >= ranges.points) return;
  const std::int64_t at = (blockIdx.z * ranges.channels + ranges.channel[blockIdx.y]) * ranges.points + i;
  if (bounded[at] <= ranges.lower[blockIdx.y] || bounded[at] >= ranges.upper[blockIdx.y]) gradient[at] = 0.0f;
}

template <class Chunk>
__global__ void permute_chunks(const Chunk* x, const std::int32_t* index, Chunk* y, std::int64_t tokens,
                               std::int64_t chunks, std::int64_t n) {
  const std::int64_t at = std::int64_t{blockIdx.x} * kThreads + threadIdx.x;
  if (at >= n) return;
  const std::int64_t row = at / chunks;
  y[at] = x[(row / tokens * tokens + index[row % tokens]) * chunks + at % chunks];
}

/// Calls f(tap, row of the neighbour among all samples' tokens) for the taps that have a neighbour.
template <class F>
__device__ __forceinline__ void for_taps(const RasterShape& s, std::int64_t token, F&& f) {
  const std::int64_t tokens = s.rows * s.columns, sample = token / tokens, i = token % tokens / s.columns,
                     j = token % s.columns;
#pragma unroll
  for (int tap = 0; tap < 9; ++tap) {
    const std::int64_t row = i + tap / 3 - 1;
    std::int64_t column = j + tap % 3 - 1;
    if (s.periodic) column = (column + s.columns) % s.columns;
    if (row < 0 || row >= s.rows || column < 0 || column >= s.columns) continue;
    f(tap, sample * tokens + row * s.columns + column);
  }
}

/// One thread a token and pack of columns. The adjoint is the same sum with the taps turned by half a turn.
template <int N, bool adjoint>
__global__ void depthwise_packs(RasterShape s, const float* x, const float* weight, const float* bias, float* y,
                                std::int64_t n) {
  const std::int64_t at = std::int64_t{blockIdx.x} * kThreads + threadIdx.x;
  if (at >= n) return;
  const std::int64_t row_packs = s.width / N, token = at / row_packs, d = at % row_packs * N;
  Pack<N> sum = {};
  if (bias) sum = load<N>(bias + d);
  for_taps(s, token, [&](int tap, std::int64_t neighbour) {
    const Pack<N> v = load<N>(x + neighbour * s.width + d),
                  w = load<N>(weight + (adjoint ? 8 - tap : tap) * s.width + d);
#pragma unroll
    for (int k = 0; k < N; ++k) sum.at[k] += w.at[k] * v.at[k];
  });
  store(y + token * s.width + d, sum);
}

/// Block (columns, piece of tokens); one thread a column.
__global__ void depthwise_weight_piece(RasterShape s, std::int64_t tokens, std::int64_t piece, const float* x,
                                       const float* dy, float* partial) {
  const std::int64_t d = std::int64_t{blockIdx.x} * blockDim.x + threadIdx.x;
  if (d >= s.width) return;
  const std::int64_t begin = static_cast<std::int64_t>(blockIdx.y) * piece, end = min(tokens, begin + piece);
  float sum[10] = {};
  for (std::int64_t token = begin; token < end; ++token) {
    const float g = dy[token * s.width + d];
    for_taps(s, token, [&](int tap, std::int64_t neighbour) { sum[tap] += g * x[neighbour * s.width + d]; });
    sum[9] += g;
  }
#pragma unroll
  for (int k = 0; k < 10; ++k) partial[(static_cast<std::int64_t>(blockIdx.y) * 10 + k) * s.width + d] = sum[k];
}

template <bool adjoint>
void depthwise_of(Stream stream, const RasterShape& s, const float* x, const float* weight, const float* bias,
                  float* y) {
  const std::int64_t numbers = s.batch * s.rows * s.columns * s.width;
  if (packs<4>(x, s.width) && packs<4>(weight, s.width) && packs<4>(bias, s.width) && packs<4>(y, s.width))
    launch(depthwise_packs<4, adjoint>, dim3(blocks_for(numbers / 4, kThreads)), dim3(kThreads), 0, stream, s, x,
           weight, bias, y, numbers / 4);
  else
    launch(depthwise_packs<1, adjoint>, dim3(blocks_for(numbers, kThreads)), dim3(kThreads), 0, stream, s, x, weight,
           bias, y, numbers);
}

template <class Chunk>
void permute_as(Stream stream, const void* x, const std::int32_t* index, void* y, std::int64_t rows,
                std::int64_t tokens, std::int64_t bytes) {
  const std::int64_t chunks = bytes / std::int64_t{sizeof(Chunk)}, n = rows * chunks;
  launch(permute_chunks<Chunk>, dim3(blocks_for(n, kThreads)), dim3(kThreads), 0, stream, static_cast<const Chunk*>(x),
         index, static_cast<Chunk*>(y), tokens, chunks, n);
}

dim3 blocks_of(const ChannelRanges& ranges) {
  return dim3(blocks_for(ranges.points, kThreads), static_cast<unsigned>(ranges.count),
              static_cast<unsigned>(ranges.batch));
}

}  // namespace

void bound_channels(Stream stream, const ChannelRanges& ranges, float* x) {
  launch(bound_points, blocks_of(ranges), dim3(kThreads), 0, stream, ranges, x);
}

void bound_channels_backward(Stream stream, const ChannelRanges& ranges, const float* bounded, float* gradient) {
  launch(stop_at_bounds, blocks_of(ranges), dim3(kThreads), 0, stream, ranges, bounded, gradient);
}

void map_channels(Stream stream, const ChannelMap& map, const float* x, float* y, bool accumulate) {
  launch(
      map_points,
      dim3(blocks_for(map.points, kThreads), static_cast<unsigned>(map.to_channels), static_cast<unsigned>(map.batch)),
      dim3(kThreads), 0, stream, map, x, y, accumulate);
}

void permute_rows(Stream stream, const void* x, const std::int32_t* index, void* y, std::int64_t rows,
                  std::int64_t tokens, std::int64_t bytes) {
  using Sixteen = Stored<float, 4>;
  const auto* from = static_cast<const unsigned char*>(x);
  const auto* to = static_cast<const unsigned char*>(y);
  if (packs<16>(from, bytes) && packs<16>(to, bytes))
    permute_as<Sixteen>(stream, x, index, y, rows, tokens, bytes);
  else
    permute_as<std::uint16_t>(stream, x, index, y, rows, tokens, bytes);
}

void depthwise(Stream stream, const RasterShape& s, const float* x, const float* weight, const float* bias, float* y) {
  depthwise_of<false>(stream, s, x, weight, bias, y);
}

void depthwise_backward_input(Stream stream, const RasterShape& s, const float* weight, const float* dy, float* dx) {
  depthwise_of<true>(stream, s, dy, weight, nullptr, dx);
}

void depthwise_backward_weight(Stream stream, const RasterShape& s, const float* x, const float* dy,
                               float* weight_gradient, float* bias_gradient, float* partial) {
  const std::int64_t tokens = s.batch * s.rows * s.columns, pieces = pieces_of(tokens);
  launch(depthwise_weight_piece, dim3(blocks_for(s.width, 128), static_cast<unsigned>(pieces)), dim3(128), 0, stream, s,
         tokens, rows_of_piece(tokens), x, dy, partial);
  sum_pieces(stream, partial, 1, pieces, 10 * s.width, 9 * s.width, weight_gradient, 0, true);
  if (bias_gradient)
    sum_pieces(stream, partial + 9 * s.width, 1, pieces, 10 * s.width, s.width, bias_gradient, 0, true);
}

}  // namespace zonda::model::cuda
