// Attention in f32: a warp keeps four rows and walks over tiles of 32 others, a
// lane each. Backward runs once with queries as the warps' rows, once with keys, so that no sum needs an atomic.
#include "model/ops/cuda/head_rows.hpp"
#include "model/ops/cuda/shared_memory.hpp"

namespace zonda::model::cuda {

namespace {

constexpr int kWarps = 8, kRowsOfWarp = 4, kRows = kWarps * kRowsOfWarp;
constexpr int kColumns = kLargestHead / kWarp;  // of a lane
constexpr int kTile = kWarp;

/// Rows of the block and of a tile, in shared memory. Tile rows are padded by one number: lanes read columns.
struct Rooms {
  int size;
  float* base;
  int own_count;
  __device__ __forceinline__ float* own(int which, int r) const { return base + (which * kRows + r) * size; }
  __device__ __forceinline__ float* tile(int which, int r) const {
    return base + own_count * kRows * size + (which * kTile + r) * (size + 1);
  }
};
std::size_t room_bytes(int head_size, int own, int tiles) {
  return sizeof(float) * static_cast<std::size_t>(own * kRows * head_size + tiles * kTile * (head_size + 1));
}

__device__ __forceinline__ float dot_rows(const float* a, const float* b, int n) {
  float sum = 0;
#pragma unroll 4
  for (int d = 0; d < n; ++d) sum += a[d] * b[d];
  return sum;
}

__device__ __forceinline__ void copy_row(float* to, const float* from, int n) {
  for (int d = lane_of_warp(); d < n; d += kWarp) to[d] = from[d];
}
__device__ __forceinline__ void zero_row(float* to, int n) {
  for (int d = lane_of_warp(); d < n; d += kWarp) to[d] = 0;
}

/// sum[c] += sum over lanes j of weight_j * tile row j.
__device__ __forceinline__ void add_weighted(float (&sum)[kColumns], float weight, const Rooms& rooms, int which) {
  for (int j = 0; j < kTile; ++j) {
    const float w = __shfl_sync(kAllLanes, weight, j);
    const float* row = rooms.tile(which, j);
#pragma unroll
    for (int c = 0; c < kColumns; ++c)
      if (lane_of_warp() + c * kWarp < rooms.size) sum[c] += w * row[lane_of_warp() + c * kWarp];
  }
}

__global__ void forward_rows(Attention<float> a) {
  const Place<float> place(a);
  const int begin = static_cast<int>(blockIdx.y) * kRows, half = a.head_size / 2;
  if (begin >= place.length) return;
  const Rooms rooms{a.head_size, dynamic_shared<float>(), 1};
  const int warp = static_cast<int>(threadIdx.x) / kWarp, lane = lane_of_warp();
  const float factor = rsqrtf(static_cast<float>(a.head_size));
  float highest[kRowsOfWarp], total[kRowsOfWarp], sum[kRowsOfWarp][kColumns] = {};
  for (int r = 0; r < kRowsOfWarp; ++r) {
    const int i = begin + warp * kRowsOfWarp + r;
    highest[r] = -INFINITY;
    total[r] = 0;
    if (i < place.length) write_pairs(rooms.own(0, warp * kRowsOfWarp + r), half, turned(place, i, 0, factor));
  }
  for (int tile = 0; tile < place.length; tile += kTile) {
    __syncthreads();
    for (int t = warp; t < kTile; t += kWarps) {
      if (tile + t < place.length) {
        write_pairs(rooms.tile(0, t), half, turned(place, tile + t, 1));
        copy_row(rooms.tile(1, t), a.qkv + place.part(tile + t, 2), a.head_size);
      } else {
        zero_row(rooms.tile(0, t), a.head_size);
        zero_row(rooms.tile(1, t), a.head_size);
      }
    }
    __syncthreads();
#pragma unroll
    for (int r = 0; r < kRowsOfWarp; ++r) {
      if (begin + warp * kRowsOfWarp + r >= place.length) continue;
      float s = dot_rows(rooms.own(0, warp * kRowsOfWarp + r), rooms.tile(0, lane), a.head_size);
      if (tile + lane >= place.length) s = -INFINITY;
      const float top = fmaxf(highest[r], warp_max(s)), before = expf(highest[r] - top), p = expf(s - top);
      highest[r] = top;
      total[r] = total[r] * before + warp_sum(p);
#pragma unroll
      for (int c = 0; c < kColumns; ++c) sum[r][c] *= before;
      add_weighted(sum[r], p, rooms, 1);
    }
  }
#pragma unroll
  for (int r = 0; r < kRowsOfWarp; ++r) {
    const int i = begin + warp * kRowsOfWarp + r;
    if (i >= place.length) continue;
#pragma unroll
    for (int c = 0; c < kColumns; ++c)
      if (lane + c * kWarp < a.head_size) a.y[place.out(i) + lane + c * kWarp] = sum[r][c] / total[r];
    if (lane == 0) a.log_sum[place.statistic(i)] = highest[r] + logf(total[r]);
  }
}

template <class H>
__global__ void row_dots(Attention<H> a, const H* y, std::int64_t n) {
  const std::int64_t at = (std::int64_t{blockIdx.x} * blockDim.x + threadIdx.x) / kWarp;
  if (at >= n) return;
  const std::int64_t from = at * a.head_size;  // [N, heads] and [N, heads, head size] alike
  float sum = 0;
  for (int d = lane_of_warp(); d < a.head_size; d += kWarp) sum += widen(y[from + d]) * widen(a.dy[from + d]);
  sum = warp_sum(sum);
  if (lane_of_warp() == 0) a.row_dot[at] = sum;
}

/// `keys`: the warps' rows are keys and the tiles' queries; else the other way round.
template <bool keys>
__global__ void backward_rows(Attention<float> a) {
  const Place<float> place(a);
  const int begin = static_cast<int>(blockIdx.y) * kRows, half = a.head_size / 2;
  const Rooms rooms{a.head_size, dynamic_shared<float>(), 2};
  const int warp = static_cast<int>(threadIdx.x) / kWarp, lane = lane_of_warp();
  const float factor = rsqrtf(static_cast<float>(a.head_size));
  float sum[kRowsOfWarp][kColumns] = {}, value_sum[kRowsOfWarp][kColumns] = {};
  // Of each side: the query or key ready for products, and the output's gradient or the value.
  const auto fill_rows = [&](float* first, float* second, int i, bool key) {
    write_pairs(first, half, turned(place, i, key ? 1 : 0));
    if (key)
      copy_row(second, a.qkv + place.part(i, 2), a.head_size);
    else
      copy_row(second, a.dy + place.out(i), a.head_size);
  };
  for (int r = 0; r < kRowsOfWarp; ++r) {
    const int own = warp * kRowsOfWarp + r, i = begin + own;
    if (i < place.length) fill_rows(rooms.own(0, own), rooms.own(1, own), i, keys);
  }
  for (int tile = 0; begin < place.length && tile < place.length; tile += kTile) {
    __syncthreads();
    for (int t = warp; t < kTile; t += kWarps) {
      if (tile + t < place.length) {
        fill_rows(rooms.tile(0, t), rooms.tile(1, t), tile + t, !keys);
      } else {
        zero_row(rooms.tile(0, t), a.head_size);
        zero_row(rooms.tile(1, t), a.head_size);
      }
    }
    __syncthreads();
    const bool there = tile + lane < place.length;
#pragma unroll
    for (int r = 0; r < kRowsOfWarp; ++r) {
      const int own = warp * kRowsOfWarp + r, i = begin + own;
      if (i >= place.length) continue;
      const float s = factor * dot_rows(rooms.own(0, own), rooms.tile(0, lane), a.head_size),
                  dp = dot_rows(rooms.own(1, own), rooms.tile(1, lane), a.head_size);
      float p = 0, ds = 0;
      if (there) {
        const std::int64_t query = place.statistic(keys ? tile + lane : i);
        p = expf(s - a.log_sum[query]);
        ds = p * (dp - a.row_dot[query]) * factor;
      }
      add_weighted(sum[r], ds, rooms, 0);
      if (keys) add_weighted(value_sum[r], p, rooms, 1);
    }
  }
  Pairs gain_sum;
#pragma unroll
  for (int r = 0; r < kRowsOfWarp; ++r) {
    const int own = warp * kRowsOfWarp + r, i = begin + own;
    if (i >= place.length) continue;
    float* row = rooms.own(0, own);
    __syncwarp();
#pragma unroll
    for (int c = 0; c < kColumns; ++c) {
      const int d = lane + c * kWarp;
      if (d >= a.head_size) break;
      row[d] = sum[r][c];
      if (keys) a.dqkv[place.part(i, 2) + d] = value_sum[r][c];
    }
    __syncwarp();
    turned_backward(place, i, keys ? 1 : 0, read_pairs(row, half), gain_sum);
  }
  write_gain_sum(place, keys ? 1 : 0, gain_sum, rooms.tile(0, 0));
}

__global__ void tangent_rows(Attention<float> a) {
  const Place<float> place(a);
  const int begin = static_cast<int>(blockIdx.y) * kRows, half = a.head_size / 2;
  if (begin >= place.length) return;
  const Rooms rooms{a.head_size, dynamic_shared<float>(), 2};
  const int warp = static_cast<int>(threadIdx.x) / kWarp, lane = lane_of_warp();
  const float factor = rsqrtf(static_cast<float>(a.head_size));
  float sum[kRowsOfWarp][kColumns] = {}, value_sum[kRowsOfWarp][kColumns] = {}, mean[kRowsOfWarp] = {};
  for (int r = 0; r < kRowsOfWarp; ++r) {
    const int own = warp * kRowsOfWarp + r, i = begin + own;
    if (i >= place.length) continue;
    write_pairs(rooms.own(0, own), half, turned(place, i, 0));
    write_pairs(rooms.own(1, own), half, turned_tangent(place, i, 0));
  }
  for (int tile = 0; tile < place.length; tile += kTile) {
    __syncthreads();
    for (int t = warp; t < kTile; t += kWarps) {
      const int j = tile + t;
      if (j < place.length) {
        write_pairs(rooms.tile(0, t), half, turned(place, j, 1));
        write_pairs(rooms.tile(1, t), half, turned_tangent(place, j, 1));
        copy_row(rooms.tile(2, t), a.qkv + place.part(j, 2), a.head_size);
        copy_row(rooms.tile(3, t), a.dqkv_in + place.part(j, 2), a.head_size);
      } else {
        for (int which = 0; which < 4; ++which) zero_row(rooms.tile(which, t), a.head_size);
      }
    }
    __syncthreads();
    const bool there = tile + lane < place.length;
#pragma unroll
    for (int r = 0; r < kRowsOfWarp; ++r) {
      const int own = warp * kRowsOfWarp + r, i = begin + own;
      if (i >= place.length) continue;
      const float s = factor * dot_rows(rooms.own(0, own), rooms.tile(0, lane), a.head_size),
                  ds = factor * (dot_rows(rooms.own(1, own), rooms.tile(0, lane), a.head_size) +
                                 dot_rows(rooms.own(0, own), rooms.tile(1, lane), a.head_size));
      const float p = there ? expf(s - a.log_sum[place.statistic(i)]) : 0.0f;
      mean[r] += warp_sum(p * ds);
      add_weighted(sum[r], p * ds, rooms, 2);
      add_weighted(sum[r], p, rooms, 3);
      add_weighted(value_sum[r], p, rooms, 2);
    }
  }
#pragma unroll
  for (int r = 0; r < kRowsOfWarp; ++r) {
    const int i = begin + warp * kRowsOfWarp + r;
    if (i >= place.length) continue;
#pragma unroll
    for (int c = 0; c < kColumns; ++c)
      if (lane + c * kWarp < a.head_size) a.y[place.out(i) + lane + c * kWarp] = sum[r][c] - mean[r] * value_sum[r][c];
  }
}

dim3 grid_of(const Attention<float>& a) {
  return dim3(static_cast<unsigned>(a.sequences * a.heads), blocks_for(a.longest, kRows),
              static_cast<unsigned>(a.batch));
}

}  // namespace

std::int64_t attention_row_chunks(int longest) {
  return blocks_for(longest, kRows);
}

void attention_rows(Stream stream, const Attention<float>& a) {
  launch(forward_rows, grid_of(a), dim3(kWarps * kWarp), room_bytes(a.head_size, 1, 2), stream, a);
}

template <class H>
void attention_row_dots(Stream stream, const Attention<H>& a, const H* y) {
  const std::int64_t n = a.batch * a.tokens * a.heads;
  launch(row_dots<H>, dim3(blocks_for(n, kWarps)), dim3(kWarps * kWarp), 0, stream, a, y, n);
}

void attention_rows_backward(Stream stream, const Attention<float>& a) {
  launch(backward_rows<false>, grid_of(a), dim3(kWarps * kWarp), room_bytes(a.head_size, 2, 2), stream, a);
  launch(backward_rows<true>, grid_of(a), dim3(kWarps * kWarp), room_bytes(a.head_size, 2, 2), stream, a);
}

void attention_rows_tangent(Stream stream, const Attention<float>& a) {
  launch(tangent_rows, grid_of(a), dim3(kWarps * kWarp), room_bytes(a.head_size, 2, 4), stream, a);
}

template void attention_row_dots<float>(Stream, const Attention<float>&, const float*);
template void attention_row_dots<bf16>(Stream, const Attention<bf16>&, const bf16*);

}  // namespace zonda::model::cuda
