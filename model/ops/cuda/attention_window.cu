// Attention in bf16 on the tensor cores: a warp keeps sixteen rows in registers and walks over tiles of others in
// shared memory (Dao 2023, "FlashAttention-2"). Norm, gain and rotation happen while a tile is loaded. Backward runs
// once with queries as the warps' rows, once with keys, so that no sum needs an atomic.
#include "model/ops/cuda/head_rows.hpp"
#include "model/ops/cuda/shared_memory.hpp"
#include "model/ops/cuda/tensor_core.hpp"

namespace zonda::model::cuda {

namespace {

constexpr int kRowsOfWarp = 16, kMostWarps = 10, kTile = 64;
constexpr int kPad = 8;  // numbers after a row: lanes of a product read from different banks
constexpr int kAcross = kTile + kPad;

struct Split {
  int warps, chunks;
};
/// The rows of the longest sequence over warps of 16 rows and as few blocks as hold them.
Split split_of(int longest) {
  const int tiles = (longest + kRowsOfWarp - 1) / kRowsOfWarp, chunks = (tiles + kMostWarps - 1) / kMostWarps;
  return {(tiles + chunks - 1) / chunks, chunks};
}

template <int size>
__device__ __forceinline__ void zero_row(bf16* row) {
  for (int d = lane_of_warp(); d < size; d += kWarp) row[d] = narrow<bf16>(0);
}
template <int size>
__device__ __forceinline__ void copy_row(bf16* row, const bf16* from) {
  for (int d = lane_of_warp(); d < size; d += kWarp) row[d] = from[d];
}
/// transposed[d, column] = row[d].
template <int size>
__device__ __forceinline__ void turn_row(bf16* transposed, int column, const bf16* row) {
  for (int d = lane_of_warp(); d < size; d += kWarp) transposed[d * kAcross + column] = row[d];
}

template <int size>
__global__ void __launch_bounds__(kMostWarps* kWarp) forward_tiles(Attention<bf16> a) {
  constexpr int stride = size + kPad;
  const Place<bf16> place(a);
  const int warps = static_cast<int>(blockDim.x) / kWarp, warp = static_cast<int>(threadIdx.x) / kWarp;
  const int begin = (static_cast<int>(blockIdx.y) * warps + warp) * kRowsOfWarp;  // of the warp
  if (static_cast<int>(blockIdx.y) * warps * kRowsOfWarp >= place.length) return;
  bf16* queries = dynamic_shared<bf16>() + warp * kRowsOfWarp * stride;
  bf16* keys = dynamic_shared<bf16>() + warps * kRowsOfWarp * stride;
  bf16* values = keys + kTile * stride;  // transposed

  const float factor = rsqrtf(static_cast<float>(size));
  for (int r = 0; r < kRowsOfWarp; ++r) {
    if (begin + r < place.length)
      write_pairs(queries + r * stride, size / 2, turned(place, begin + r, 0, factor));
    else
      zero_row<size>(queries + r * stride);
  }
  __syncwarp();
  TileA query[size / 16];
#pragma unroll
  for (int k = 0; k < size / 16; ++k) query[k] = tile_a(queries + 16 * k, stride);

  TileC sum[size / 8];
  float highest[2] = {-INFINITY, -INFINITY}, total[2] = {};  // of rows g and g + 8; totals of the lane's own columns
  for (int tile = 0; tile < place.length; tile += kTile) {
    __syncthreads();
    for (int t = warp; t < kTile; t += warps) {
      if (tile + t < place.length) {
        write_pairs(keys + t * stride, size / 2, turned(place, tile + t, 1));
        turn_row<size>(values, t, a.qkv + place.part(tile + t, 2));
      } else {
        zero_row<size>(keys + t * stride);
        for (int d = lane_of_warp(); d < size; d += kWarp) values[d * kAcross + t] = narrow<bf16>(0);
      }
    }
    __syncthreads();
    TileC s[kTile / 8];
    float top[2] = {highest[0], highest[1]};
#pragma unroll
    for (int n = 0; n < kTile / 8; ++n) {
#pragma unroll
      for (int k = 0; k < size / 16; ++k) multiply_add(s[n], query[k], tile_b(keys + n * 8 * stride + 16 * k, stride));
#pragma unroll
      for (int e = 0; e < 4; ++e) {
        if (tile + n * 8 + 2 * place_in_group() + e % 2 >= place.length) s[n].at[e] = -INFINITY;
        top[e / 2] = fmaxf(top[e / 2], s[n].at[e]);
      }
    }
#pragma unroll
    for (int h = 0; h < 2; ++h) {
      top[h] = warp_max<4>(top[h]);
      const float before = __expf(highest[h] - top[h]);
      highest[h] = top[h];
      total[h] *= before;
#pragma unroll
      for (int n = 0; n < size / 8; ++n) {
        sum[n].at[2 * h] *= before;
        sum[n].at[2 * h + 1] *= before;
      }
    }
#pragma unroll
    for (int k = 0; k < kTile / 16; ++k) {
#pragma unroll
      for (int e = 0; e < 8; ++e) {
        float& p = s[2 * k + e / 4].at[e % 4];
        p = __expf(p - highest[e % 4 / 2]);
        total[e % 4 / 2] += p;
      }
      const TileA p = tile_a(s[2 * k], s[2 * k + 1]);
#pragma unroll
      for (int n = 0; n < size / 8; ++n) multiply_add(sum[n], p, tile_b(values + n * 8 * kAcross + 16 * k, kAcross));
    }
  }
#pragma unroll
  for (int h = 0; h < 2; ++h) {
    total[h] = warp_sum<4>(total[h]);
    const int i = begin + group_of_lane() + 8 * h;
    if (i >= place.length) continue;
    const float inverse = 1 / total[h];
    std::uint32_t* y = reinterpret_cast<std::uint32_t*>(a.y + place.out(i));
#pragma unroll
    for (int n = 0; n < size / 8; ++n)
      y[n * 4 + place_in_group()] = pair_of(sum[n].at[2 * h] * inverse, sum[n].at[2 * h + 1] * inverse);
    if (place_in_group() == 0) a.log_sum[place.statistic(i)] = highest[h] + logf(total[h]);
  }
}

/// `keys`: the warps' rows are keys and the tiles' queries; else the other way round. Queries carry the factor
/// 1 / sqrt(size).
template <int size, bool keys>
__global__ void __launch_bounds__(kMostWarps* kWarp) backward_tiles(Attention<bf16> a) {
  constexpr int stride = size + kPad;
  const Place<bf16> place(a);
  const int warps = static_cast<int>(blockDim.x) / kWarp, warp = static_cast<int>(threadIdx.x) / kWarp;
  const int chunk = static_cast<int>(blockIdx.y) * warps * kRowsOfWarp, begin = chunk + warp * kRowsOfWarp;
  // Of each side: the query or key ready for products, and the output's gradient or the value. Tiles twice, by row and
  // transposed.
  bf16* own = dynamic_shared<bf16>() + warp * 2 * kRowsOfWarp * stride;
  bf16* own_second = own + kRowsOfWarp * stride;
  bf16* first = dynamic_shared<bf16>() + warps * 2 * kRowsOfWarp * stride;
  bf16* second = first + kTile * stride;
  bf16* first_turned = second + kTile * stride;
  bf16* second_turned = first_turned + size * kAcross;  // with `keys` only
  float* log_sums = reinterpret_cast<float*>(second_turned + (keys ? size * kAcross : 0));
  float* row_dots = log_sums + kTile;  // both of the tile's queries, with `keys` only

  const float factor = rsqrtf(static_cast<float>(size));
  const auto fill_row = [&](bf16* to, bf16* to_second, int i, bool key) {
    if (i < place.length) {
      write_pairs(to, size / 2, turned(place, i, key ? 1 : 0, key ? 1.0f : factor));
      copy_row<size>(to_second, key ? a.qkv + place.part(i, 2) : a.dy + place.out(i));
    } else {
      zero_row<size>(to);
      zero_row<size>(to_second);
    }
  };
  for (int r = 0; r < kRowsOfWarp; ++r) fill_row(own + r * stride, own_second + r * stride, begin + r, keys);
  __syncwarp();
  TileA mine[size / 16], mine_second[size / 16];
#pragma unroll
  for (int k = 0; k < size / 16; ++k) {
    mine[k] = tile_a(own + 16 * k, stride);
    mine_second[k] = tile_a(own_second + 16 * k, stride);
  }
  float log_sum[2] = {}, row_dot[2] = {};  // of the warp's own queries, rows g and g + 8
  if (!keys)
    for (int h = 0; h < 2; ++h) {
      const int i = begin + group_of_lane() + 8 * h;
      if (i >= place.length) continue;
      log_sum[h] = a.log_sum[place.statistic(i)];
      row_dot[h] = a.row_dot[place.statistic(i)];
    }

  TileC sum[size / 8], value_sum[keys ? size / 8 : 1];
  for (int tile = 0; chunk < place.length && tile < place.length; tile += kTile) {
    __syncthreads();
    for (int t = warp; t < kTile; t += warps) {
      fill_row(first + t * stride, second + t * stride, tile + t, !keys);
      __syncwarp();
      turn_row<size>(first_turned, t, first + t * stride);
      if (keys) turn_row<size>(second_turned, t, second + t * stride);
      if (keys && lane_of_warp() == 0) {
        const bool there = tile + t < place.length;
        log_sums[t] = there ? a.log_sum[place.statistic(tile + t)] : 0.0f;
        row_dots[t] = there ? a.row_dot[place.statistic(tile + t)] : 0.0f;
      }
    }
    __syncthreads();
#pragma unroll
    for (int slice = 0; slice < kTile; slice += 16) {
      TileC p[2], ds[2];
#pragma unroll
      for (int n = 0; n < 2; ++n) {
        const int column = slice + 8 * n;
#pragma unroll
        for (int k = 0; k < size / 16; ++k) {
          multiply_add(p[n], mine[k], tile_b(first + column * stride + 16 * k, stride));
          multiply_add(ds[n], mine_second[k], tile_b(second + column * stride + 16 * k, stride));
        }
#pragma unroll
        for (int e = 0; e < 4; ++e) {
          const int other = column + 2 * place_in_group() + e % 2;
          const float denominator = keys ? log_sums[other] : log_sum[e / 2],
                      mean = keys ? row_dots[other] : row_dot[e / 2];
          p[n].at[e] = tile + other < place.length ? __expf(p[n].at[e] - denominator) : 0.0f;
          ds[n].at[e] = p[n].at[e] * (ds[n].at[e] - mean);
        }
      }
      const TileA weight = tile_a(ds[0], ds[1]);
#pragma unroll
      for (int n = 0; n < size / 8; ++n)
        multiply_add(sum[n], weight, tile_b(first_turned + n * 8 * kAcross + slice, kAcross));
      if (keys) {
        const TileA probability = tile_a(p[0], p[1]);
#pragma unroll
        for (int n = 0; n < size / 8; ++n)
          multiply_add(value_sum[keys ? n : 0], probability, tile_b(second_turned + n * 8 * kAcross + slice, kAcross));
      }
    }
  }

  // The warp's rows of gradients as f32, where its operands were; then through rotation, gain and norm row by row.
  __syncwarp();
  float* gradients = reinterpret_cast<float*>(own);
  static_assert(sizeof(float) * size <= 2 * sizeof(bf16) * stride);
#pragma unroll
  for (int n = 0; n < size / 8; ++n)
#pragma unroll
    for (int e = 0; e < 4; ++e)
      gradients[(group_of_lane() + e / 2 * 8) * size + n * 8 + 2 * place_in_group() + e % 2] =
          sum[n].at[e] * (keys ? 1.0f : factor);
  if (keys)
#pragma unroll
    for (int h = 0; h < 2; ++h) {
      const int i = begin + group_of_lane() + 8 * h;
      if (i >= place.length) continue;
      std::uint32_t* dv = reinterpret_cast<std::uint32_t*>(a.dqkv + place.part(i, 2));
#pragma unroll
      for (int n = 0; n < size / 8; ++n)
        dv[n * 4 + place_in_group()] =
            pair_of(value_sum[keys ? n : 0].at[2 * h], value_sum[keys ? n : 0].at[2 * h + 1]);
    }
  __syncwarp();
  Pairs gain_sum;
  for (int r = 0; r < kRowsOfWarp && begin + r < place.length; ++r)
    turned_backward(place, begin + r, keys ? 1 : 0, read_pairs(gradients + r * size, size / 2), gain_sum);
  write_gain_sum(place, keys ? 1 : 0, gain_sum, reinterpret_cast<float*>(first));
}

template <int size>
std::size_t forward_bytes(int warps) {
  return sizeof(bf16) * static_cast<std::size_t>((warps * kRowsOfWarp + kTile) * (size + kPad) + size * kAcross);
}
template <int size>
std::size_t backward_bytes(int warps, bool keys) {
  return sizeof(bf16) * static_cast<std::size_t>((2 * warps * kRowsOfWarp + 2 * kTile) * (size + kPad) +
                                                 (keys ? 2 : 1) * size * kAcross) +
         (keys ? 2 * sizeof(float) * kTile : 0);
}

dim3 grid_of(const Attention<bf16>& a) {
  return dim3(static_cast<unsigned>(a.sequences * a.heads), static_cast<unsigned>(split_of(a.longest).chunks),
              static_cast<unsigned>(a.batch));
}

constexpr int kHeadSize = 64;  // of every preset but one

}  // namespace

std::int64_t attention_tile_chunks(int longest) {
  return split_of(longest).chunks;
}

bool attention_on_tensor_cores(int head_size) {
  return head_size == kHeadSize;
}

void attention_tiles(Stream stream, const Attention<bf16>& a) {
  const int warps = split_of(a.longest).warps;
  launch(forward_tiles<kHeadSize>, grid_of(a), dim3(static_cast<unsigned>(warps * kWarp)),
         forward_bytes<kHeadSize>(warps), stream, a);
}

void attention_tiles_backward(Stream stream, const Attention<bf16>& a) {
  const int warps = split_of(a.longest).warps;
  const dim3 threads(static_cast<unsigned>(warps * kWarp));
  launch(backward_tiles<kHeadSize, false>, grid_of(a), threads, backward_bytes<kHeadSize>(warps, false), stream, a);
  launch(backward_tiles<kHeadSize, true>, grid_of(a), threads, backward_bytes<kHeadSize>(warps, true), stream, a);
}

}  // namespace zonda::model::cuda
