#pragma once
// ForecastNetwork: the whole forecast model, [B, C_in, H, W] -> normalised tendency [B, C_out, H, W].
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "model/network/buckets.hpp"
#include "model/network/network_config.hpp"
#include "model/network/slab.hpp"
#include "model/network/stages.hpp"
#include "model/network/token_merging.hpp"
#include "model/network/token_tap.hpp"
#include "model/tensor/parameter_store.hpp"
#include "model/tensor/tensor.hpp"

namespace zonda {
class Grid;
}

namespace zonda::model {

class Backend;

/// What a plan makes room for.
enum class Use {
  inference,  ///< forward only; nothing is kept
  training,   ///< forward, backward with weight and input gradients
  tangent,    ///< forward, tangent, and backward: the linear model and its adjoint about a state (data assimilation)
};

/// Exact bytes, known before anything is allocated.
struct MemoryPlan {
  std::size_t parameters = 0, copies = 0, gradients = 0, moments = 0, average = 0, activations = 0, tables = 0;
  std::size_t total() const { return parameters + copies + gradients + moments + average + activations + tables; }
};

/// What backward computes again: the first `blocks` blocks (a lift's own among them) from their input, the next `mlps`
/// blocks their MLP's hidden layer, the rest nothing.
struct RecomputePolicy {
  int blocks = 0, mlps = 0;
  std::string to_string() const;  ///< `nothing`, `the MLPs of 3 blocks`, `2 blocks and the MLPs of 4`
  friend bool operator==(const RecomputePolicy&, const RecomputePolicy&) = default;
};

class ForecastNetwork {
 public:
  /// `condition_size`: numbers of the condition vector of a sample (step, lead time, day of year, hour ..., each of
  /// order 1; periodic ones as sine and cosine). f32 runs on the CPU backend, f64 on the reference loops unless
  /// `backend` is given. No parameter memory is allocated before initialise() or allocate(), so that a network can be
  /// planned on any machine. Throws Error(usage) naming grid and patch when the grid has no whole number of patches
  /// (rows n p or n p + 1, columns n p), or tokens no whole number of sub-fields. `levels` [input channels]: the level
  /// each belongs to, counted from 0; needed by an embedding by levels alone. Where ranks share a sample (`sharding`),
  /// images are this rank's rows of them, slab().image_rows(), and every rank makes the same calls. Where ranks share
  /// the layers, forward(), backward() and tangent() are collective over these stages too, and each of them is given
  /// and gets the whole result.
  ForecastNetwork(const NetworkConfig& config, const Grid& grid, int input_channels, int output_channels,
                  int condition_size, DType dtype = DType::f32, std::shared_ptr<Backend> backend = nullptr,
                  const std::vector<int>& levels = {}, const Sharding& sharding = {});
  ~ForecastNetwork();
  ForecastNetwork(ForecastNetwork&&) noexcept;
  ForecastNetwork& operator=(ForecastNetwork&&) noexcept;

  ParameterStore& parameters();
  const ParameterStore& parameters() const;
  /// Allocates the values, all zero (before a checkpoint is read into them).
  void allocate();
  /// Allocates and draws the initial weights from Philox(seed, parameter name). The untrained network returns zero:
  /// persistence. `drawn` is told of each parameter when it is there, and may take it away.
  void initialise(std::uint64_t seed, const std::function<void(const Parameter&)>& drawn = {});

  /// `none`, `mlp`, `block` for all blocks, as the configuration says; `auto` keeps everything until a policy is set.
  const RecomputePolicy& recompute() const;
  /// Replaces the plan; the results are the same bits with any policy.
  void set_recompute(const RecomputePolicy& policy);
  /// The policy that computes least again with which a training step of this batch fits into `bytes` (all of
  /// MemoryPlan); nothing if none does.
  std::optional<RecomputePolicy> recompute_within(std::size_t bytes, int batch, bool average = true) const;

  /// Plans the memory of a step for this batch. Returns the bytes of the arena, which the first forward() allocates.
  /// Planning again (another batch or use) replaces the plan; the same plan is kept. `lanes`: batches that are on their
  /// way at once (forward_of_stage), with an arena each; 0: as many as there are, one in a new plan.
  std::size_t plan(int batch, Use use, int lanes = 0);
  /// Does what forward() does only at times: allocates, makes bf16 copies of new weights. A step recorded by
  /// Backend::repeat() comes after it, and repeats what is the same while the number it returns is.
  std::uint64_t make_ready();
  /// Gives back the memory of activations until the next forward().
  void release_activations();
  /// The same numbers without changing the present plan; gradients, moments and average count when `use` is training.
  MemoryPlan memory(int batch, Use use, bool average = true) const;
  MemoryPlan memory_with(const RecomputePolicy& policy, int batch, Use use, bool average = true) const;

  /// x [B, C_in, H, W], condition [B, n], y [B, C_out, H, W] overwritten. B must be the planned batch.
  /// x and condition must stay unchanged until backward() or tangent() is done. `noise` [B, noise_size()] tells members
  /// of an ensemble apart; none counts as zero.
  void forward(const Tensor& x, const Tensor& condition, const Tensor& y, const Tensor& noise = {});
  /// After forward(): dy [B, C_out, H, W] -> dx [B, C_in, H, W] overwritten (may be none: skipped); weight gradients
  /// accumulate into parameters().gradients() (allocated when missing) unless `weight_gradients` is false (the adjoint
  /// model). May be called once for each forward() in a training plan, any number of times in a tangent plan.
  void backward(const Tensor& dy, const Tensor& dx, bool weight_gradients = true);
  /// One of several batches on their way: this stage's part of forward() and backward(), in a lane of its own. Each
  /// stage waits for the one before (forward) or after it (backward), and does not wait for what it sends. `x`,
  /// `condition` and `noise` count on the first stage, `y` and `dy` on the last; all stages take the batches in one
  /// order, forward and back.
  void forward_of_stage(int lane, const Tensor& x, const Tensor& condition, const Tensor& y, const Tensor& noise = {});
  void backward_of_stage(int lane, const Tensor& dy);
  /// Lets what the next forward_of_stage(), or backward_of_stage(), that is not expected yet takes from another stage
  /// come meanwhile.
  void expect_forward_of_stage();
  void expect_backward_of_stage();
  /// After forward() in a tangent plan: derivative of y along dx with weights and condition fixed.
  void tangent(const Tensor& dx, const Tensor& dy);

  /// This rank's part of a sample.
  const Slab& slab() const;
  /// Ranks that share the layers, and which of them this is; a bucket says which stage uses it.
  int stages() const;
  int stage() const;
  std::size_t layers_of_stage() const;
  /// The parameters by parts, in the order of the arenas.
  const std::vector<Bucket>& buckets() const;
  /// Tells `observer` of every pass from now on; null: nobody. Without one, the gradients of a shared sample are this
  /// rank's term of the sum over slabs().
  void observe(BucketObserver* observer);
  /// Is told when work on a layer begins and ends, between which this rank waits for nobody; empty: nobody is.
  void observe_work(WorkObserver observer);

  /// Lets `tap` see the tokens between layers from now on; an empty one: nobody. Replaces the plan.
  void set_tap(TokenTap tap);

  /// Matrices of the trunk whose products stay as they are where the others' are of int8 numbers. Kept, and asked
  /// again. Replaces the plan.
  void keep_precise(const std::function<bool(std::string_view parameter)>& choose);
  /// Names of the others.
  std::vector<std::string> int8_matrices() const;

  // Adapters (NetworkConfig::lora). A network without them takes these calls and does nothing.
  /// On after construction. Off: the base network. Replaces the plan.
  void set_adapters(bool on);
  /// Days of lead time of each sample from the next forward() on: they choose the samples' adapters. [planned batch],
  /// or empty: all of the first bucket.
  void set_leads(std::span<const double> days);
  /// Adds the adapters of one bucket to the weights and switches adapters off: one lead's network at the base's cost.
  /// Throws Error(usage) for a bucket that is not there.
  void merge_adapters(int bucket);

  /// Blocks in the middle see fewer tokens of a sample from the next forward() on; none: all of them. Derivatives are
  /// those with the choice of tokens fixed. Replaces the plan. Throws Error(usage): as Trunk::set_merging.
  void set_merging(const std::optional<TokenMerging>& merging);

  /// Freezes all that a base network has in common with this one's adapters: they alone learn.
  void freeze_base();
  /// Freezes the lifted network's blocks and conditioning: embedding, head, and the lift's own blocks learn.
  void freeze_lifted();

  /// The backend it runs on; x, condition, y and the gradients live in its memory.
  Backend& backend() const;
  /// Of the trunk's products in training and inference: bf16 in mixed precision. Tangent plans use dtype().
  DType trunk() const;
  const NetworkShape& shape() const;
  const NetworkConfig& config() const;
  const Grid& grid() const;
  int input_channels() const;
  int output_channels() const;
  int condition_size() const;
  int noise_size() const;
  DType dtype() const;
  std::int64_t parameter_count() const;
  /// What this rank sends to other slabs in a pass of `samples`.
  using Traffic = RankTraffic;
  Traffic forward_traffic(int samples) const;
  Traffic backward_traffic(int samples, bool with_input_gradient) const;
  /// What it sends to other stages; `to_all`: in forward(), not forward_of_stage().
  Traffic forward_stage_traffic(int samples, bool to_all) const;
  Traffic backward_stage_traffic(int samples, bool with_input_gradient) const;
  /// Numbers added up over ranks that share heads: in a forward pass of one sample, and in its backward pass.
  std::int64_t shared_head_sums() const;
  /// Floating-point operations of one sample's forward pass (a multiply-add counts two); backward costs twice that.
  double flops_per_sample() const;
  /// The same of this stage's layers.
  double flops_of_stage() const;

 private:
  void pass_back(int lane, const Tensor& dy, const Tensor& dx, bool weight_gradients);
  struct Implementation;
  std::unique_ptr<Implementation> self_;
};

/// Whether a network of another configuration may lack this parameter: adapters, a lift's own blocks, weights of noise.
/// At its start it changes nothing.
bool is_addition(std::string_view parameter);

/// [members, n] standard normal numbers of a network step, the same for a member on any rank.
void draw_noise(std::uint64_t seed, std::uint64_t step, std::uint64_t first_member, std::span<float> out,
                std::size_t n);

}  // namespace zonda::model
