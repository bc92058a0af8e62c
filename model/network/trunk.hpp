#pragma once
// Trunk: the blocks in their order, each with the table of who attends to whom. Blocks of a lifted network work on
// interleaved sub-fields of the tokens; the lift's own blocks, evenly among them, on all tokens.
#include <map>
#include <optional>
#include <vector>

#include "model/network/block.hpp"
#include "model/network/depthwise.hpp"
#include "model/network/network_config.hpp"
#include "model/network/sequences.hpp"

namespace zonda::model {

class Trunk {
 public:
  Trunk(ParameterStore& store, const NetworkShape& shape, const TokenGrid& grid, DType dtype, Memory& memory);

  /// What a layer leaves for backward and tangent; `input` is its tokens.
  struct Saved {
    Tensor input, convolved;
    Block::Saved block;
  };
  struct Activations {
    std::vector<Saved> layers;
    Tensor output;
  };

  /// `input` [B T, D] is taken by the caller and belongs to the trunk from then on. Sets a.output. `recompute(i)` of
  /// layer i.
  template <class Policy>
  void forward(Context& ctx, const Tensor& input, const Tensor& modulation, Activations& a, Policy&& recompute) const {
    a.layers.resize(layers_.size());
    a.output = input;
    for (std::size_t i = 0; i < layers_.size(); ++i) forward(ctx, i, modulation, a, recompute(i));
  }
  /// `d` holds the output's gradient and becomes the input's; the modulation's accumulates.
  void backward(Context& ctx, Activations& a, const Tensor& d, const Tensor& dmodulation) const;
  /// `d` holds the input's tangent; returns the output's, in memory of the arena.
  Tensor tangent(Context& ctx, const Activations& a, Tensor d) const;

  void merge_adapters(Context& ctx, int bucket) const;
  std::size_t layers() const { return layers_.size(); }
  std::size_t table_bytes() const;
  /// Of one sample's forward pass.
  double flops(const NetworkShape& shape, std::int64_t tokens) const;

 private:
  struct Layer {
    Block block;
    std::size_t table;
    std::optional<Depthwise> convolution;  // of the lift's own blocks, ahead of attention
  };
  void forward(Context& ctx, std::size_t i, const Tensor& modulation, Activations& a, Recompute recompute) const;
  const SequenceTable& table(const Layer& layer) const { return tables_[layer.table].table; }

  std::vector<Sequences> tables_;
  std::vector<Layer> layers_;
};

}  // namespace zonda::model
