#pragma once
// MergedBlocks: blocks in the middle of a trunk that see fewer tokens of each sample, those that stand for their
// groups; behind them every token takes what these have changed by. A network may answer besides, to first order, to
// how a token departs from those that stand for it: a learnt matrix times the departure. Which token stands for which
// is taken as given by the derivatives: it changes at single points of the tokens' space alone.
#include <functional>
#include <vector>

#include "model/network/block.hpp"
#include "model/network/linear.hpp"
#include "model/network/network_config.hpp"
#include "model/network/token_merging.hpp"

namespace zonda::model {

class MergedBlocks {
 public:
  /// `response [D, D]`: the answer to departures, or null. All must outlive this.
  MergedBlocks(const TokenMerging& merging, const NetworkShape& shape, const TokenGrid& grid, const Linear* response);
  const TokenMerging& merging() const { return merging_; }

  /// What forward() keeps for backward() and tangent().
  struct Saved {
    std::vector<TokenGroups> groups;         // [samples]
    std::vector<MergedSequences> sequences;  // [samples, kinds of blocks]
    std::vector<Tensor> inputs;              // [blocks + 1] of [samples groups, D]: their inputs, the last one's output
    std::vector<Block::Saved> blocks;        // [blocks, samples]
    Tensor departures;                       // [samples (tokens - groups), D], where there is an answer to them
  };
  /// The trunk's blocks, and who is told of their use.
  struct Use {
    std::function<const Block&(std::size_t block)> block;
    std::function<void(std::size_t block)> before, after;
  };

  /// x [samples tokens, D], row after row, becomes what it is behind the blocks; modulation [samples, 6 D].
  void forward(Context& ctx, const Use& use, const Tensor& modulation, const Tensor& x, Saved& saved,
               const std::function<Recompute(std::size_t)>& recompute) const;
  /// `d` holds the gradient behind the blocks and becomes that ahead of them; the modulation's accumulates.
  void backward(Context& ctx, const Use& use, Saved& saved, const Tensor& d, const Tensor& dmodulation) const;
  /// `d` holds the tangent ahead of the blocks and becomes that behind them.
  void tangent(Context& ctx, const Use& use, const Saved& saved, const Tensor& d) const;

 private:
  std::size_t blocks() const { return static_cast<std::size_t>(merging_.last - merging_.first); }
  std::size_t block(std::size_t i) const { return static_cast<std::size_t>(merging_.first) + i; }
  const SequenceTable& table(const Saved& saved, std::size_t i, std::size_t sample) const {
    return saved.sequences[sample * drafts_.size() + kind_of_[i]].table();
  }
  Tensor of_sample(const Tensor& groups, std::size_t sample) const {
    return groups.slice(static_cast<std::int64_t>(sample) * merging_.tokens, merging_.tokens);
  }
  template <class T>
  void merge(const Tensor& x, Saved& saved) const;
  /// Of tokens given up, in all samples.
  Tensor take_given_up(Context& ctx, std::size_t samples) const {
    return ctx.take({static_cast<std::int64_t>(samples) * (grid_.count() - merging_.tokens), width_});
  }
  /// x += what `product` makes of the departures, at the tokens given up.
  template <class Product>
  void respond(Context& ctx, const std::vector<TokenGroups>& groups, const Tensor& x, Product&& product) const;
  /// The gradient `d` behind the blocks is joined by that of the departures; survivors have theirs in `dsurvivors`.
  void respond_back(Context& ctx, const Saved& saved, const Tensor& d, const Tensor& dsurvivors) const;
  bool responds() const { return response_ && merging_.tokens < grid_.count(); }

  TokenMerging merging_;
  TokenGrid grid_;
  std::int64_t width_;
  const Linear* response_;
  std::vector<SequenceDraft> drafts_;  // of each kind of block
  std::vector<std::size_t> kind_of_;   // [blocks]
};

}  // namespace zonda::model
