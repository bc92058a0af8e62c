#pragma once
// LevelEmbedding: each level's channels to narrow tokens of their own, one block of attention over the levels of a
// site, then all of them to one token. Sample by sample, or where sums are taken chunk by chunk all samples of a chunk;
// backward and tangent compute everything again from the input.
#include <vector>

#include "model/network/block.hpp"
#include "model/network/sequences.hpp"
#include "model/network/slab.hpp"

namespace zonda::model {

/// Sizes of the tokens of a level.
struct LevelShape {
  int width, heads;
};

class LevelEmbedding {
 public:
  /// `groups` [input channels]: the level each belongs to, 0 .. levels - 1, each with a channel at least. Throws
  /// Error(usage) otherwise.
  LevelEmbedding(ParameterStore& store, const Slab& slab, const std::vector<int>& groups, const LevelShape& shape,
                 int width, DType dtype, Memory& memory);
  /// x [B, C, H, W], all rows that the slab's kernels read -> tokens [B T, D].
  void forward(Context& ctx, const Tensor& x, const Tensor& tokens) const;
  /// dx [B, C, H, W] overwritten; may be none.
  void backward(Context& ctx, const Tensor& x, const Tensor& dtokens, const Tensor& dx) const;
  void tangent(Context& ctx, const Tensor& x, const Tensor& dx, const Tensor& dtokens) const;
  std::size_t table_bytes() const { return sequence_.bytes(); }
  /// Of a forward pass of so many tokens.
  double flops(std::int64_t tokens) const;

 private:
  struct Level {
    std::vector<ChannelTerm> gather, scatter;  // channels of the input to those of the level, and back
    Linear patch;
  };
  /// The levels' tokens, site after site.
  Tensor embed(Context& ctx, const Tensor& x, bool tangent) const;
  void backward_together(Context& ctx, const Tensor& x, const Tensor& dtokens, const Tensor& dx) const;
  Tensor take_image(Context& ctx, const Tensor& x, const Level& level) const;
  Tensor level_tokens(Context& ctx, std::int64_t samples) const {
    return ctx.take({samples * levels() * tokens_, level_width_});
  }
  /// What the block adds to its own modulation: nothing.
  Tensor no_modulation(Context& ctx, std::int64_t rows = 1) const;
  Shape by_site(std::int64_t samples) const { return {samples * tokens_, levels() * level_width_}; }
  std::int64_t levels() const { return static_cast<std::int64_t>(levels_.size()); }

  PatchGeometry geometry_;
  std::int64_t tokens_, level_width_;
  std::vector<Level> levels_;
  Block block_;
  Linear projection_;
  Sequences sequence_;
  std::vector<SequenceTable> sequences_of_chunks_;
  std::vector<std::int64_t> chunks_;       // of a sample's levels' tokens
  IndexTable sites_first_, levels_first_;  // of a sample
};

}  // namespace zonda::model
