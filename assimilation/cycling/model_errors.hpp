#pragma once
// What a model gets wrong, learned from an archive of states.
#include <vector>

#include "assimilation/cycling/cycle_config.hpp"
#include "assimilation/experiments/osse/truth.hpp"
#include "parallel/communicator.hpp"

namespace zonda::assimilation {

/// Of the present slot [slot_size], SI.
struct ModelErrors {
  Vector mean;
  std::vector<Vector> deviations;  ///< of each sample from the mean
};

/// Forecast minus archive in the present slot, of `samples` forecasts over `lead` that end at `end` or `every`,
/// 2 `every` ... before. Ranks share the forecasts; all get all, in order of time, with the same bits on any number of
/// ranks. Collective. Throws Error(data) naming a time that the archive lacks.
std::vector<Vector> forecast_errors(const AtmosphereModel& model, const ArchiveTruth& archive, Time end, int samples,
                                    Duration every, Duration lead, const parallel::Communicator& communicator);

/// Of one step.
ModelErrors learn_model_errors(const ModelErrorsConfig& config, const AtmosphereModel& model,
                               const ArchiveTruth& archive, Time end, const parallel::Communicator& communicator);

}  // namespace zonda::assimilation
