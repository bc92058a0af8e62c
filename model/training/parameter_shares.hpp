#pragma once
// Who keeps what of the parameters, their gradients and moments: every bucket is cut over the ranks that train it.
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "model/network/buckets.hpp"
#include "model/tensor/parameter_store.hpp"
#include "parallel/communicator.hpp"

namespace zonda::model {

/// Numbers [first, first + count) of the parameters' arenas.
struct ArenaRange {
  std::int64_t first = 0, count = 0;
};

/// The ranks that train one set of parameters.
struct TrainingRanks {
  parallel::Communicator data = parallel::Communicator::self();   ///< have other micro-batches
  parallel::Communicator slabs = parallel::Communicator::self();  ///< have other latitudes of the same
  parallel::Communicator all = parallel::Communicator::self();    ///< both; rank = slab x data ranks + data rank
  parallel::Communicator heads = parallel::Communicator::self();  ///< have other heads and hidden columns
  /// Have other layers; `all` are of one stage.
  parallel::Communicator stages = parallel::Communicator::self();
  /// The data ranks and the slabs as groups of their own, for sums that go on beside the passes.
  struct Beside {
    parallel::Communicator data, slabs;
  };
  std::optional<Beside> beside{};  ///< none: sums are waited for
  static TrainingRanks of_data(const parallel::Communicator& data) {
    return {data, parallel::Communicator::self(), data};
  }
};

/// Where ranks share heads, each has parameters of its own, which it shares with the ranks of its heads. A bucket is of
/// one stage; the ranks of others have none of it.
///
/// A bucket's shares follow one another: those of the first slab, among them the data ranks', then the next slab's.
/// Cuts lie between the optimiser's pieces (optimiser_piece), so that norms add up alike on any ranks.
class ParameterShares {
 public:
  ParameterShares(const ParameterStore& store, std::vector<Bucket> buckets, const TrainingRanks& ranks);
  const std::vector<Bucket>& buckets() const { return buckets_; }
  const TrainingRanks& ranks() const { return ranks_; }
  /// Whether this rank has all there is.
  bool alone() const { return ranks_.all.size() == 1 && ranks_.stages.size() == 1; }
  /// Whether this rank's stage uses the bucket.
  bool here(std::size_t bucket) const { return buckets_[bucket].stage == ranks_.stages.rank(); }
  /// Within the bucket, of all ranks: [ranks + 1].
  std::span<const std::size_t> cuts(std::size_t bucket) const { return cuts_[bucket]; }
  /// Within the bucket, of the slabs: [slabs + 1].
  std::vector<std::size_t> slab_cuts(std::size_t bucket) const;
  /// Within this slab's share, of its data ranks: [data ranks + 1].
  std::vector<std::size_t> data_cuts(std::size_t bucket) const;
  ArenaRange slab_share(std::size_t bucket) const;
  /// Of a rank of the bucket's stage.
  ArenaRange share(std::size_t bucket, int rank) const;
  ArenaRange own(std::size_t bucket) const {
    return here(bucket) ? share(bucket, ranks_.all.rank()) : ArenaRange{buckets_[bucket].first, 0};
  }

 private:
  std::size_t data() const { return static_cast<std::size_t>(ranks_.data.size()); }
  TrainingRanks ranks_;
  std::vector<Bucket> buckets_;
  std::vector<std::vector<std::size_t>> cuts_;
};

}  // namespace zonda::model
