#pragma once
// Embedding: grid points to tokens by a convolution of stride `patch`, of all channels at once or level by level, plus
// the physical position. Images and tokens are those of a slab; where kernels overlap, the slab's last tokens reach
// into the next slab's first row.
#include <optional>

#include "model/network/halo.hpp"
#include "model/network/level_embedding.hpp"
#include "model/network/linear.hpp"
#include "model/network/position_embedding.hpp"
#include "model/network/slab.hpp"
#include "model/network/token_grid.hpp"

namespace zonda::model {

class Embedding {
 public:
  /// All channels at once.
  Embedding(ParameterStore& store, const TokenGrid& grid, const Slab& slab, int channels, int width, DType dtype,
            Memory& memory = host_memory(), int lift = 1);
  /// Level by level; `groups` as LevelEmbedding's.
  Embedding(ParameterStore& store, const TokenGrid& grid, const Slab& slab, const std::vector<int>& groups,
            const LevelShape& levels, int width, DType dtype, Memory& memory = host_memory(), int lift = 1);
  /// x [B, C, H, W] -> tokens [B T, D], row after row.
  void forward(Context& ctx, const Tensor& x, const Tensor& tokens) const;
  /// dx [B, C, H, W] overwritten; may be none.
  void backward(Context& ctx, const Tensor& x, const Tensor& dtokens, const Tensor& dx) const;
  void tangent(Context& ctx, const Tensor& x, const Tensor& dx, const Tensor& dtokens) const;
  std::size_t table_bytes(bool learning) const {
    return position_.table_bytes(learning) + (levels_ ? levels_->table_bytes() : 0);
  }
  /// Over all slabs.
  double flops_per_sample() const;
  using Traffic = parallel::HaloExchange::Traffic;
  /// What this rank sends, x's shape being that of its slab; in backward `learning` weights or not, with dx or without.
  Traffic forward_traffic(const Shape& x, DType dtype) const { return halo_.refresh_traffic(x, dtype); }
  Traffic backward_traffic(const Shape& x, DType dtype, bool learning, bool with_dx) const;
  Traffic tangent_traffic(const Shape& x, DType dtype) const;

 private:
  Embedding(ParameterStore& store, const TokenGrid& grid, const Slab& slab, std::optional<Linear> patch,
            std::optional<LevelEmbedding> levels, int width, DType dtype, Memory& memory, int lift);
  PatchGeometry geometry_;
  Halo halo_;  // of the row that kernels share with the next slab
  std::int64_t tokens_of_grid_;
  int width_;
  std::optional<Linear> patch_;
  std::optional<LevelEmbedding> levels_;
  PositionEmbedding position_;
};

}  // namespace zonda::model
