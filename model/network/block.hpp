#pragma once
// Block: attention over the sequences of a table, then an MLP; each half x + gate * f(norm(x) (1 + scale) + shift).
#include <functional>
#include <span>

#include "model/network/linear.hpp"
#include "model/ops/attention.hpp"

namespace zonda::model {

/// What backward computes again instead of keeping it: nothing; the hidden layer of the MLP; everything but the input.
enum class Recompute { none, mlp, block };

/// Who attends to whom in a block, of all tokens and of each chunk of them (LayerTokens).
struct BlockTokens {
  const SequenceTable& all;
  std::span<const SequenceTable> by_chunk = {};
  BlockTokens(const SequenceTable& table) : all(table) {}
  BlockTokens(const SequenceTable& table, std::span<const SequenceTable> chunks) : all(table), by_chunk(chunks) {}
};

class Block {
 public:
  /// What the weights of both branches' last products begin with: noise behind closed gates, or zero behind gates that
  /// may be open already.
  enum class Start { closed_gates, zero_branches };
  /// `heads_over`: ranks that share the heads and the MLP's hidden columns; they divide the heads.
  Block(ParameterStore& store, const std::string& name, int width, int heads, int mlp_ratio,
        const AdapterShape& adapters = {}, Start start = Start::closed_gates,
        const parallel::Communicator& heads_over = parallel::Communicator::self());

  /// What forward keeps for backward and tangent, besides its input.
  struct Saved {
    Tensor modulation;                // [B, 6 D]
    Tensor statistics1, statistics2;  // [N, 2]
    Tensor qkv, attended, log_sum;    // [N, 3 D], [N, D], [N, heads], of this rank's heads
    Tensor projected, middle;         // [N, D]
    Tensor hidden, branch;            // [N, 4 D], [N, D]
    Recompute recompute = Recompute::none;
  };

  /// x [N, D], modulation [B, 6 D] shared by all blocks (or one row for all samples) -> y [N, D]. In mixed precision
  /// the residual stream and everything per row is f32; what the products read and write is bf16.
  void forward(Context& ctx, const SequenceTable& table, const Tensor& x, const Tensor& modulation, const Tensor& y,
               Saved& saved, Recompute recompute = Recompute::none) const;
  /// The same in pieces, of whole sequences of one sample or of whole samples, in any order: between begin() and end().
  /// x and y are all rows.
  void begin(Context& ctx, const Tensor& x, const Tensor& modulation, Saved& saved,
             Recompute recompute = Recompute::none) const;
  struct Piece {
    std::int64_t sample, samples;  ///< that follow one another
    std::int64_t first;            ///< row of x with which it begins
    const SequenceTable& table;
  };
  void forward(Context& ctx, const Piece& piece, const Tensor& x, const Tensor& y, const Saved& saved) const;
  void end(Context& ctx, Saved& saved) const;

  /// Moments of backward(): `d` is about to be read for the first time; `d` holds dx, and gradients of weights are
  /// still to come.
  struct Moments {
    std::function<void()> gradient_needed, input_gradient_ready;
  };
  /// `d` holds dy and becomes dx; the shared modulation's gradient accumulates: [B, 6 D], or where the context has
  /// chunks [chunks B, 6 D], chunk after chunk.
  void backward(Context& ctx, const BlockTokens& tokens, const Tensor& x, Saved& saved, const Tensor& d,
                const Tensor& dmodulation, const Moments& moments) const;
  void backward(Context& ctx, const BlockTokens& tokens, const Tensor& x, Saved& saved, const Tensor& d,
                const Tensor& dmodulation) const {
    backward(ctx, tokens, x, saved, d, dmodulation, {});
  }
  void tangent(Context& ctx, const SequenceTable& table, const Tensor& x, const Saved& saved, const Tensor& dx,
               const Tensor& dy) const;
  /// Releases what forward kept.
  void release(Context& ctx, Saved& saved) const;
  /// Adds the adapters of one bucket to the weights.
  void merge_adapters(Context& ctx, int bucket) const;
  /// Of its four matrices, as Linear's.
  void keep_precise(const std::function<bool(std::string_view parameter)>& choose) {
    for (Linear* layer : {&qkv_, &projection_, &up_, &down_}) layer->keep_precise(choose);
  }

 private:
  bool keeps(const Context& ctx, const Saved& saved) const { return ctx.keep && saved.recompute != Recompute::block; }
  bool keeps_hidden(const Context& ctx, const Saved& saved) const {
    return ctx.keep && saved.recompute == Recompute::none;
  }
  /// Everything up to the MLP's branch, into what `saved` has and memory that is taken for the rest; what `keep` leaves
  /// out is released after its last use.
  void branches(Context& ctx, const SequenceTable& table, const Tensor& x, Saved& saved, bool keep,
                bool keep_hidden) const;
  /// forward() in int8, keeping nothing: the same, each half's operations in one.
  bool only_int8(const Context& ctx) const;
  void forward_int8(Context& ctx, const SequenceTable& table, const Tensor& x, const Tensor& y, Saved& saved) const;
  void attention_backward(Context& ctx, const BlockTokens& tokens, const Saved& saved, const Tensor& dattended,
                          const Tensor& dqkv) const;
  AttentionShape shape_of(const Tensor& x, const SequenceTable& table) const {
    return {x.shape[0] / table.token_count(), heads_, head_size_};
  }
  bool learns(const Context& ctx, ParameterId id) const { return ctx.weight_gradients && !store_->at(id).frozen; }
  // Columns of the modulation.
  std::int64_t shift(int half) const { return 3 * half * std::int64_t{width_}; }
  std::int64_t scale(int half) const { return shift(half) + width_; }
  std::int64_t gate(int half) const { return shift(half) + 2 * width_; }

  ParameterStore* store_;
  parallel::Communicator ranks_;
  int width_, heads_, head_size_;  // heads of this rank
  ParameterId table_, q_gain_, k_gain_;
  Linear qkv_, projection_, up_, down_;
};

}  // namespace zonda::model
