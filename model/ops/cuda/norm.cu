// Norm with modulation and gated sums. Forward: a warp a row. Backward: a block walks over a piece of rows, each thread
// keeping its columns, so that x and dy are read once for both dx and the modulation's gradient.
#include "model/ops/cuda/kernels.hpp"
#include "model/ops/cuda/numbers.hpp"
#include "model/ops/cuda/reductions.hpp"

namespace zonda::model::cuda {

namespace {

constexpr float kEpsilon = 1e-6f;  // Backend::norm_epsilon
constexpr int kRowsOfBlock = 4;
constexpr int kPacksOfThread = 4, kMostThreads = 1024;

template <class H, int N>
__global__ void norm_rows(bool layer, RowShape s, const float* x, const float* scale, const float* shift, H* y,
                          float* statistics) {
  const int lane = static_cast<int>(threadIdx.x) % kWarp;
  const std::int64_t i = std::int64_t{blockIdx.x} * kRowsOfBlock + threadIdx.x / kWarp;
  if (i >= s.rows) return;
  const float* row = x + i * s.width;
  const std::int64_t modulation = i / s.rows_per_group * s.stride;
  float mean = 0, square = 0;
  if (layer) {
    for (std::int64_t d = lane * N; d < s.width; d += kWarp * N) {
      const Pack<N> v = load<N>(row + d);
#pragma unroll
      for (int k = 0; k < N; ++k) mean += v.at[k];
    }
    mean = warp_sum(mean) / static_cast<float>(s.width);
  }
  for (std::int64_t d = lane * N; d < s.width; d += kWarp * N) {
    const Pack<N> v = load<N>(row + d);
#pragma unroll
    for (int k = 0; k < N; ++k) square += (v.at[k] - mean) * (v.at[k] - mean);
  }
  const float inverse = 1 / sqrtf(warp_sum(square) / static_cast<float>(s.width) + kEpsilon);
  for (std::int64_t d = lane * N; d < s.width; d += kWarp * N) {
    Pack<N> v = load<N>(row + d);
    const Pack<N> a = load<N>(scale + modulation + d), b = load<N>(shift + modulation + d);
#pragma unroll
    for (int k = 0; k < N; ++k) v.at[k] = (v.at[k] - mean) * inverse * (1 + a.at[k]) + b.at[k];
    store(y + i * s.width + d, v);
  }
  if (lane == 0) {
    statistics[2 * i] = mean;
    statistics[2 * i + 1] = inverse;
  }
}

template <int N>
__global__ void norm_tangent_rows(bool layer, RowShape s, const float* x, const float* scale, const float* statistics,
                                  const float* dx, float* dy) {
  const int lane = static_cast<int>(threadIdx.x) % kWarp;
  const std::int64_t i = std::int64_t{blockIdx.x} * kRowsOfBlock + threadIdx.x / kWarp;
  if (i >= s.rows) return;
  const float mean = statistics[2 * i], inverse = statistics[2 * i + 1];
  float dot = 0, total = 0;
  for (std::int64_t d = lane * N; d < s.width; d += kWarp * N) {
    const Pack<N> v = load<N>(x + i * s.width + d), t = load<N>(dx + i * s.width + d);
#pragma unroll
    for (int k = 0; k < N; ++k) {
      dot += (v.at[k] - mean) * inverse * t.at[k];
      total += t.at[k];
    }
  }
  dot = warp_sum(dot) / static_cast<float>(s.width);
  total = layer ? warp_sum(total) / static_cast<float>(s.width) : 0;
  for (std::int64_t d = lane * N; d < s.width; d += kWarp * N) {
    const Pack<N> v = load<N>(x + i * s.width + d), a = load<N>(scale + i / s.rows_per_group * s.stride + d);
    Pack<N> t = load<N>(dx + i * s.width + d);
#pragma unroll
    for (int k = 0; k < N; ++k)
      t.at[k] = inverse * (t.at[k] - total - (v.at[k] - mean) * inverse * dot) * (1 + a.at[k]);
    store(dy + i * s.width + d, t);
  }
}

/// Block (piece, group); thread t keeps the packs t, t + threads, ... of a row.
template <class H, int N, int packs>
__global__ void __launch_bounds__(kMostThreads)
    norm_backward_piece(bool layer, RowShape s, std::int64_t piece, const float* x, const float* scale,
                        const float* statistics, const H* dy, float* dx, bool accumulate, float* partial) {
  __shared__ float room[2][2][kWarp];
  const std::int64_t first = blockIdx.y * s.rows_per_group,
                     begin = first + static_cast<std::int64_t>(blockIdx.x) * piece,
                     end = min(first + s.rows_per_group, begin + piece);
  float scale_sum[packs][N] = {}, shift_sum[packs][N] = {}, gain[packs][N] = {};
#pragma unroll
  for (int p = 0; p < packs; ++p) {
    const std::int64_t d = (std::int64_t{p} * blockDim.x + threadIdx.x) * N;
    if (d >= s.width) continue;
    const Pack<N> a = load<N>(scale + blockIdx.y * s.stride + d);
#pragma unroll
    for (int k = 0; k < N; ++k) gain[p][k] = 1 + a.at[k];
  }
  for (std::int64_t i = begin; i < end; ++i) {
    const float mean = statistics[2 * i], inverse = statistics[2 * i + 1];
    float u[packs][N] = {}, du[packs][N] = {}, dot = 0, total = 0;
#pragma unroll
    for (int p = 0; p < packs; ++p) {
      const std::int64_t d = (std::int64_t{p} * blockDim.x + threadIdx.x) * N;
      if (d >= s.width) continue;
      const Pack<N> v = load<N>(x + i * s.width + d), g = load<N>(dy + i * s.width + d);
#pragma unroll
      for (int k = 0; k < N; ++k) {
        u[p][k] = (v.at[k] - mean) * inverse;
        du[p][k] = g.at[k] * gain[p][k];
        dot += u[p][k] * du[p][k];
        total += du[p][k];
        scale_sum[p][k] += g.at[k] * u[p][k];
        shift_sum[p][k] += g.at[k];
      }
    }
    // Two rooms in turn: one barrier a row orders both.
    float(&mine)[2][kWarp] = room[i % 2];
    dot = warp_sum(dot);
    total = warp_sum(total);
    if (threadIdx.x % kWarp == 0) {
      mine[0][threadIdx.x / kWarp] = dot;
      mine[1][threadIdx.x / kWarp] = total;
    }
    __syncthreads();
    dot = total = 0;
    for (unsigned w = 0; w < blockDim.x / kWarp; ++w) {
      dot += mine[0][w];
      total += mine[1][w];
    }
    dot /= static_cast<float>(s.width);
    total = layer ? total / static_cast<float>(s.width) : 0;
#pragma unroll
    for (int p = 0; p < packs; ++p) {
      const std::int64_t d = (std::int64_t{p} * blockDim.x + threadIdx.x) * N;
      if (d >= s.width) continue;
      Pack<N> out = {};
      if (accumulate) out = load<N>(dx + i * s.width + d);
#pragma unroll
      for (int k = 0; k < N; ++k)
        out.at[k] = (accumulate ? out.at[k] : 0.0f) + inverse * (du[p][k] - u[p][k] * dot - total);
      store(dx + i * s.width + d, out);
    }
  }
  if (!partial) return;
  float* mine = partial + (std::int64_t{blockIdx.y} * gridDim.x + blockIdx.x) * 2 * s.width;
#pragma unroll
  for (int p = 0; p < packs; ++p) {
    const std::int64_t d = (std::int64_t{p} * blockDim.x + threadIdx.x) * N;
    if (d >= s.width) continue;
#pragma unroll
    for (int k = 0; k < N; ++k) {
      mine[d + k] = scale_sum[p][k];
      mine[s.width + d + k] = shift_sum[p][k];
    }
  }
}

template <class H, int N>
__global__ void gated_add_packs(RowShape s, const float* x, const H* branch, const float* gate, float* y,
                                std::int64_t row_packs) {
  const std::int64_t i = std::int64_t{blockIdx.x} * blockDim.x + threadIdx.x;
  if (i >= s.rows * row_packs) return;
  const std::int64_t row = i / row_packs, d = i % row_packs * N;
  Pack<N> v = load<N>(branch + row * s.width + d);
  const Pack<N> g = load<N>(gate + row / s.rows_per_group * s.stride + d);
#pragma unroll
  for (int k = 0; k < N; ++k) v.at[k] *= g.at[k];
  if (x) {
    const Pack<N> base = load<N>(x + row * s.width + d);
#pragma unroll
    for (int k = 0; k < N; ++k) v.at[k] += base.at[k];
  }
  store(y + row * s.width + d, v);
}

/// Block (columns, piece, group); a thread keeps its columns.
template <class H, int N>
__global__ void gated_backward_piece(RowShape s, std::int64_t piece, const H* branch, const float* gate,
                                     const float* dy, H* dbranch, float* partial) {
  const std::int64_t d = (std::int64_t{blockIdx.x} * blockDim.x + threadIdx.x) * N;
  if (d >= s.width) return;
  const std::int64_t first = blockIdx.z * s.rows_per_group,
                     begin = first + static_cast<std::int64_t>(blockIdx.y) * piece,
                     end = min(first + s.rows_per_group, begin + piece);
  const Pack<N> g = load<N>(gate + blockIdx.z * s.stride + d);
  float sum[N] = {};
#pragma unroll 2
  for (std::int64_t i = begin; i < end; ++i) {
    Pack<N> v = load<N>(dy + i * s.width + d);
    const Pack<N> b = load<N>(branch + i * s.width + d);
#pragma unroll
    for (int k = 0; k < N; ++k) {
      sum[k] += v.at[k] * b.at[k];
      v.at[k] *= g.at[k];
    }
    store(dbranch + i * s.width + d, v);
  }
  if (!partial) return;
  float* mine = partial + (std::int64_t{blockIdx.z} * gridDim.y + blockIdx.y) * s.width + d;
#pragma unroll
  for (int k = 0; k < N; ++k) mine[k] = sum[k];
}

template <int N>
struct Width {
  static constexpr int value = N;
};

/// Calls f with packs of 4 numbers where every row allows it, else of 1.
template <class F, class... T>
void by_pack(const RowShape& s, F&& f, const T*... rows) {
  if (s.stride % 4 == 0 && (packs<4>(rows, s.width) && ...))
    f(Width<4>{});
  else
    f(Width<1>{});
}

dim3 warps_of_rows() {
  return dim3(kRowsOfBlock * kWarp);
}

unsigned threads_for(std::int64_t packs) {
  return static_cast<unsigned>(min(std::int64_t{kMostThreads}, (packs + kWarp - 1) / kWarp * kWarp));
}

}  // namespace

template <class H>
void norm_modulate(Stream stream, bool layer, RowShape s, const float* x, const float* scale, const float* shift, H* y,
                   float* statistics) {
  by_pack(
      s,
      [&](auto width) {
        launch(norm_rows<H, decltype(width)::value>, dim3(blocks_for(s.rows, kRowsOfBlock)), warps_of_rows(), 0, stream,
               layer, s, x, scale, shift, y, statistics);
      },
      x, scale, shift, y);
}

void norm_modulate_tangent(Stream stream, bool layer, RowShape s, const float* x, const float* scale,
                           const float* statistics, const float* dx, float* dy) {
  by_pack(
      s,
      [&](auto width) {
        launch(norm_tangent_rows<decltype(width)::value>, dim3(blocks_for(s.rows, kRowsOfBlock)), warps_of_rows(), 0,
               stream, layer, s, x, scale, statistics, dx, dy);
      },
      x, scale, dx, dy);
}

template <class H>
void norm_modulate_backward(Stream stream, bool layer, RowShape s, const float* x, const float* scale,
                            const float* statistics, const H* dy, float* dx, bool accumulate, float* scale_gradient,
                            float* shift_gradient, std::int64_t gradient_stride, float* partial) {
  const std::int64_t groups = s.rows / s.rows_per_group, pieces = pieces_of(s.rows_per_group);
  float* sums = scale_gradient ? partial : nullptr;
  by_pack(
      s,
      [&](auto width) {
        constexpr int N = decltype(width)::value;
        const std::int64_t row_packs = s.width / N;
        const unsigned threads = threads_for(row_packs);
        const dim3 grid(static_cast<unsigned>(pieces), static_cast<unsigned>(groups));
        const std::int64_t piece = rows_of_piece(s.rows_per_group);
        if (row_packs <= threads)
          launch(norm_backward_piece<H, N, 1>, grid, dim3(threads), 0, stream, layer, s, piece, x, scale, statistics,
                 dy, dx, accumulate, sums);
        else if (row_packs <= std::int64_t{threads} * kPacksOfThread)
          launch(norm_backward_piece<H, N, kPacksOfThread>, grid, dim3(threads), 0, stream, layer, s, piece, x, scale,
                 statistics, dy, dx, accumulate, sums);
        else
          check(cudaErrorInvalidValue, "the backward pass of a norm over rows this wide");
      },
      x, scale, dy, dx);
  if (!sums) return;
  sum_pieces(stream, partial, groups, pieces, 2 * s.width, s.width, scale_gradient, gradient_stride, false);
  sum_pieces(stream, partial + s.width, groups, pieces, 2 * s.width, s.width, shift_gradient, gradient_stride, false);
}

template <class H>
void gated_add(Stream stream, RowShape s, const float* x, const H* branch, const float* gate, float* y) {
  by_pack(
      s,
      [&](auto width) {
        constexpr int N = decltype(width)::value;
        launch(gated_add_packs<H, N>, dim3(blocks_for(s.rows * s.width / N, 256)), dim3(256), 0, stream, s, x, branch,
               gate, y, s.width / N);
      },
      x, branch, gate, y);
}

template <class H>
void gated_add_backward(Stream stream, RowShape s, const H* branch, const float* gate, const float* dy, H* dbranch,
                        float* gate_gradient, std::int64_t gradient_stride, float* partial) {
  const std::int64_t groups = s.rows / s.rows_per_group, pieces = pieces_of(s.rows_per_group);
  by_pack(
      s,
      [&](auto width) {
        constexpr int N = decltype(width)::value;
        launch(gated_backward_piece<H, N>,
               dim3(blocks_for(s.width / N, 128), static_cast<unsigned>(pieces), static_cast<unsigned>(groups)),
               dim3(128), 0, stream, s, rows_of_piece(s.rows_per_group), branch, gate, dy, dbranch,
               gate_gradient ? partial : nullptr);
      },
      branch, gate, dy, dbranch);
  if (gate_gradient)
    sum_pieces(stream, partial, groups, pieces, s.width, s.width, gate_gradient, gradient_stride, false);
}

#define ZONDA_NORM(H)                                                                                                 \
  template void norm_modulate<H>(Stream, bool, RowShape, const float*, const float*, const float*, H*, float*);       \
  template void norm_modulate_backward<H>(Stream, bool, RowShape, const float*, const float*, const float*, const H*, \
                                          float*, bool, float*, float*, std::int64_t, float*);                        \
  template void gated_add<H>(Stream, RowShape, const float*, const H*, const float*, float*);                         \
  template void gated_add_backward<H>(Stream, RowShape, const H*, const float*, const float*, H*, float*,             \
                                      std::int64_t, float*);
ZONDA_NORM(float)
ZONDA_NORM(bf16)
#undef ZONDA_NORM

}  // namespace zonda::model::cuda
