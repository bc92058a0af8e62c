#include "model/training/gradient_sum.hpp"

#include <algorithm>
#include <bit>

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

void GradientSum::add(std::span<const float> gradient) {
  if (communicator_.size() > 1) {
    std::copy(gradient.begin(), gradient.end(), mine_.begin() + static_cast<std::ptrdiff_t>(added_++ * width_));
    return;
  }
  ++added_;
  if (depth_ == partial_.size()) {
    partial_.emplace_back(width_);
    leaves_.push_back(0);
  }
  std::copy(gradient.begin(), gradient.end(), partial_[depth_].begin());
  leaves_[depth_++] = 1;
  while (depth_ > 1 && leaves_[depth_ - 1] == leaves_[depth_ - 2]) {
    --depth_;
    for (std::size_t i = 0; i < width_; ++i) partial_[depth_ - 1][i] += partial_[depth_][i];
    leaves_[depth_ - 1] += leaves_[depth_];
  }
}

void GradientSum::finish(std::span<float> total) {
  added_ = 0;
  if (communicator_.size() > 1) {
    parallel::canonical_all_reduce(communicator_, terms_, width_, mine_, total);
    return;
  }
  // What is left over on the right joins its left neighbour, smallest first, as the tree's last nodes do.
  while (depth_ > 1) {
    --depth_;
    for (std::size_t i = 0; i < width_; ++i) partial_[depth_ - 1][i] += partial_[depth_][i];
  }
  depth_ = 0;
  std::copy(partial_[0].begin(), partial_[0].end(), total.begin());
}

std::size_t GradientSum::bytes() const {
  if (communicator_.size() > 1) return mine_.size() * sizeof(float);
  return gradient_sum_bytes(terms_, width_ * sizeof(float));
}

std::size_t gradient_sum_bytes(std::size_t terms, std::size_t bytes) {
  return static_cast<std::size_t>(std::bit_width(terms)) * bytes;
}

}  // namespace zonda::model
