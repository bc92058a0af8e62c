#pragma once
// The gradient of one batch: micro-batches one after the other, each through one step or a rollout of several.
#include <cstdint>
#include <string>
#include <vector>

#include "model/forecast_state/forecast_layout.hpp"
#include "model/network/forecast_network.hpp"
#include "model/ops/loss.hpp"
#include "model/training/batch_loader.hpp"
#include "model/training/gradient_sum.hpp"

namespace zonda::model {

struct StepOptions {
  LossKind loss = LossKind::squared;
  std::vector<float> channel_weights;
  double input_noise = 0;
  bool roll_longitude = false;
  std::uint64_t seed = 1;
};

class TrainingStep {
 public:
  /// `batch`: samples of one optimiser step over all ranks; `micro_batch` of them pass the network together; `count`
  /// steps each. Plans the network for it. Memory of a rollout: the inputs of each step are kept, activations are
  /// computed again.
  TrainingStep(ForecastNetwork& network, const ForecastStep& step, const parallel::Communicator& communicator,
               StepOptions options, int batch, int micro_batch, int count);

  /// Sets the network's gradients to those of the mean loss over the whole batch and returns that loss: equal bits on
  /// any number of ranks. `mine`: this rank's samples, whose first has the global number `position` (key of noise and
  /// turns). `times` are the archive's. Throws Error(numerical) naming optimiser step and times where the loss is not
  /// finite.
  double gradient(const Batch& mine, std::uint64_t position, std::span<const Time> times, std::int64_t optimiser_step);

  std::size_t first_sample() const { return first_sample_; }  ///< of this rank within the batch
  std::size_t samples() const { return samples_; }            ///< of this rank
  std::size_t bytes() const;                                  ///< of the buffers here, the network's own not counted

 private:
  void prepare(const Batch& batch, std::size_t first, std::uint64_t position, std::span<const Time> times);
  double rollout(const Batch& batch, std::size_t first);
  std::span<float> state(std::size_t lead, std::size_t sample);

  ForecastNetwork& network_;
  const ForecastStep& step_;
  const parallel::Communicator& communicator_;
  const StepOptions options_;
  const std::size_t micro_, count_, terms_;
  std::size_t first_sample_, samples_;
  GradientSum sum_;
  std::vector<double> row_weights_;
  // Buffers of one micro-batch of m samples.
  std::vector<float> truth_;     ///< [m, count + 2, channel, points], with noise and turned where asked
  std::vector<float> forcings_;  ///< [m, count + 1, forcing, points]
  std::vector<std::vector<float>> inputs_, conditions_;  ///< per lead step: [m, input, points], [m, n]
  std::vector<std::vector<float>> predicted_;            ///< per lead step, of rollouts: [m, channel, points]
  std::vector<float> output_, target_;                   ///< [m, channel, points]
  std::vector<std::vector<float>> output_gradient_;      ///< per lead step
  std::vector<std::vector<float>> state_gradient_;       ///< of x(t-d), x(t), ..., x(t+count*d)
  std::vector<float> input_gradient_;
  std::vector<std::size_t> turned_;  ///< columns, per sample
};

}  // namespace zonda::model
