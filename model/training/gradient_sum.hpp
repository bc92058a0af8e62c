#pragma once
// The gradient of a batch as a sum over its micro-batches, and over the chunks of latitude that slabs hold, on one
// fixed tree: the same bits on any ranks.
#include <cstddef>
#include <functional>
#include <optional>
#include <vector>

#include "model/ops/backend.hpp"
#include "model/training/parameter_shares.hpp"
#include "parallel/canonical.hpp"
#include "parallel/communication_stream.hpp"
#include "parallel/partition.hpp"

namespace zonda::model {

struct GradientSumOptions {
  int passes = 1;          ///< backward passes of a micro-batch
  bool by_bucket = false;  ///< a bucket's gradients are taken away as soon as they are ready (host memory)
  bool chunked = false;    ///< each pass adds a sum over chunks to the gradients; else products add to them as they are
  bool whole = false;      ///< every rank gets the whole sum, not its share alone
  bool fast = false;       ///< sums over ranks in the library's order
};

/// Most that a rank whose share of a bucket list is `bytes` holds for `terms` micro-batches of its own.
std::size_t gradient_sum_bytes(std::size_t terms, std::size_t bytes);

/// Gradients are those of the store; after finish() this rank's share there is the sum's.
class GradientSum {
 public:
  /// `terms` micro-batches in all; this rank adds those of parallel::partition(terms, data ranks, data rank), in order.
  /// Throws Error(usage) where a rank has none of them though buckets are summed while others wait for it.
  GradientSum(ParameterStore& store, const ParameterShares& shares, std::size_t terms,
              const GradientSumOptions& options);
  /// Before a micro-batch: the gradients become zero.
  void begin_term(Context& ctx);
  /// After each pass, with `by_bucket`: the bucket's gradients are taken and zero again. Where the ranks have groups
  /// beside the passes' own, this goes on while the next bucket's gradients are found: one bucket at a time.
  void gradients_ready(std::size_t bucket);
  /// Before more is added to a bucket's gradients: what was there has been taken.
  void settle(std::size_t bucket);
  /// After the last pass of a micro-batch.
  void end_term(Context& ctx);
  /// The sum is there; the object is empty again. Collective.
  void finish(Context& ctx);
  bool by_bucket() const { return options_.by_bucket; }
  /// With `by_bucket`: whether the pass that is under way is the last of the step that adds to the bucket's gradients.
  bool is_last_of(std::size_t bucket) const {
    return options_.by_bucket && added_ + 1 == own_terms() && buckets_[bucket].pass + 1 == options_.passes;
  }

 private:
  /// Sums of whole nodes of the tree over the micro-batches, of what of a bucket's gradients this slab finishes.
  struct BucketSum {
    std::vector<std::vector<float>> sums;  // the first nodes.size() are in use
    std::vector<parallel::TreeNode> nodes;
    int pass = 0;
  };
  /// A bucket's gradients of one pass.
  struct Found {
    std::size_t bucket, term;  // of all micro-batches
    bool first, last;          // of the micro-batch's passes that are taken
    bool ends;                 // behind it nothing comes of this rank's
  };
  /// Columns of a bucket that nobody reads any more.
  using Spent = std::function<void(parallel::Range columns)>;
  void take(const Found& found);
  void wait();
  const parallel::Communicator& data() const;
  const parallel::Communicator& slabs() const;
  bool learns(std::size_t bucket) const;
  std::span<float> gradients(ArenaRange range) const;
  std::size_t own_terms() const { return end_ - begin_; }
  /// Over the data ranks, to this rank's share.
  void reduce_to_share(std::size_t bucket, std::span<const std::span<const float>> sums, std::span<float> share,
                       const Spent& spent = {}) const;
  void sum_over_slabs(std::size_t bucket, std::span<const float> mine, std::span<float> sum, const Spent& spent) const;
  void join(Context& ctx);
  void finish_whole(Context& ctx);

  ParameterStore& store_;
  const ParameterShares& shares_;
  const std::size_t terms_;
  const GradientSumOptions options_;
  std::size_t begin_, end_, added_ = 0;  // of this rank's terms
  // Not by bucket: of the whole arena, in the backend's memory.
  std::vector<Buffer> partial_;
  std::vector<parallel::TreeNode> nodes_;
  std::vector<BucketSum> buckets_;
  // At most one bucket is on its way; last, so that it is over before what it uses goes.
  struct UnderWay {
    std::size_t bucket;
    parallel::Event event;
  };
  std::optional<UnderWay> under_way_;
  parallel::CommunicationStream stream_;
};

}  // namespace zonda::model
