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
  /// Of each rank's sequences, where the second half of them begins; empty where they are not told apart.
  std::vector<std::int64_t> second_halves{};
  std::int64_t rank_begin(int rank) const;
  std::int64_t count(int rank) const { return rank_begin(rank + 1) - rank_begin(rank); }
  /// Whether every token lies in the same place.
  bool is_that_of(const TokenOrder& other) const {
    return tokens == other.tokens && chunks == other.chunks && ranks == other.ranks;
  }
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
  /// Sequences of this rank that are its first half.
  std::size_t first_half() const { return first_half_; }
  void forget_order() { order_ = {}; }
  const SequenceTable& table() const { return all_.table; }
  /// One for each of this rank's chunks; none where sums are taken in one go.
  std::span<const SequenceTable> tables_of_chunks() const { return by_chunk_; }
  /// Of sequences [begin, end) of this rank alone, which follow one another.
  SequenceTable part(std::size_t begin, std::size_t end) const;
  /// Where this rank's chunks begin among its tokens, [chunks + 1]; empty where sums are taken in one go.
  std::span<const std::int64_t> chunks() const { return chunks_; }
  std::int64_t count() const { return table().token_count(); }
  std::size_t bytes() const;

 private:
  TokenOrder order_;
  std::size_t first_half_ = 0;
  Sequences all_;
  std::vector<SequenceTable> by_chunk_;  // phases are views of all_'s
  std::vector<std::int64_t> chunks_;
};

}  // namespace zonda::model
