// What surrounds a library's attention over one long sequence: rows gathered in the sequence's order, queries and keys
// ready for products, and results put back. A warp a row.
#include "model/ops/cuda/head_rows.hpp"

namespace zonda::model::cuda {

namespace {

constexpr int kWarps = 8;

/// Row i of the sequence in [batch, tokens, heads, head size].
__device__ __forceinline__ std::int64_t gathered(const Place<bf16>& place, int i) {
  return ((place.sample * place.length + i) * place.a.heads + place.head) * place.a.head_size;
}

__global__ void gather_rows(Attention<bf16> a, bf16* q, bf16* k, bf16* v) {
  const Place<bf16> place(a);
  const int i = static_cast<int>(blockIdx.y) * kWarps + static_cast<int>(threadIdx.x) / kWarp, half = a.head_size / 2;
  if (i >= place.length) return;
  const std::int64_t to = gathered(place, i);
  write_pairs(q + to, half, turned(place, i, 0));
  write_pairs(k + to, half, turned(place, i, 1));
  write_pairs(v + to, half, read_pairs(a.qkv + place.part(i, 2), half));
}

__global__ void scatter_rows(Attention<bf16> a, const bf16* y, const float* log_sum) {
  const Place<bf16> place(a);
  const int i = static_cast<int>(blockIdx.y) * kWarps + static_cast<int>(threadIdx.x) / kWarp, half = a.head_size / 2;
  if (i >= place.length) return;
  write_pairs(a.y + place.out(i), half, read_pairs(y + gathered(place, i), half));
  if (lane_of_warp() == 0)
    a.log_sum[place.statistic(i)] = log_sum[(place.sample * a.heads + place.head) * place.length + i];
}

dim3 grid_of(const Attention<bf16>& a) {
  return dim3(static_cast<unsigned>(a.heads), blocks_for(a.longest, kWarps), static_cast<unsigned>(a.batch));
}

}  // namespace

void attention_gather(Stream stream, const Attention<bf16>& a, bf16* q, bf16* k, bf16* v) {
  launch(gather_rows, grid_of(a), dim3(kWarps * kWarp), 0, stream, a, q, k, v);
}

void attention_scatter(Stream stream, const Attention<bf16>& a, const bf16* y, const float* log_sum) {
  launch(scatter_rows, grid_of(a), dim3(kWarps * kWarp), 0, stream, a, y, log_sum);
}

}  // namespace zonda::model::cuda
