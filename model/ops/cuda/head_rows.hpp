#pragma once
// Rows of queries and keys as attention uses them: RMS norm over the head, gain, rotary phases. A warp a row; lane l
// keeps the pairs (i, i + half) of i = l, l + 32, ... that a rotation mixes.
#include "model/ops/cuda/kernels.hpp"
#include "model/ops/cuda/numbers.hpp"
#include "model/ops/cuda/reductions.hpp"

namespace zonda::model::cuda {

inline constexpr int kLargestHead = 192;
inline constexpr int kPairs = kLargestHead / 2 / kWarp;
inline constexpr float kHeadEpsilon = 1e-6f;  // AttentionShape::epsilon

struct Pairs {
  float low[kPairs] = {}, high[kPairs] = {};
};

/// Where a block stands: one head of one sequence of one sample, and a chunk of its rows. The grid is
/// (sequence x head, chunk, sample).
template <class H>
struct Place {
  const Attention<H>& a;
  int first, length, head;
  std::int64_t sample;
  __device__ __forceinline__ explicit Place(const Attention<H>& attention)
      : a(attention), head(static_cast<int>(blockIdx.x) % a.heads), sample(blockIdx.z) {
    const int sequence = static_cast<int>(blockIdx.x) / a.heads;
    first = a.offsets[sequence];
    length = a.offsets[sequence + 1] - first;
  }
  __device__ __forceinline__ std::int64_t width() const { return std::int64_t{a.heads} * a.head_size; }
  /// Row of the i-th token of the sequence.
  __device__ __forceinline__ std::int64_t row(int i) const { return sample * a.tokens + a.order[first + i]; }
  /// Offset in [N, 3 D] of part 0 query, 1 key, 2 value.
  __device__ __forceinline__ std::int64_t part(int i, int which) const {
    return (row(i) * 3 + which) * width() + std::int64_t{head} * a.head_size;
  }
  __device__ __forceinline__ std::int64_t out(int i) const {
    return row(i) * width() + std::int64_t{head} * a.head_size;
  }
  __device__ __forceinline__ std::int64_t statistic(int i) const { return row(i) * a.heads + head; }
  /// Offset in [samples, table entries, heads, head size].
  __device__ __forceinline__ std::int64_t gathered(int i) const {
    return ((sample * a.tokens + first + i) * a.heads + head) * a.head_size;
  }
  __device__ __forceinline__ std::int64_t phase(int i) const { return std::int64_t{first + i} * (a.head_size / 2); }
  /// The block's own row of gain_partial.
  __device__ __forceinline__ std::int64_t piece() const {
    return (std::int64_t{blockIdx.z} * gridDim.y + blockIdx.y) * gridDim.x + blockIdx.x;
  }
  __device__ __forceinline__ std::int64_t pieces() const { return std::int64_t{gridDim.x} * gridDim.y * gridDim.z; }
};

__device__ __forceinline__ int lane_of_warp() {
  return static_cast<int>(threadIdx.x) % kWarp;
}

template <class T>
__device__ __forceinline__ Pairs read_pairs(const T* x, int half) {
  Pairs p;
#pragma unroll
  for (int k = 0; k < kPairs; ++k) {
    const int i = lane_of_warp() + k * kWarp;
    if (i >= half) break;
    p.low[k] = widen(x[i]);
    p.high[k] = widen(x[i + half]);
  }
  return p;
}

template <class T>
__device__ __forceinline__ void write_pairs(T* x, int half, const Pairs& p) {
#pragma unroll
  for (int k = 0; k < kPairs; ++k) {
    const int i = lane_of_warp() + k * kWarp;
    if (i >= half) break;
    x[i] = narrow<T>(p.low[k]);
    x[i + half] = narrow<T>(p.high[k]);
  }
}

__device__ __forceinline__ float dot(const Pairs& a, const Pairs& b) {
  float sum = 0;
#pragma unroll
  for (int k = 0; k < kPairs; ++k) sum += a.low[k] * b.low[k] + a.high[k] * b.high[k];
  return warp_sum(sum);
}

__device__ __forceinline__ float inverse_norm(const Pairs& x, int head_size) {
  return 1 / sqrtf(dot(x, x) / static_cast<float>(head_size) + kHeadEpsilon);
}

/// Rotates by the phases, or back where sign is -1.
__device__ __forceinline__ void rotate(Pairs& x, const float* cosine, const float* sine, int half, float sign) {
#pragma unroll
  for (int k = 0; k < kPairs; ++k) {
    const int i = lane_of_warp() + k * kWarp;
    if (i >= half) break;
    const float c = cosine[i], s = sign * sine[i], a = x.low[k], b = x.high[k];
    x.low[k] = a * c - b * s;
    x.high[k] = a * s + b * c;
  }
}

/// A query (part 0) or key (part 1), ready for products, times `factor`.
template <class H>
__device__ __forceinline__ Pairs turned(const Place<H>& place, int i, int part, float factor = 1) {
  const Attention<H>& a = place.a;
  const int half = a.head_size / 2;
  Pairs x = read_pairs(a.qkv + place.part(i, part), half);
  const Pairs gain = read_pairs(part == 0 ? a.q_gain : a.k_gain, half);
  const float inverse = inverse_norm(x, a.head_size) * factor;
#pragma unroll
  for (int k = 0; k < kPairs; ++k) {
    x.low[k] *= inverse * gain.low[k];
    x.high[k] *= inverse * gain.high[k];
  }
  rotate(x, a.cosine + place.phase(i), a.sine + place.phase(i), half, 1);
  return x;
}

/// The derivative of turned() along dqkv_in.
__device__ __forceinline__ Pairs turned_tangent(const Place<float>& place, int i, int part) {
  const Attention<float>& a = place.a;
  const int half = a.head_size / 2;
  const Pairs x = read_pairs(a.qkv + place.part(i, part), half),
              gain = read_pairs(part == 0 ? a.q_gain : a.k_gain, half);
  Pairs d = read_pairs(a.dqkv_in + place.part(i, part), half);
  const float inverse = inverse_norm(x, a.head_size),
              mean = dot(x, d) * inverse * inverse / static_cast<float>(a.head_size);
#pragma unroll
  for (int k = 0; k < kPairs; ++k) {
    d.low[k] = inverse * (d.low[k] - x.low[k] * mean) * gain.low[k];
    d.high[k] = inverse * (d.high[k] - x.high[k] * mean) * gain.high[k];
  }
  rotate(d, a.cosine + place.phase(i), a.sine + place.phase(i), half, 1);
  return d;
}

/// The adjoint of turned(): writes dqkv, adds the row's part of the gain's gradient to `gain_sum`.
template <class H>
__device__ __forceinline__ void turned_backward(const Place<H>& place, int i, int part, Pairs g, Pairs& gain_sum) {
  const Attention<H>& a = place.a;
  const int half = a.head_size / 2;
  const Pairs x = read_pairs(a.qkv + place.part(i, part), half),
              gain = read_pairs(part == 0 ? a.q_gain : a.k_gain, half);
  const float inverse = inverse_norm(x, a.head_size);
  rotate(g, a.cosine + place.phase(i), a.sine + place.phase(i), half, -1);
  Pairs u = x;
#pragma unroll
  for (int k = 0; k < kPairs; ++k) {
    u.low[k] *= inverse;
    u.high[k] *= inverse;
    gain_sum.low[k] += g.low[k] * u.low[k];
    gain_sum.high[k] += g.high[k] * u.high[k];
    g.low[k] *= gain.low[k];
    g.high[k] *= gain.high[k];
  }
  const float mean = dot(g, u) / static_cast<float>(a.head_size);
#pragma unroll
  for (int k = 0; k < kPairs; ++k) {
    g.low[k] = inverse * (g.low[k] - u.low[k] * mean);
    g.high[k] = inverse * (g.high[k] - u.high[k] * mean);
  }
  write_pairs(a.dqkv + place.part(i, part), half, g);
}

/// Adds the warps' sums in order into the block's row of gain_partial; `room` holds head_size numbers a warp.
template <class H>
__device__ __forceinline__ void write_gain_sum(const Place<H>& place, int part, const Pairs& sum, float* room) {
  const Attention<H>& a = place.a;
  const int warp = static_cast<int>(threadIdx.x) / kWarp, warps = static_cast<int>(blockDim.x) / kWarp;
  __syncthreads();
  write_pairs(room + warp * a.head_size, a.head_size / 2, sum);
  __syncthreads();
  float* to = a.gain_partial + (part * place.pieces() + place.piece()) * a.head_size;
  for (int d = static_cast<int>(threadIdx.x); d < a.head_size; d += static_cast<int>(blockDim.x)) {
    float total = 0;
    for (int w = 0; w < warps; ++w) total += room[w * a.head_size + d];
    to[d] = total;
  }
}

}  // namespace zonda::model::cuda
