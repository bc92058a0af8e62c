#pragma once
// Phases of a training run and the periods of the archive they use.
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "model/training/sampler.hpp"
#include "model/training/schedule.hpp"
#include "model/training/train_config.hpp"
#include "model/training/training_step.hpp"

namespace zonda::ingest {
struct Statistics;
}

namespace zonda::model {

enum class PhaseKind { single_steps, rollouts, replay, adapters };

/// What differs between the phases of a run.
struct TrainingPhase {
  PhaseKind kind;
  std::string name;
  std::int64_t steps;
  int batch;  ///< samples of an optimiser step
  Unrolling unrolling;
  Schedule schedule;
  std::optional<double> seconds;  ///< wall-clock budget
  std::vector<Duration> step_lengths;

  /// Steps of the network before the last one that a sample may be trained on.
  int longest_lead_steps(const TrainConfig& config) const;
};
/// `steps`: the model's step lengths, ascending.
std::vector<TrainingPhase> phases_of(const TrainConfig& config, std::span<const Duration> steps);

struct TrainingPeriods {
  Time first, last, validation_first, validation_last;
};
/// Without a validation period in the configuration, the last part of the training period is kept back.
/// Throws Error(usage) if nothing is left to train on.
TrainingPeriods periods_of(const TrainConfig& config, const ingest::Statistics& statistics);

/// The examples of a phase, each as often as its step's share says.
std::vector<Example> phase_examples(const TrainConfig& config, std::span<const Time> times,
                                    const TrainingPeriods& periods, const TrainingPhase& phase);

}  // namespace zonda::model
