#pragma once
// The gradient of a batch as a sum over its micro-batches on one fixed tree: the same bits on any number of ranks.
#include <cstddef>
#include <vector>

#include "model/ops/backend.hpp"
#include "parallel/communicator.hpp"

namespace zonda::model {

/// Most that one rank alone holds for `terms` gradients of `bytes` each.
std::size_t gradient_sum_bytes(std::size_t terms, std::size_t bytes);

class GradientSum {
 public:
  /// `terms` micro-batches in all; this rank adds those of parallel::partition(terms, size, rank), in order.
  GradientSum(const parallel::Communicator& communicator, std::size_t terms, std::size_t width);
  /// f32 [width] in the memory of the context's backend.
  void add(Context& ctx, const Tensor& gradient);
  /// The sum over all ranks, on every rank; the object is empty again afterwards.
  void finish(Context& ctx, const Tensor& total);
  std::size_t bytes() const;  ///< most it will hold

 private:
  void join(Context& ctx);

  const parallel::Communicator& communicator_;
  const std::size_t terms_, width_;
  std::size_t added_ = 0;
  // Alone: a binary counter of partial sums, at most bit_width(terms) of them. With others: all own terms, on the host.
  std::vector<Buffer> partial_;
  std::vector<std::size_t> leaves_;
  std::size_t depth_ = 0;
  std::vector<float> mine_, total_;
};

}  // namespace zonda::model
