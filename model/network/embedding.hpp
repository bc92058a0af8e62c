#pragma once
// Embedding: grid points to tokens by a convolution of stride `patch`, plus the physical position.
#include "model/network/linear.hpp"
#include "model/network/token_grid.hpp"
#include "model/tensor/buffer.hpp"

namespace zonda::model {

class Embedding {
 public:
  Embedding(ParameterStore& store, const TokenGrid& grid, int channels, int width, DType dtype,
            Memory& memory = host_memory());
  /// x [B, C, H, W] -> tokens [B T, D].
  void forward(Context& ctx, const Tensor& x, const Tensor& tokens) const;
  /// dx [B, C, H, W] overwritten; may be none.
  void backward(Context& ctx, const Tensor& x, const Tensor& dtokens, const Tensor& dx) const;
  void tangent(Context& ctx, const Tensor& dx, const Tensor& dtokens) const;
  std::size_t table_bytes() const { return storage_.bytes(); }

 private:
  PatchGeometry geometry_;
  std::int64_t tokens_;
  int width_;
  Buffer storage_;
  Tensor features_;  // [tokens, features]
  Linear patch_, position_;
};

}  // namespace zonda::model
