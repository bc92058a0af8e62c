#pragma once
// Embedding: grid points to tokens by a convolution of stride `patch`, of all channels at once or level by level, plus
// the physical position.
#include <optional>

#include "model/network/level_embedding.hpp"
#include "model/network/linear.hpp"
#include "model/network/token_grid.hpp"
#include "model/tensor/buffer.hpp"

namespace zonda::model {

class Embedding {
 public:
  /// All channels at once.
  Embedding(ParameterStore& store, const TokenGrid& grid, int channels, int width, DType dtype,
            Memory& memory = host_memory(), int lift = 1);
  /// Level by level; `groups` as LevelEmbedding's.
  Embedding(ParameterStore& store, const TokenGrid& grid, const std::vector<int>& groups, const LevelShape& levels,
            int width, DType dtype, Memory& memory = host_memory(), int lift = 1);
  /// x [B, C, H, W] -> tokens [B T, D].
  void forward(Context& ctx, const Tensor& x, const Tensor& tokens) const;
  /// dx [B, C, H, W] overwritten; may be none.
  void backward(Context& ctx, const Tensor& x, const Tensor& dtokens, const Tensor& dx) const;
  void tangent(Context& ctx, const Tensor& x, const Tensor& dx, const Tensor& dtokens) const;
  std::size_t table_bytes() const { return storage_.bytes() + (levels_ ? levels_->table_bytes() : 0); }
  double flops_per_sample() const;

 private:
  Embedding(ParameterStore& store, const TokenGrid& grid, std::optional<Linear> patch,
            std::optional<LevelEmbedding> levels, int width, DType dtype, Memory& memory, int lift);
  PatchGeometry geometry_;
  std::int64_t tokens_;
  int width_;
  Buffer storage_;
  Tensor features_;  // [tokens, features]
  std::optional<Linear> patch_;
  std::optional<LevelEmbedding> levels_;
  Linear position_;
};

}  // namespace zonda::model
