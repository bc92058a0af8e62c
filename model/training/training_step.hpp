#pragma once
// The gradient of one batch: micro-batches one after the other, each through one step of the network or several. All
// arithmetic is the backend's, in its memory; the host stages the batch and exchanges sums with other ranks.
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "model/forecast_state/forecast_layout.hpp"
#include "model/network/forecast_network.hpp"
#include "model/training/batch_loader.hpp"
#include "model/training/gradient_sum.hpp"
#include "model/training/sharded_parameters.hpp"
#include "model/training/staged_batch.hpp"

namespace zonda::model {

struct StepOptions {
  LossKind loss = LossKind::squared;
  int members = 1;  ///< of an ensemble; from two on the loss is the fair CRPS
  std::vector<float> channel_weights;
  Augmentation augmentation;
};

/// How many steps of the network a sample goes.
struct Unrolling {
  int count = 1;
  /// The gradient goes through all steps, the loss being their mean; else only the last step made is scored, and those
  /// before it are forecast without gradient.
  bool through = true;
  bool falling = false;  ///< weights of the steps k = 1, 2, ... fall as 1/k instead of being equal
};

/// What one batch does besides.
struct StepVariant {
  int lead_steps = 0;                   ///< without `through`: steps before the one that is scored, below count
  std::span<const SampleStart> starts;  ///< of this rank's samples, or empty
  /// Takes what the network made of a sample: [channel, row, lon], turned back.
  std::function<void(std::size_t sample, std::span<const float> state)> predicted;
};

/// Bytes of the tensors of one micro-batch of `samples` (members counted) that TrainingStep holds.
std::size_t training_tensor_bytes(const ForecastLayout& layout, std::size_t samples, const Unrolling& unrolling,
                                  bool predicted);

class TrainingStep {
 public:
  /// `batch`: samples of one optimiser step over all ranks of `communicator`, which share the batch; the network's
  /// slabs share each sample, and `step` is of this rank's rows. `micro_batch` samples pass the network together, each
  /// with all its members. Plans the network for it. In a rollout predicted states are kept, activations are computed
  /// again. `predicted`: whether StepVariant::predicted will be asked for. `shared`: cuts the gradients, and adds up
  /// those of slabs; without it every rank gets all of them. Where the network's layers are cut into stages, single
  /// steps go through them one forward, one backward (pipeline_schedule.hpp); rollouts, and steps whose states are
  /// asked for, micro-batch after micro-batch.
  TrainingStep(ForecastNetwork& network, const ForecastStep& step, const parallel::Communicator& communicator,
               StepOptions options, int batch, int micro_batch, Unrolling unrolling, bool predicted = false,
               ShardedParameters* shared = nullptr);
  ~TrainingStep();
  TrainingStep(const TrainingStep&) = delete;
  TrainingStep& operator=(const TrainingStep&) = delete;

  /// Sets the network's gradients (this rank's share of them) to those of the mean loss over the whole batch and
  /// returns that loss: equal bits on any number of ranks and slabs. `mine`: this rank's samples, whose first has the
  /// global number `position` (key of noise and turns). `times` are the archive's. Throws Error(numerical) naming
  /// optimiser step and times where the loss is not finite.
  double gradient(const Batch& mine, std::uint64_t position, std::span<const Time> times, std::int64_t optimiser_step,
                  const StepVariant& variant = {});

  std::size_t first_sample() const { return first_sample_; }  ///< of this rank within the batch
  std::size_t samples() const { return samples_; }            ///< of this rank
  /// The arithmetic's scratch beside the network's own.
  Context context();

 private:
  /// What a micro-batch on its way has of its own.
  struct Lane {
    StagedBatch staged;           // [micro x members]
    std::vector<Staging> noise;   // per step of the network: [micro x members, noise]
    Buffer input, target;         // of one step
    std::vector<Buffer> outputs;  // per scored step: y, then the loss's gradient
    Buffer scores;                // f64 [scored step, chunk]: parts of the losses
  };
  Lane make_lane(const ForecastStep& step) const;
  StagedBatch& staged() { return lanes_.front().staged; }
  const StagedBatch& staged() const { return lanes_.front().staged; }
  void stage_samples(Lane& lane, const Batch& mine, std::size_t first, std::uint64_t position,
                     std::span<const Time> times, const StepVariant& variant) const;
  // --- where ranks share the layers
  bool is_first_stage() const { return network_.stage() == 0; }
  bool is_last_stage() const { return network_.stage() + 1 == network_.stages(); }
  /// Whether this rank needs to see samples.
  bool takes_samples() const;
  void pass_onward(Context& ctx, std::size_t number);
  void pass_through_stages(Context& ctx, const Batch& mine, std::uint64_t position, std::span<const Time> times,
                           std::int64_t optimiser_step, const StepVariant& variant, std::span<double> losses);

  std::size_t steps_of(const StepVariant& variant) const;
  std::size_t first_scored(const StepVariant& variant) const;
  double share_of(std::size_t k) const;  ///< of step k of a micro-batch in the loss
  /// What the backend may repeat: reads and writes its memory alone.
  void pass(Context& ctx, const StepVariant& variant);
  void score(Context& ctx, Lane& lane, std::size_t scored, const Tensor& y, const Tensor& wanted, double share);
  /// The key under which a pass is repeated; none where it exchanges with other ranks midway, or is one of too many.
  std::optional<std::uint64_t> key_of(const StepVariant& variant);
  void forget_recorded();
  /// Adds what pass() left of its losses.
  void fetch_losses(const Lane& lane, const StepVariant& variant, std::span<double> losses);
  std::vector<double> sum_over_slabs(std::span<const double> losses) const;
  void forward(Context& ctx, std::size_t k, const Tensor& y);
  void draw_noise_of(Lane& lane, std::size_t k, std::uint64_t first_member, std::int64_t optimiser_step);
  void hand_back(std::size_t first, const StepVariant& variant);
  StateView state(std::size_t k) const;
  Tensor predicted(std::size_t k) const;
  Tensor gradient_of_state(std::size_t k) const;

  ForecastNetwork& network_;
  const ForecastStep& step_;
  const parallel::Communicator& communicator_;
  const StepOptions options_;
  const Unrolling unrolling_;
  const std::size_t micro_, count_, members_, terms_;
  const bool pipelined_;  // several micro-batches are on their way at once
  std::size_t first_sample_, samples_;
  ShardedParameters* shared_;
  std::optional<ParameterShares> shares_;  // without shared_
  GradientSum sum_;
  Arena scratch_;
  std::vector<double> row_weights_;     // of this rank's rows
  std::vector<std::int64_t> row_cuts_;  // of its chunks among them
  std::size_t chunks_;                  // of rows
  std::vector<double> fetched_;         // of a lane's scores
  std::vector<Lane> lanes_;             // one, or of a pipeline those of this stage
  std::vector<Buffer> predicted_;       // [rollout] states: all where the gradient goes through them, else the last two
  Buffer input_gradient_;               // of rollouts
  std::vector<Buffer> state_gradient_;  // of rollouts: of three consecutive states
  std::vector<float> host_;
  std::map<std::vector<std::int64_t>, std::uint64_t> recorded_;  // keys by what their passes have in common
  std::uint64_t recorded_plan_ = 0;                              // of the network
};

}  // namespace zonda::model
