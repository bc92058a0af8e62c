// Rows of attention gathered in the sequences' order, queries and keys ready for products, so that tiles and libraries
// read them as they lie; and what a library made of them put back. A warp a row.
#include "model/ops/cuda/head_rows.hpp"

namespace zonda::model::cuda {

namespace {

constexpr int kWarps = 8, kRowsOfGradient = 8;  // of a warp

__global__ void gather_rows(Attention<bf16> a, bf16* q, bf16* k, bf16* v) {
  const Place<bf16> place(a);
  const int i = static_cast<int>(blockIdx.y) * kWarps + static_cast<int>(threadIdx.x) / kWarp, half = a.head_size / 2;
  if (i >= place.length) return;
  const std::int64_t to = place.gathered(i);
  write_pairs(q + to, half, turned(place, i, 0));
  write_pairs(k + to, half, turned(place, i, 1));
  write_pairs(v + to, half, read_pairs(a.qkv + place.part(i, 2), half));
}

__global__ void gather_gradient_rows(Attention<bf16> a, const bf16* y, bf16* dy_rows, bf16* y_rows, float* log_sum) {
  const Place<bf16> place(a);
  const int i = static_cast<int>(blockIdx.y) * kWarps + static_cast<int>(threadIdx.x) / kWarp, half = a.head_size / 2;
  if (i >= place.length) return;
  const std::int64_t to = place.gathered(i), from = place.out(i);
  write_pairs(dy_rows + to, half, read_pairs(a.dy + from, half));
  if (!y_rows) return;
  write_pairs(y_rows + to, half, read_pairs(y + from, half));
  if (lane_of_warp() == 0)
    log_sum[(place.sample * a.heads + place.head) * place.length + i] = a.log_sum[place.statistic(i)];
}

__global__ void scatter_rows(Attention<bf16> a, const bf16* y, const float* log_sum) {
  const Place<bf16> place(a);
  const int i = static_cast<int>(blockIdx.y) * kWarps + static_cast<int>(threadIdx.x) / kWarp, half = a.head_size / 2;
  if (i >= place.length) return;
  write_pairs(a.y + place.out(i), half, read_pairs(y + place.gathered(i), half));
  if (lane_of_warp() == 0)
    a.log_sum[place.statistic(i)] = log_sum[(place.sample * a.heads + place.head) * place.length + i];
}

__global__ void scatter_gradient_rows(Attention<bf16> a, const bf16* dq, const bf16* dk, const bf16* dv) {
  __shared__ float room[kWarps * kLargestHead];
  const Place<bf16> place(a);
  const int begin = (static_cast<int>(blockIdx.y) * kWarps + static_cast<int>(threadIdx.x) / kWarp) * kRowsOfGradient,
            half = a.head_size / 2;
  Pairs q_sum, k_sum;
  for (int i = begin; i < begin + kRowsOfGradient && i < place.length; ++i) {
    const std::int64_t from = place.gathered(i);
    turned_backward(place, i, 0, read_pairs(dq + from, half), q_sum);
    turned_backward(place, i, 1, read_pairs(dk + from, half), k_sum);
    write_pairs(a.dqkv + place.part(i, 2), half, read_pairs(dv + from, half));
  }
  write_gain_sum(place, 0, q_sum, room);
  write_gain_sum(place, 1, k_sum, room);
}

dim3 grid_of(const Attention<bf16>& a, int rows) {
  return dim3(static_cast<unsigned>(a.sequences * a.heads), blocks_for(a.longest, rows),
              static_cast<unsigned>(a.batch));
}

}  // namespace

void attention_gather(Stream stream, const Attention<bf16>& a, bf16* q, bf16* k, bf16* v) {
  launch(gather_rows, grid_of(a, kWarps), dim3(kWarps * kWarp), 0, stream, a, q, k, v);
}

void attention_gather_gradient(Stream stream, const Attention<bf16>& a, const bf16* y, bf16* dy_rows, bf16* y_rows,
                               float* log_sum) {
  launch(gather_gradient_rows, grid_of(a, kWarps), dim3(kWarps * kWarp), 0, stream, a, y, dy_rows, y_rows, log_sum);
}

void attention_scatter(Stream stream, const Attention<bf16>& a, const bf16* y, const float* log_sum) {
  launch(scatter_rows, grid_of(a, kWarps), dim3(kWarps * kWarp), 0, stream, a, y, log_sum);
}

std::int64_t attention_scatter_chunks(int longest) {
  return blocks_for(longest, kWarps * kRowsOfGradient);
}

void attention_scatter_gradient(Stream stream, const Attention<bf16>& a, const bf16* dq, const bf16* dk,
                                const bf16* dv) {
  launch(scatter_gradient_rows, grid_of(a, kWarps * kRowsOfGradient), dim3(kWarps * kWarp), 0, stream, a, dq, dk, dv);
}

}  // namespace zonda::model::cuda
