// Attention in bf16 on the tensor cores: a warp keeps sixteen rows in registers and walks over tiles of others in
// shared memory (Dao 2023, "FlashAttention-2"). Backward runs once with queries as the warps' rows, once with keys, so
// that no sum needs an atomic. Norm, gain and rotation happen while a tile is loaded or, where several blocks share a
// sequence, once before (attention_gather). Heads are padded with zeros to the next size there is a kernel for.
#include "model/ops/cuda/head_rows.hpp"
#include "model/ops/cuda/shared_memory.hpp"
#include "model/ops/cuda/tensor_core.hpp"

namespace zonda::model::cuda {

namespace {

constexpr int kRowsOfWarp = 16, kTile = 64;
constexpr int kPad = 8;  // numbers after a row: lanes of a product read from different banks
/// Of a block, as many as its rows leave room for in the shared memory of sm_80.
constexpr int most_warps(int size) {
  return size > 128 ? 8 : 10;
}

struct Split {
  int warps, chunks;
};
/// The rows of the longest sequence over warps of 16 rows and as few blocks as hold them.
Split split_of(int longest, int most) {
  const int tiles = (longest + kRowsOfWarp - 1) / kRowsOfWarp, chunks = (tiles + most - 1) / most;
  return {(tiles + chunks - 1) / chunks, chunks};
}

enum class Part { query, key, value, gradient };  ///< of a row; gradient: of the output

/// Rows of one head as products take them, [row, size + kPad] in shared memory.
template <int size>
struct Rows {
  static constexpr int stride = size + kPad;
  const Place<bf16>& place;

  /// Rows [begin, begin + count), zero beyond the sequence, by one of `workers` warps.
  __device__ __forceinline__ void fill(bf16* to, Part part, int begin, int count, int worker, int workers) const {
    place.a.gathered[0] ? copy(to, part, begin, count, worker, workers) : make(to, part, begin, count, worker, workers);
  }

 private:
  __device__ __forceinline__ void copy(bf16* to, Part part, int begin, int count, int worker, int workers) const {
    using Sixteen = Stored<std::uint32_t, 4>;
    constexpr int across = size / 8;
    const Attention<bf16>& a = place.a;
    const bf16* from = a.gathered[static_cast<int>(part)];
    for (int e = worker * kWarp + lane_of_warp(); e < count * across; e += workers * kWarp) {
      const int r = e / across, d = e % across * 8;
      Sixteen numbers{};
      if (begin + r < place.length && d < a.head_size)
        numbers = *reinterpret_cast<const Sixteen*>(from + place.gathered(begin + r) + d);
      *reinterpret_cast<Sixteen*>(to + r * stride + d) = numbers;
    }
  }

  __device__ __forceinline__ void make(bf16* to, Part part, int begin, int count, int worker, int workers) const {
    const Attention<bf16>& a = place.a;
    for (int r = worker; r < count; r += workers) {
      const int i = begin + r;
      bf16* row = to + r * stride;
      const bool there = i < place.length;
      if (there && (part == Part::query || part == Part::key)) {
        write_pairs(row, a.head_size / 2, turned(place, i, part == Part::query ? 0 : 1));
        zero(row, a.head_size);
      } else if (there) {
        const bf16* from = part == Part::value ? a.qkv + place.part(i, 2) : a.dy + place.out(i);
        for (int d = 2 * lane_of_warp(); d < a.head_size; d += 2 * kWarp)
          *reinterpret_cast<std::uint32_t*>(row + d) = pair_at(from + d);
        zero(row, a.head_size);
      } else {
        zero(row, 0);
      }
    }
  }

  __device__ __forceinline__ void zero(bf16* row, int from) const {
    for (int d = from + lane_of_warp(); d < size; d += kWarp) row[d] = narrow<bf16>(0);
  }
};

/// Sixteen rows as the left operand: in registers where there is room, else read again each time.
template <int size>
struct LeftRows {
  static constexpr bool kept = size <= 64;
  const bf16* from;
  TileA tiles[kept ? size / 16 : 1];
  __device__ __forceinline__ explicit LeftRows(const bf16* rows) : from(rows) {
    if constexpr (kept)
#pragma unroll
      for (int k = 0; k < size / 16; ++k) tiles[k] = tile_a(from + 16 * k, size + kPad);
  }
  __device__ __forceinline__ TileA operator[](int k) const {
    if constexpr (kept)
      return tiles[k];
    else
      return tile_a(from + 16 * k, size + kPad);
  }
};

template <int size>
__global__ void __launch_bounds__(most_warps(size) * kWarp) forward_tiles(Attention<bf16> a) {
  constexpr int stride = size + kPad;
  const Place<bf16> place(a);
  const Rows<size> rows{place};
  const int warps = static_cast<int>(blockDim.x) / kWarp, warp = static_cast<int>(threadIdx.x) / kWarp;
  const int begin = (static_cast<int>(blockIdx.y) * warps + warp) * kRowsOfWarp;  // of the warp
  if (static_cast<int>(blockIdx.y) * warps * kRowsOfWarp >= place.length) return;
  bf16* queries = dynamic_shared<bf16>() + warp * kRowsOfWarp * stride;
  bf16* keys = dynamic_shared<bf16>() + warps * kRowsOfWarp * stride;
  bf16* values = keys + kTile * stride;

  const float factor = rsqrtf(static_cast<float>(a.head_size));
  rows.fill(queries, Part::query, begin, kRowsOfWarp, 0, 1);
  __syncwarp();
  const LeftRows<size> query(queries);

  TileC sum[size / 8];
  float highest[2] = {-INFINITY, -INFINITY}, total[2] = {};  // of rows g and g + 8; totals of the lane's own columns
  for (int tile = 0; tile < place.length; tile += kTile) {
    __syncthreads();
    rows.fill(keys, Part::key, tile, kTile, warp, warps);
    rows.fill(values, Part::value, tile, kTile, warp, warps);
    __syncthreads();
    TileC s[kTile / 8];
#pragma unroll
    for (int k = 0; k < size / 16; ++k) {
      const TileA left = query[k];
#pragma unroll
      for (int n = 0; n < kTile / 8; ++n) multiply_add(s[n], left, tile_b(keys + n * 8 * stride + 16 * k, stride));
    }
    float top[2] = {highest[0], highest[1]};
#pragma unroll
    for (int n = 0; n < kTile / 8; ++n)
#pragma unroll
      for (int e = 0; e < 4; ++e) {
        float& logit = s[n].at[e];
        logit = tile + n * 8 + 2 * place_in_group() + e % 2 < place.length ? logit * factor : -INFINITY;
        top[e / 2] = fmaxf(top[e / 2], logit);
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
      for (int n = 0; n < size / 8; ++n)
        multiply_add(sum[n], p, tile_b_turned(values + 16 * k * stride + n * 8, stride));
    }
  }
#pragma unroll
  for (int h = 0; h < 2; ++h) {
    total[h] = warp_sum<4>(total[h]);
    const int i = begin + group_of_lane() + 8 * h;
    if (i >= place.length) continue;
    const float inverse = 1 / total[h];
    bf16* y = a.y + place.out(i);
#pragma unroll
    for (int n = 0; n < size / 8; ++n) {
      const int d = n * 8 + 2 * place_in_group();
      if (d < a.head_size)
        *reinterpret_cast<std::uint32_t*>(y + d) = pair_of(sum[n].at[2 * h] * inverse, sum[n].at[2 * h + 1] * inverse);
    }
    if (place_in_group() == 0) a.log_sum[place.statistic(i)] = highest[h] + logf(total[h]);
  }
}

/// What a pass of backward computes: the gradient of the queries, the warps' rows being queries; or, the rows being
/// keys, of the keys, of the values, or of both.
enum class Side { queries, keys, values, keys_and_values };

template <int size, Side side>
__global__ void __launch_bounds__(most_warps(size) * kWarp) backward_tiles(Attention<bf16> a) {
  constexpr int stride = size + kPad;
  constexpr bool of_keys = side != Side::queries, logits = side != Side::values,
                 values = side == Side::values || side == Side::keys_and_values;
  const Place<bf16> place(a);
  const Rows<size> rows{place};
  const int warps = static_cast<int>(blockDim.x) / kWarp, warp = static_cast<int>(threadIdx.x) / kWarp;
  const int chunk = static_cast<int>(blockIdx.y) * warps * kRowsOfWarp, begin = chunk + warp * kRowsOfWarp;
  // Of each side: the query or key, and the output's gradient or the value.
  bf16* own = dynamic_shared<bf16>() + warp * 2 * kRowsOfWarp * stride;
  bf16* own_second = own + kRowsOfWarp * stride;
  bf16* first = dynamic_shared<bf16>() + warps * 2 * kRowsOfWarp * stride;
  bf16* second = first + kTile * stride;
  float* log_sums = reinterpret_cast<float*>(second + kTile * stride);
  float* row_dots = log_sums + kTile;  // both of the tile's queries, where the rows are keys

  const float factor = rsqrtf(static_cast<float>(a.head_size));
  rows.fill(own, of_keys ? Part::key : Part::query, begin, kRowsOfWarp, 0, 1);
  if (logits) rows.fill(own_second, of_keys ? Part::value : Part::gradient, begin, kRowsOfWarp, 0, 1);
  __syncwarp();
  const LeftRows<size> mine(own), mine_second(logits ? own_second : own);
  float log_sum[2] = {}, row_dot[2] = {};  // of the warp's own queries, rows g and g + 8
  if (!of_keys)
    for (int h = 0; h < 2; ++h) {
      const int i = begin + group_of_lane() + 8 * h;
      if (i >= place.length) continue;
      log_sum[h] = a.log_sum[place.statistic(i)];
      row_dot[h] = a.row_dot[place.statistic(i)];
    }

  TileC sum[logits ? size / 8 : 1], value_sum[values ? size / 8 : 1];
  for (int tile = 0; chunk < place.length && tile < place.length; tile += kTile) {
    __syncthreads();
    rows.fill(first, of_keys ? Part::query : Part::key, tile, kTile, warp, warps);
    rows.fill(second, of_keys ? Part::gradient : Part::value, tile, kTile, warp, warps);
    if (of_keys)
      for (int t = static_cast<int>(threadIdx.x); t < kTile; t += static_cast<int>(blockDim.x)) {
        const bool there = tile + t < place.length;
        log_sums[t] = there ? a.log_sum[place.statistic(tile + t)] : 0.0f;
        row_dots[t] = there && logits ? a.row_dot[place.statistic(tile + t)] : 0.0f;
      }
    __syncthreads();
#pragma unroll
    for (int slice = 0; slice < kTile; slice += 16) {
      TileC p[2], ds[2];
#pragma unroll
      for (int k = 0; k < size / 16; ++k) {
        const TileA left = mine[k];
#pragma unroll
        for (int n = 0; n < 2; ++n) multiply_add(p[n], left, tile_b(first + (slice + 8 * n) * stride + 16 * k, stride));
        if constexpr (logits) {
          const TileA left_second = mine_second[k];
#pragma unroll
          for (int n = 0; n < 2; ++n)
            multiply_add(ds[n], left_second, tile_b(second + (slice + 8 * n) * stride + 16 * k, stride));
        }
      }
#pragma unroll
      for (int n = 0; n < 2; ++n)
#pragma unroll
        for (int e = 0; e < 4; ++e) {
          const int other = slice + 8 * n + 2 * place_in_group() + e % 2;
          const float denominator = of_keys ? log_sums[other] : log_sum[e / 2],
                      mean = of_keys ? row_dots[other] : row_dot[e / 2];
          p[n].at[e] = tile + other < place.length ? __expf(p[n].at[e] * factor - denominator) : 0.0f;
          ds[n].at[e] = p[n].at[e] * (ds[n].at[e] - mean);
        }
      if constexpr (logits) {
        const TileA weight = tile_a(ds[0], ds[1]);
#pragma unroll
        for (int n = 0; n < size / 8; ++n)
          multiply_add(sum[n], weight, tile_b_turned(first + slice * stride + n * 8, stride));
      }
      if constexpr (values) {
        const TileA probability = tile_a(p[0], p[1]);
#pragma unroll
        for (int n = 0; n < size / 8; ++n)
          multiply_add(value_sum[n], probability, tile_b_turned(second + slice * stride + n * 8, stride));
      }
    }
  }

  if constexpr (values)
#pragma unroll
    for (int h = 0; h < 2; ++h) {
      const int i = begin + group_of_lane() + 8 * h;
      if (i >= place.length) continue;
      bf16* dv = a.dqkv + place.part(i, 2);
#pragma unroll
      for (int n = 0; n < size / 8; ++n) {
        const int d = n * 8 + 2 * place_in_group();
        if (d < a.head_size)
          *reinterpret_cast<std::uint32_t*>(dv + d) = pair_of(value_sum[n].at[2 * h], value_sum[n].at[2 * h + 1]);
      }
    }
  if constexpr (logits) {
    // The warp's rows of gradients as f32, where its operands were; then through rotation, gain and norm row by row.
    __syncwarp();
    float* gradients = reinterpret_cast<float*>(own);
    static_assert(sizeof(float) * size <= 2 * sizeof(bf16) * stride);
#pragma unroll
    for (int n = 0; n < size / 8; ++n)
#pragma unroll
      for (int e = 0; e < 4; ++e)
        gradients[(group_of_lane() + e / 2 * 8) * size + n * 8 + 2 * place_in_group() + e % 2] = sum[n].at[e] * factor;
    __syncwarp();
    Pairs gain_sum;
    for (int r = 0; r < kRowsOfWarp && begin + r < place.length; ++r)
      turned_backward(place, begin + r, of_keys ? 1 : 0, read_pairs(gradients + r * size, a.head_size / 2), gain_sum);
    write_gain_sum(place, of_keys ? 1 : 0, gain_sum, reinterpret_cast<float*>(first));
  }
}

std::size_t forward_bytes(int size, int warps) {
  return sizeof(bf16) * static_cast<std::size_t>((warps * kRowsOfWarp + 2 * kTile) * (size + kPad));
}
std::size_t backward_bytes(int size, int warps) {
  return sizeof(bf16) * static_cast<std::size_t>((2 * warps * kRowsOfWarp + 2 * kTile) * (size + kPad)) +
         2 * sizeof(float) * kTile;
}

template <int N>
struct Size {
  static constexpr int value = N;
};
/// Calls f with the smallest size that holds the head.
template <class F>
auto by_size(int head_size, F&& f) {
  if (head_size <= 32) return f(Size<32>{});
  if (head_size <= 64) return f(Size<64>{});
  if (head_size <= 96) return f(Size<96>{});
  if (head_size <= 128) return f(Size<128>{});
  return f(Size<kLargestHead>{});
}

Split split_of(int longest, const Attention<bf16>& a) {
  return by_size(a.head_size, [&](auto size) { return split_of(longest, most_warps(decltype(size)::value)); });
}

dim3 grid_of(const Attention<bf16>& a) {
  return dim3(static_cast<unsigned>(a.sequences * a.heads), static_cast<unsigned>(split_of(a.longest, a).chunks),
              static_cast<unsigned>(a.batch));
}

}  // namespace

std::int64_t attention_tile_chunks(int longest, int head_size) {
  return by_size(head_size, [&](auto size) { return split_of(longest, most_warps(decltype(size)::value)).chunks; });
}

void attention_tiles(Stream stream, const Attention<bf16>& a) {
  const int warps = split_of(a.longest, a).warps;
  by_size(a.head_size, [&](auto size) {
    constexpr int N = decltype(size)::value;
    launch(forward_tiles<N>, grid_of(a), dim3(static_cast<unsigned>(warps * kWarp)), forward_bytes(N, warps), stream,
           a);
  });
}

void attention_tiles_backward(Stream stream, const Attention<bf16>& a) {
  const int warps = split_of(a.longest, a).warps;
  by_size(a.head_size, [&](auto size) {
    constexpr int N = decltype(size)::value;
    const auto pass = [&](auto kernel) {
      launch(kernel, grid_of(a), dim3(static_cast<unsigned>(warps * kWarp)), backward_bytes(N, warps), stream, a);
    };
    pass(backward_tiles<N, Side::queries>);
    if constexpr (N <= 64) {
      pass(backward_tiles<N, Side::keys_and_values>);
    } else {  // the sums of both would not fit into a thread's registers
      pass(backward_tiles<N, Side::keys>);
      pass(backward_tiles<N, Side::values>);
    }
  });
}

}  // namespace zonda::model::cuda
