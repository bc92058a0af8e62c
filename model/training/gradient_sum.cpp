#include "model/training/gradient_sum.hpp"

#include <bit>

#include "model/tensor/staging.hpp"
#include "parallel/canonical.hpp"
#include "parallel/partition.hpp"

namespace zonda::model {

GradientSum::GradientSum(const parallel::Communicator& communicator, std::size_t terms, std::size_t width)
    : communicator_(communicator), terms_(terms), width_(width) {
  if (communicator.size() > 1)
    mine_.resize(parallel::partition(terms, static_cast<std::size_t>(communicator.size()),
                                     static_cast<std::size_t>(communicator.rank()))
                     .size() *
                 width);
}

/// The last two partial sums become one.
void GradientSum::join(Context& ctx) {
  --depth_;
  ctx->add(ctx, tensor_of(partial_[depth_], {static_cast<std::int64_t>(width_)}),
           tensor_of(partial_[depth_ - 1], {static_cast<std::int64_t>(width_)}));
  leaves_[depth_ - 1] += leaves_[depth_];
}

void GradientSum::add(Context& ctx, const Tensor& gradient) {
  if (communicator_.size() > 1) {
    ctx->memory().copy_out(mine_.data() + added_++ * width_, gradient.data, gradient.bytes());
    return;
  }
  ++added_;
  if (depth_ == partial_.size()) {
    partial_.push_back(buffer_of(ctx->memory(), gradient.shape));
    leaves_.push_back(0);
  }
  ctx->memory().copy(partial_[depth_].data(), gradient.data, gradient.bytes());
  leaves_[depth_++] = 1;
  while (depth_ > 1 && leaves_[depth_ - 1] == leaves_[depth_ - 2]) join(ctx);
}

void GradientSum::finish(Context& ctx, const Tensor& total) {
  added_ = 0;
  if (communicator_.size() > 1) {
    if (total.device == Device::cpu) {
      parallel::canonical_all_reduce(communicator_, terms_, width_, std::span<const float>(mine_), total.span<float>());
      return;
    }
    total_.resize(width_);
    parallel::canonical_all_reduce(communicator_, terms_, width_, std::span<const float>(mine_), std::span(total_));
    ctx->memory().copy_in(total.data, total_.data(), total.bytes());
    return;
  }
  // What is left over on the right joins its left neighbour, smallest first, as the tree's last nodes do.
  while (depth_ > 1) join(ctx);
  depth_ = 0;
  ctx->memory().copy(total.data, partial_[0].data(), total.bytes());
}

std::size_t GradientSum::bytes() const {
  if (communicator_.size() > 1) return mine_.size() * sizeof(float);
  return gradient_sum_bytes(terms_, width_ * sizeof(float));
}

std::size_t gradient_sum_bytes(std::size_t terms, std::size_t bytes) {
  return static_cast<std::size_t>(std::bit_width(terms)) * bytes;
}

}  // namespace zonda::model
