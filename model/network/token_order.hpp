#pragma once
// The order in which the tokens of a sample lie in a layer: over ranks, chunks and sequences.
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "model/network/sequences.hpp"
#include "model/network/slab.hpp"

namespace zonda::model {

/// Tokens of the whole sample, rank after rank, chunk after chunk.
struct TokenOrder {
  std::vector<std::int32_t> tokens;
  std::vector<std::int64_t> chunks;  ///< [chunks + 1] where each begins
  int ranks = 1;
  std::int64_t rank_begin(int rank) const;
  std::int64_t count(int rank) const { return rank_begin(rank + 1) - rank_begin(rank); }
  bool operator==(const TokenOrder&) const = default;
};

/// Row after row: what embedding and head work on.
TokenOrder raster_order(const Slab& slab);

/// Which chunk a sequence belongs to.
enum class Cut {
  by_row,  ///< that of its northernmost token, so that windows stay with the slab they begin in; evenly where windows
           ///< are too tall for that
  evenly,  ///< in turn, as many tokens in each as can be: sequences that reach around the globe
};

/// The tokens of a layer on this rank: whole sequences, as neighbours; none where there are fewer sequences than ranks.
/// Their numbers in its tables are 0, 1, 2 ...
class LayerTokens {
 public:
  LayerTokens(const SequenceDraft& whole, const Slab& slab, Cut cut, DType dtype, Memory& memory);
  /// Of all ranks' tokens; there until forget_order(), as moves are made of it.
  const TokenOrder& order() const { return order_; }
  void forget_order() { order_ = {}; }
  const SequenceTable& table() const { return all_.table; }
  /// One for each of this rank's chunks; none where sums are taken in one go.
  std::span<const SequenceTable> tables_of_chunks() const { return by_chunk_; }
  /// Where this rank's chunks begin among its tokens, [chunks + 1]; empty where sums are taken in one go.
  std::span<const std::int64_t> chunks() const { return chunks_; }
  std::int64_t count() const { return table().token_count(); }
  std::size_t bytes() const;

 private:
  TokenOrder order_;
  Sequences all_;
  std::vector<SequenceTable> by_chunk_;  // phases are views of all_'s
  std::vector<std::int64_t> chunks_;
};

/// Takes the rows of tokens from one order to another, over the ranks of a slab.
class TokenMove {
 public:
  TokenMove(const TokenOrder& from, const TokenOrder& to, const Slab& slab);
  /// rows [samples n, D], in the arena, are released and replaced; left alone where the orders are the same.
  /// Collective.
  void forward(Context& ctx, std::int64_t samples, Tensor& rows) const { move(ctx, samples, out_, in_, rows); }
  /// The adjoint, and inverse.
  void backward(Context& ctx, std::int64_t samples, Tensor& rows) const { move(ctx, samples, in_, out_, rows); }
  bool nothing() const { return nothing_; }
  /// Rows of a sample that this rank sends away in forward(), and ranks it sends them to; in backward() it sends those
  /// that it received.
  std::int64_t rows_sent() const { return away(out_); }
  std::int64_t rows_received() const { return away(in_); }
  std::int64_t messages_sent() const { return messages(out_); }
  std::int64_t messages_received() const { return messages(in_); }
  std::size_t bytes() const;

 private:
  /// One side: this rank's rows, in the order in which they travel, rank by rank.
  struct Side {
    std::vector<std::int32_t> rows;
    std::vector<std::int64_t> begin;  // [ranks + 1]
    std::int64_t count() const { return begin.back(); }
  };
  std::int64_t away(const Side& side) const;
  std::int64_t messages(const Side& side) const;
  void move(Context& ctx, std::int64_t samples, const Side& out, const Side& in, Tensor& rows) const;

  parallel::Communicator ranks_;
  bool nothing_;
  Side out_, in_;
  IndexTable alone_, back_;  // of one rank
};

}  // namespace zonda::model
