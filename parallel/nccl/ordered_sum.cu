#include "parallel/nccl/ordered_sum.hpp"

namespace zonda::parallel {
namespace {

__global__ void sum_kernel(const float* parts, unsigned long long parts_count, unsigned long long n, float* sum) {
  const unsigned long long stride = static_cast<unsigned long long>(gridDim.x) * blockDim.x;
  for (unsigned long long i = static_cast<unsigned long long>(blockIdx.x) * blockDim.x + threadIdx.x; i < n;
       i += stride) {
    float total = parts[i];
    for (unsigned long long p = 1; p < parts_count; ++p) total += parts[p * n + i];
    sum[i] = total;
  }
}

}  // namespace

cudaError_t ordered_sum(const float* parts, std::size_t parts_count, std::size_t n, float* sum, cudaStream_t stream) {
  if (n == 0) return cudaSuccess;
  constexpr std::size_t threads = 256, most_blocks = 4096;
  const std::size_t wanted = (n + threads - 1) / threads;
  const auto blocks = static_cast<unsigned>(wanted < most_blocks ? wanted : most_blocks);
  sum_kernel<<<blocks, threads, 0, stream>>>(parts, parts_count, n, sum);
  return cudaGetLastError();
}

}  // namespace zonda::parallel
