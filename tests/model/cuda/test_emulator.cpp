// The emulation that the CUDA tests stand on: threads, barriers, shuffles, products of tiles, captured streams.
#include <gtest/gtest.h>

#include <numeric>
#include <stdexcept>
#include <vector>

#include "model/ops/cuda/launch.hpp"
#include "model/ops/cuda/reductions.hpp"
#include "model/ops/cuda/shared_memory.hpp"
#include "model/ops/cuda/tensor_core.hpp"

namespace zonda::model::cuda {
namespace {

__global__ void number_threads(int* out) {
  out[(blockIdx.y * gridDim.x + blockIdx.x) * blockDim.x * blockDim.y + threadIdx.y * blockDim.x + threadIdx.x] =
      static_cast<int>(1000 * blockIdx.y + 100 * blockIdx.x + 10 * threadIdx.y + threadIdx.x);
}

TEST(Emulator, EveryThreadOfEveryBlockRuns) {
  std::vector<int> out(2 * 3 * 2 * 4, -1);
  launch(number_threads, dim3(3, 2), dim3(4, 2), 0, nullptr, out.data());
  for (int by = 0, at = 0; by < 2; ++by)
    for (int bx = 0; bx < 3; ++bx)
      for (int y = 0; y < 2; ++y)
        for (int x = 0; x < 4; ++x, ++at)
          EXPECT_EQ(out[static_cast<std::size_t>(at)], 1000 * by + 100 * bx + 10 * y + x);
}

__global__ void reverse_block(int* x) {
  int* room = dynamic_shared<int>();
  room[threadIdx.x] = x[threadIdx.x];
  __syncthreads();
  x[threadIdx.x] = room[blockDim.x - 1 - threadIdx.x];
}

TEST(Emulator, ABarrierHoldsUntilAllHaveWritten) {
  for (const bool reversed : {false, true}) {
    emulator::reverse_turns(reversed);
    std::vector<int> x(100), expected;
    std::iota(x.begin(), x.end(), 0);
    expected.assign(x.rbegin(), x.rend());
    launch(reverse_block, dim3(1), dim3(100), 100 * sizeof(int), nullptr, x.data());
    EXPECT_EQ(x, expected);
  }
  emulator::reverse_turns(false);
}

__global__ void sums(float* out, double* block) {
  __shared__ double room[3];
  out[threadIdx.x] = warp_sum(static_cast<float>(threadIdx.x));
  const double total = block_sum(static_cast<double>(threadIdx.x), room);
  if (threadIdx.x == 5) *block = total;
}

TEST(Emulator, ShufflesExchangeWithinWarps) {
  std::vector<float> out(96);
  double block = 0;
  launch(sums, dim3(1), dim3(96), 0, nullptr, out.data(), &block);
  EXPECT_EQ(out[0], 31 * 32 / 2);
  EXPECT_EQ(out[95], 31 * 32 / 2 + 64 * 32);
  EXPECT_EQ(block, 95 * 96 / 2);
}

__global__ void some_leave(int*) {
  if (threadIdx.x < 40) return;
  __syncthreads();
}
__global__ void half_a_warp_shuffles(int* out) {
  if (threadIdx.x < 16) out[threadIdx.x] = __shfl_xor_sync(0xffffffffu, 1, 1);
}

TEST(Emulator, DivergentBarriersAndShufflesAreErrors) {
  int out[32];
  EXPECT_THROW(launch(some_leave, dim3(1), dim3(64), 0, nullptr, out), std::logic_error);
  EXPECT_THROW(launch(half_a_warp_shuffles, dim3(1), dim3(32), 0, nullptr, out), std::logic_error);
}

/// C = A B of 16 x 16 by 16 x 8, with tiles read and written as the kernels do.
__global__ void one_product(const bf16* a, const bf16* b_transposed, float* out) {
  TileC c;
  multiply_add(c, tile_a(a, 16), tile_b(b_transposed, 16));
  for (int e = 0; e < 4; ++e) out[(group_of_lane() + e / 2 * 8) * 8 + 2 * place_in_group() + e % 2] = c.at[e];
}

TEST(Emulator, TilesMultiplyAsMatrices) {
  std::vector<bf16> a(16 * 16), b(8 * 16);
  for (std::size_t i = 0; i < a.size(); ++i) a[i] = bf16(static_cast<float>(static_cast<int>(i * 37 % 64) - 30));
  for (std::size_t i = 0; i < b.size(); ++i) b[i] = bf16(static_cast<float>(static_cast<int>(i * 11 % 32) - 15));
  std::vector<float> out(16 * 8);
  launch(one_product, dim3(1), dim3(32), 0, nullptr, a.data(), b.data(), out.data());
  for (std::size_t i = 0; i < 16; ++i)
    for (std::size_t j = 0; j < 8; ++j) {
      float sum = 0;
      for (std::size_t k = 0; k < 16; ++k) sum += float(a[i * 16 + k]) * float(b[j * 16 + k]);
      EXPECT_EQ(out[i * 8 + j], sum) << i << ", " << j;
    }
}

}  // namespace
}  // namespace zonda::model::cuda
