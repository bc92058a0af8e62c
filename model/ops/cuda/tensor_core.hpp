#pragma once
// One product of a warp on the tensor cores: C [16, 8] += A [16, 16] B [16, 8], bf16 with f32 sums (PTX ISA,
// mma.m16n8k16; sm_80 and later). With g = lane / 4 and t = lane % 4 a lane holds
//   A  rows g, g + 8 at columns 2t, 2t + 1, and the same at columns 8 further on
//   B  column g at rows 2t, 2t + 1 and 2t + 8, 2t + 9
//   C  rows g, g + 8 at columns 2t, 2t + 1
// so that two neighbouring tiles of C, rounded, are a tile of A. Tiles are read from shared memory.
#include <cstdint>

#include "model/ops/cuda/numbers.hpp"

namespace zonda::model::cuda {

struct TileA {
  std::uint32_t at[4];
};
struct TileB {
  std::uint32_t at[2];
};
struct TileC {
  float at[4] = {};
};

#ifdef __CUDACC__
__device__ __forceinline__ void multiply_add(TileC& c, const TileA& a, const TileB& b) {
  asm volatile(
      "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, "
      "%3};\n"
      : "+f"(c.at[0]), "+f"(c.at[1]), "+f"(c.at[2]), "+f"(c.at[3])
      : "r"(a.at[0]), "r"(a.at[1]), "r"(a.at[2]), "r"(a.at[3]), "r"(b.at[0]), "r"(b.at[1]));
}
__device__ __forceinline__ std::uint32_t pair_of(float low, float high) {
  const __nv_bfloat162 pair = __floats2bfloat162_rn(low, high);
  return *reinterpret_cast<const std::uint32_t*>(&pair);
}
/// The tile that begins at `from`, its rows `stride` apart: what ldmatrix turns while it loads. Rows on 16 bytes.
__device__ __forceinline__ TileB tile_b_turned(const bf16* from, int stride) {
  const auto row = static_cast<unsigned>(__cvta_generic_to_shared(from + static_cast<int>(threadIdx.x) % 16 * stride));
  TileB b;
  asm volatile("ldmatrix.sync.aligned.m8n8.x2.trans.shared.b16 {%0, %1}, [%2];\n"
               : "=r"(b.at[0]), "=r"(b.at[1])
               : "r"(row));
  return b;
}
#else
inline void multiply_add(TileC& c, const TileA& a, const TileB& b) {
  emulator::multiply_add_tiles(c.at, a.at, b.at);
}
inline std::uint32_t pair_of(float low, float high) {
  return narrow<bf16>(low).bits | std::uint32_t{narrow<bf16>(high).bits} << 16;
}
inline TileB tile_b_turned(const bf16* from, int stride) {
  const int column = static_cast<int>(threadIdx.x) % 32 / 4, row = 2 * (static_cast<int>(threadIdx.x) % 4);
  const auto pair = [&](int at) {
    return from[at * stride + column].bits | std::uint32_t{from[(at + 1) * stride + column].bits} << 16;
  };
  return {{pair(row), pair(row + 8)}};
}
#endif

__device__ __forceinline__ std::uint32_t pair_at(const bf16* at) {
  return *reinterpret_cast<const std::uint32_t*>(at);
}
__device__ __forceinline__ int group_of_lane() {
  return static_cast<int>(threadIdx.x) % 32 / 4;
}
__device__ __forceinline__ int place_in_group() {
  return static_cast<int>(threadIdx.x) % 4;
}

/// The tile whose first row and column is at `from`, rows `stride` apart.
__device__ __forceinline__ TileA tile_a(const bf16* from, int stride) {
  const bf16* at = from + group_of_lane() * stride + 2 * place_in_group();
  return {{pair_at(at), pair_at(at + 8 * stride), pair_at(at + 8), pair_at(at + 8 * stride + 8)}};
}
/// The tile whose transpose begins at `from`: columns of B lie `stride` apart, their numbers side by side.
__device__ __forceinline__ TileB tile_b(const bf16* from, int stride) {
  const bf16* at = from + group_of_lane() * stride + 2 * place_in_group();
  return {{pair_at(at), pair_at(at + 8)}};
}
/// Two tiles of C side by side, rounded, as a tile of A.
__device__ __forceinline__ TileA tile_a(const TileC& left, const TileC& right) {
  return {{pair_of(left.at[0], left.at[1]), pair_of(left.at[2], left.at[3]), pair_of(right.at[0], right.at[1]),
           pair_of(right.at[2], right.at[3])}};
}

}  // namespace zonda::model::cuda
