#pragma once
// A tap on the tokens between a network's layers: for losses on what a layer gives, as in distillation.
#include <cstddef>
#include <functional>

#include "model/tensor/tensor.hpp"

namespace zonda::model {

/// `tokens` and `gradient` are [B T, D] of this rank, row after row, in the backend's memory, and valid during the
/// call.
struct TokenTap {
  /// Is shown the output of each layer in forward().
  std::function<void(std::size_t layer, const Tensor& tokens)> output;
  /// Writes its own loss's gradient of that output into `gradient`, which comes as zero; backward() adds it.
  std::function<void(std::size_t layer, const Tensor& gradient)> gradient;
};

}  // namespace zonda::model
