#include "model/network/rank_sum.hpp"

#include <vector>

#include "model/ops/backend.hpp"

namespace zonda::model {

namespace {

template <class T>
void sum(Context& ctx, const parallel::Communicator& ranks, const Tensor& tensor) {
  if (tensor.device == Device::cpu) {
    ranks.all_reduce(tensor.span<T>(), parallel::Reduction::sum).wait();
    return;
  }
  std::vector<T> host(static_cast<std::size_t>(tensor.count()));
  ctx->memory().copy_out(host.data(), tensor.data, tensor.bytes());
  ranks.all_reduce(std::span(host), parallel::Reduction::sum).wait();
  ctx->memory().copy_in(tensor.data, host.data(), tensor.bytes());
}

}  // namespace

void sum_over_ranks(Context& ctx, const parallel::Communicator& ranks, const Tensor& tensor) {
  if (ctx.planning() || ranks.size() == 1) return;
  tensor.dtype == DType::f64 ? sum<double>(ctx, ranks, tensor) : sum<float>(ctx, ranks, tensor);
}

}  // namespace zonda::model
