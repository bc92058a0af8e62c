#pragma once
// Trunk: the blocks in their order, each with the table of who attends to whom. Blocks of a lifted network work on
// interleaved sub-fields of the tokens; the lift's own blocks, evenly among them, on all tokens.
#include <functional>
#include <map>
#include <optional>
#include <vector>

#include "model/network/block.hpp"
#include "model/network/depthwise.hpp"
#include "model/network/layer_cut.hpp"
#include "model/network/merged_blocks.hpp"
#include "model/network/network_config.hpp"
#include "model/network/token_move.hpp"
#include "model/network/token_tap.hpp"
#include "parallel/layout/halo_exchange.hpp"

namespace zonda::model {

class Trunk {
 public:
  /// `heads_over`: as Block's.
  Trunk(ParameterStore& store, const NetworkShape& shape, const TokenGrid& grid, const Slab& slab, DType dtype,
        Memory& memory, const parallel::Communicator& heads_over = parallel::Communicator::self());

  /// What a layer leaves for backward and tangent; `input` is its tokens.
  struct Saved {
    Tensor input, convolved;
    Block::Saved block;
  };
  struct Activations {
    std::int64_t samples = 0;
    std::vector<Saved> layers;
    MergedBlocks::Saved merged;
    Tensor output;
  };
  /// Is told when a layer's parameters come into use, and when they have been used; `tap`, where there is one, sees the
  /// layers' outputs.
  struct Watch {
    std::function<void(std::size_t layer)> before, after;
    const TokenTap* tap = nullptr;
    /// Is told when work on a layer begins and ends, between which this rank waits for nobody.
    std::function<void(std::size_t layer, const char* what, bool begins)> work = {};
  };

  /// Keeps to layers [begin, end) from now on, and to what they send and work; others run on other ranks. Tokens come
  /// in the order of the layer before, row after row ahead of the first, and leave in that of the last of them, row
  /// after row behind the trunk's last.
  void keep_to(std::size_t begin, std::size_t end);
  std::size_t first_layer() const { return begin_; }
  std::size_t end_layer() const { return end_; }
  /// Of a sample.
  std::int64_t tokens_arriving() const { return tokens_behind(begin_); }
  std::int64_t tokens_leaving() const { return ends() ? raster_tokens_ : tokens_behind(end_); }

  /// `input` [B tokens_arriving(), D] is taken by the caller and belongs to the trunk from then on. Sets a.output.
  /// `recompute(i)` of layer i.
  void forward(Context& ctx, const Tensor& input, const Tensor& modulation, Activations& a,
               const std::function<Recompute(std::size_t)>& recompute, const Watch& watch) const;
  /// `d` holds the output's gradient and becomes the input's, in other memory; the modulation's accumulates, chunk by
  /// chunk as Block's.
  void backward(Context& ctx, Activations& a, Tensor& d, const Tensor& dmodulation, const Watch& watch) const;
  /// `d` holds the input's tangent; returns the output's, in memory of the arena.
  Tensor tangent(Context& ctx, const Activations& a, Tensor d, const Watch& watch) const;

  /// From now on tokens are merged, `response` as MergedBlocks'; none: no longer. Of samples on the host, not shared,
  /// without a lift. Throws Error(usage) for blocks or tokens that are not there.
  void set_merging(const std::optional<TokenMerging>& merging, const Linear* response);

  void merge_adapters(Context& ctx, int bucket) const;
  void keep_precise(const std::function<bool(std::string_view parameter)>& choose) {
    for (Layer& layer : layers_) layer.block.keep_precise(choose);
  }
  std::size_t layers() const { return layers_.size(); }
  const std::string& name(std::size_t layer) const { return layers_[layer].name; }
  /// What this rank sends to other slabs in forward(), or backward(); the residual stream travels in `dtype`.
  parallel::HaloExchange::Traffic forward_traffic(std::int64_t samples, DType dtype) const;
  parallel::HaloExchange::Traffic backward_traffic(std::int64_t samples, DType dtype, bool learning) const;
  std::size_t table_bytes() const;
  /// Of one sample's forward pass through a layer, over all slabs.
  double flops(std::size_t layer) const;

 private:
  struct Layer {
    std::string name;
    Block block;
    std::size_t tokens;                    // of tokens_
    std::optional<Depthwise> convolution;  // of the lift's own blocks, ahead of attention, row after row
    std::size_t arrive = 0, enter = 0;     // of moves_: from the layer before; to the block from the convolution
    std::size_t rows = 0;                  // of moves_: from the layer to row after row
    std::size_t cut = 0;                   // of cuts_
  };
  /// How a layer is worked on: while rows at its edge travel, or one half after the other while all rows do.
  struct Cuts {
    LayerCut around_the_edge, in_halves;
  };
  /// What of a layer is worked on without waiting, as LayerCut::Turn.
  struct Turn {
    const char* what;
    std::vector<Block::Piece> pieces;
    std::size_t needs, gives;
  };
  /// The blocks that see fewer tokens, and how those before and behind them order theirs.
  struct Merged {
    MergedBlocks blocks;
    std::optional<TokenMove> arrive, leave;  // to and from row after row
    std::size_t first() const { return static_cast<std::size_t>(blocks.merging().first); }
    std::size_t last() const { return static_cast<std::size_t>(blocks.merging().last); }
  };
  /// `coming`: the layer's input on its way, which is over then; becomes the output's, unless it goes nowhere.
  void forward(Context& ctx, std::size_t i, const Tensor& modulation, Activations& a, Recompute recompute,
               const Watch& watch, TokenMove::Passage& coming) const;
  void forward_in_turns(Context& ctx, std::size_t i, const std::vector<Turn>& turns, const Tensor& x,
                        const Tensor& modulation, Activations& a, Recompute recompute, const Watch& watch,
                        TokenMove::Passage& coming, TokenMove::Passage& going) const;
  /// None: the layer is worked on in one go.
  std::vector<Turn> turns(std::size_t layer, std::int64_t samples) const;
  Dispatch dispatch(const TokenMove& move, std::int64_t samples) const;
  /// Where a layer's output goes in forward(); null where it stays.
  const TokenMove* onward(std::size_t layer) const;
  /// Starts a move of rows that are all there.
  TokenMove::Passage started(Context& ctx, const TokenMove& move, std::int64_t samples, TokenMove::Way way,
                             Tensor& rows, Dispatch dispatch = Dispatch::at_once) const;
  static WorkWatch convolution_watch(std::size_t layer, const Watch& watch);
  void show(Context& ctx, std::size_t i, const Activations& a, const TokenTap* tap) const;
  void collect(Context& ctx, std::size_t i, const Activations& a, const Tensor& d, const TokenTap* tap) const;
  MergedBlocks::Use use_of(const Watch& watch) const;
  void forward_merged(Context& ctx, const Tensor& modulation, Activations& a,
                      const std::function<Recompute(std::size_t)>& recompute, const Watch& watch) const;
  void backward_merged(Context& ctx, Activations& a, Tensor& d, const Tensor& dmodulation, const Watch& watch) const;
  /// Whether tokens are merged behind this layer's output, or the layer is the first that sees all of them again.
  bool merged_behind(std::size_t layer) const { return merged_ && layer + 1 == merged_->first(); }
  bool merged_ahead_of(std::size_t layer) const { return merged_ && layer == merged_->last(); }
  /// Whether the trunk's last tokens are in their layer's order, not row after row already.
  bool leaves_in_order() const { return ends() && !merged_ahead_of(end_); }
  const TokenMove& arrival(const Layer& layer) const { return moves_[layer.convolution ? layer.enter : layer.arrive]; }
  const LayerTokens& tokens(const Layer& layer) const { return tokens_[layer.tokens]; }
  bool ends() const { return end_ == layers_.size(); }
  std::int64_t tokens_behind(std::size_t layer) const {
    return layer == 0 ? raster_tokens_ : tokens(layers_[layer - 1]).count();
  }
  BlockTokens block_tokens(const Layer& layer) const {
    return {tokens(layer).table(), tokens(layer).tables_of_chunks()};
  }

  NetworkShape shape_;
  TokenGrid grid_;
  Slab slab_;
  DType dtype_;
  Memory* memory_;
  std::int64_t width_, raster_tokens_;  // tokens of the slab
  std::vector<std::int64_t> raster_chunks_;
  std::vector<LayerTokens> tokens_;
  std::vector<double> pairs_;  // of tokens that attend to each other, over all slabs, of each of tokens_
  std::vector<TokenMove> moves_;
  std::vector<Cuts> cuts_;
  bool in_portions_ = false;  // rows go in portions, where there is room for it
  std::vector<Layer> layers_;
  std::size_t begin_ = 0, end_ = 0;  // of the layers that run here
  std::optional<Merged> merged_;
  std::size_t leave_ = 0;  // of moves_: from the last layer to row after row
};

}  // namespace zonda::model
