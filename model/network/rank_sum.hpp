#pragma once
// Sums over the ranks that share a layer's columns and heads.
#include "model/ops/context.hpp"
#include "model/tensor/tensor.hpp"
#include "parallel/communicator.hpp"

namespace zonda::model {

/// Every rank's tensor becomes the sum over `ranks`, in their order: f32 or f64, of equal shape. Its bits depend on the
/// number of ranks. Collective.
void sum_over_ranks(Context& ctx, const parallel::Communicator& ranks, const Tensor& tensor);

}  // namespace zonda::model
