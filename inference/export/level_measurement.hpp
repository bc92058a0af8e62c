#pragma once
// What token levels cost and are worth: forecasts from an archive's states at each level against what happened.
#include <filesystem>
#include <span>
#include <vector>

#include "inference/bundle/manifest.hpp"
#include "model/forecast_state/forecast_model.hpp"

namespace zonda::inference {

/// The levels that are worth trying: all tokens; then those that the model has learnt, or for want of such half of the
/// tokens in all blocks but the first and the last, and a quarter in all but the first.
std::vector<TokenLevel> candidate_levels(const model::ForecastNetwork& network,
                                         std::span<const model::TokenMerging> learnt = {});

struct LevelTrial {
  int starts = 8;        ///< initial times, spread evenly over the archive's part after the training period
  Duration lead{86400};  ///< of the forecasts, by steps of the model's shortest
  int repeats = 30;      ///< of the pass that is timed; the shortest counts
};

/// The levels with milliseconds and skill at the trial's lead. A regional model's boundary is the archive's truth, and
/// its interior is what counts. Throws Error(data): an archive of other channels or grid, or too short a one.
std::vector<TokenLevel> measure_levels(model::ForecastModel& model, std::vector<TokenLevel> levels,
                                       const std::filesystem::path& archive, const LevelTrial& trial);

}  // namespace zonda::inference
