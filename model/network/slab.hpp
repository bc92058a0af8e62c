#pragma once
// Slab: the latitudes of the token grid that one rank of the spatial axis holds, whole canonical chunks of token rows.
#include <cstdint>
#include <span>
#include <vector>

#include "model/network/token_grid.hpp"
#include "parallel/communicator.hpp"
#include "parallel/partition.hpp"

namespace zonda::model {

/// How one sample is shared by ranks. Sums over its tokens are added chunk by chunk over one binary tree, so that their
/// bits do not depend on the ranks; a rank's chunks are a whole subtree.
struct Sharding {
  parallel::Communicator slabs = parallel::Communicator::self();  ///< ranks from north to south; a power of two
  int chunks = 1;  ///< of a sample over all ranks: a power of two, a multiple of the ranks
  /// Ranks that share every block's heads and hidden columns, and add up what they make of them; they divide the heads.
  parallel::Communicator heads = parallel::Communicator::self();
  /// Ranks that share the layers, first to last: each holds some blocks that follow one another (stages.hpp).
  parallel::Communicator stages = parallel::Communicator::self();
};

/// Chunks of a sample that let `most` ranks share it without making any of them too small for products to run at full
/// speed: a power of two, at most one for each window row, of 128 tokens at least.
int chunks_for(const TokenGrid& grid, int window_rows, int most = 16);

class Slab {
 public:
  /// Chunks are cut between windows of `window_rows` where there are enough of them. Throws Error(usage) naming the
  /// numbers where ranks or chunks are no powers of two, ranks outnumber chunks, or chunks outnumber token rows.
  Slab(const TokenGrid& whole, const Sharding& sharding, int window_rows);

  const parallel::Communicator& ranks() const { return ranks_; }
  bool alone() const { return ranks_.size() == 1; }
  /// Over all ranks; 1: sums over tokens are taken in one go.
  int chunks() const { return chunks_; }
  int chunks_here() const { return chunks_ / ranks_.size(); }
  int first_chunk() const { return ranks_.rank() * chunks_here(); }

  /// First token row of each chunk of the whole grid, and the rows' number: [chunks() + 1].
  const std::vector<std::int64_t>& row_cuts() const { return cuts_; }
  /// Token rows of the whole grid that a rank (this one) holds.
  parallel::Range token_rows(int rank) const;
  parallel::Range token_rows() const { return token_rows(ranks_.rank()); }
  /// Its grid points' rows: those of its tokens without the row that a kernel shares with the next token, which belongs
  /// to the south, and with the last row at the grid's end.
  parallel::Range image_rows(int rank) const;
  parallel::Range image_rows() const { return image_rows(ranks_.rank()); }
  /// Image rows of each rank, as HaloExchange takes them.
  std::vector<std::size_t> image_row_counts() const;
  std::vector<std::size_t> token_row_counts() const;
  /// Image rows of a chunk of the whole grid.
  parallel::Range image_rows_of_chunk(int chunk) const;
  /// Where this rank's chunks begin in its tokens of one sample, in raster order, and the tokens' number:
  /// [chunks_here() + 1].
  const std::vector<std::int64_t>& chunk_offsets() const { return offsets_; }
  /// Where they begin in its image rows, and the rows' number: [chunks_here() + 1].
  std::vector<std::int64_t> image_row_offsets() const;
  /// The grid's patches, with this rank's token rows alone.
  PatchGeometry patches() const;
  std::int64_t token_count() const { return offsets_.back(); }

 private:
  parallel::Range image_rows_between(std::int64_t first, std::int64_t end) const;
  parallel::Communicator ranks_;
  int chunks_;
  PatchGeometry whole_;
  std::vector<std::int64_t> cuts_, offsets_;
};

}  // namespace zonda::model
