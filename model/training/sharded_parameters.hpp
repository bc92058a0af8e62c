#pragma once
// A network's parameters while ranks train it together: who keeps what, who updates what, and when values travel (ZeRO:
// Rajbhandari et al. 2020). 1: moments and average are cut; 2: gradients as well; 3: values as well, which are there
// only while a pass uses them.
#include <cstddef>
#include <map>
#include <utility>
#include <vector>

#include "model/network/forecast_network.hpp"
#include "model/ops/optimiser.hpp"
#include "model/training/gradient_sum.hpp"
#include "model/training/parameter_shares.hpp"

namespace zonda::model {

class ShardedParameters final : public BucketObserver {
 public:
  /// Observes the network as long as it lives. Before the network's parameters are allocated. A device keeps all of
  /// them on every rank; Error(usage) for stages 2 and 3 there.
  ShardedParameters(ForecastNetwork& network, const TrainingRanks& ranks, int zero, bool fast_sums);
  ~ShardedParameters() override;
  ShardedParameters(const ShardedParameters&) = delete;
  ShardedParameters& operator=(const ShardedParameters&) = delete;

  const ParameterShares& shares() const { return shares_; }
  int zero() const { return zero_; }
  /// What this rank updates, and keeps moments and average of. On a device all ranks update all.
  std::vector<ArenaRange> own() const;
  /// What this rank holds values of between steps.
  std::vector<ArenaRange> held() const;
  /// The part of the parameters that this rank writes to files: every number belongs to one rank.
  std::vector<ArenaRange> written() const;

  // --- before the first step
  /// Draws the initial weights.
  void initialise(std::uint64_t seed);
  /// After values were written from outside: those that this rank does not keep are given back; the average, unless
  /// `with_average`, becomes the values.
  void allocate(bool with_average);
  /// The average's share takes the place of the values'; everybody gets the new values.
  void take_average();

  // --- a step
  /// Of so many backward passes of a micro-batch, and micro-batches over all data ranks.
  GradientSumOptions sum_options(int passes, std::size_t terms) const;
  /// Gradients of a step go to `sum` from now on; null: nowhere.
  void collect(GradientSum* sum);
  /// Of the whole gradient, the same on all ranks. Collective, as all below.
  double gradient_norm() const;
  /// The new values are on their way when it returns: a bucket's are waited for where a pass uses it first.
  void update(const AdamW& options, std::int64_t step, double average_decay);
  /// Exchanges values and average.
  void swap_average();
  /// Checksums of this rank's share of the gradient, of all ranks that have its heads: [stages x ranks of a stage].
  std::vector<std::uint32_t> gradient_hashes() const;
  /// The ranks, numbered as there, whose values are not those of their stage's others, where all hold them: memory that
  /// was corrupted.
  std::vector<int> ranks_that_differ();
  /// Whether what ranks that share heads hold in common is the same on all of them.
  bool heads_agree();
  /// Numbers [0, bucket's count) of an arena on rank 0, of each rank that shares heads: [heads' ranks].
  void gather_to_root(const Tensor& arena, std::size_t bucket, std::vector<std::vector<float>>& wholes) const;

  bool before_use(std::size_t bucket) override;
  void after_use(std::size_t bucket) override;
  void before_gradients(std::size_t bucket) override;
  void gradients_ready(std::size_t bucket) override;

 private:
  /// Of a bucket's values.
  enum class State { absent, arriving, present };
  struct Residence {
    State state = State::present;
    int users = 0;
    parallel::Event arrival;
    bool ended = false;  // no pass of this step needs it any more
  };
  bool values_travel() const { return zero_ == 3 && shares_.ranks().all.size() > 1; }
  /// Whether a bucket's gradients leave as soon as they are ready.
  bool may_go_by_bucket() const { return !shares_.alone() && on_host(); }
  bool must_go_by_bucket() const {
    return !shares_.alone() && (zero_ > 1 || shares_.ranks().slabs.size() > 1 || shares_.ranks().stages.size() > 1);
  }
  bool on_host() const { return network_.parameters().memory().device() == Device::cpu; }
  std::vector<std::uint32_t> hashes_of(const Tensor& arena, std::span<const ArenaRange> ranges) const;
  void gather_shares(const Tensor& arena, std::size_t bucket, std::vector<float>& whole) const;
  std::vector<double> squares_of_buckets() const;
  double norm_over_heads(std::span<const double> squares) const;
  parallel::Event gather(std::size_t bucket);
  void start_gather(std::size_t bucket);
  /// The bucket's values are there; returns whether they were on their way.
  bool settle(std::size_t bucket);
  void settle_all();
  void release(std::size_t bucket);
  void release_unused(std::size_t but);
  void values_are_new();

  ForecastNetwork& network_;
  const int zero_;
  const bool fast_;
  ParameterShares shares_;
  GradientSum* sum_ = nullptr;
  std::vector<Residence> residence_;
  // Which bucket was used after which two uses: the next one is fetched ahead.
  struct Use {
    std::size_t bucket;
    bool backward;
    auto operator<=>(const Use&) const = default;
  };
  std::map<std::pair<Use, Use>, std::size_t> after_;
  std::pair<Use, Use> last_two_;
  std::size_t expected_;
  bool backward_ = false;  // the next use
};

}  // namespace zonda::model
