#pragma once
// The model of a cycle, its truth and what its members begin with.
#include "assimilation/cycling/cycle_config.hpp"
#include "assimilation/experiments/osse/truth.hpp"
#include "parallel/partition.hpp"

namespace zonda::assimilation {

struct CycleModel {
  AtmosphereModel model;
  bool learned = false;
};

/// Its origin is the cycle's start.
CycleModel open_cycle_model(const CycleConfig& config);

/// Null where nothing is known of the truth.
std::unique_ptr<Truth> open_truth(const CycleConfig& config, const AtmosphereModel& model);

/// States `own` of `members` that a cycle begins with at its start: of a run of the embedded atmosphere from another
/// seed, or of the archive before the start, `initial.every` apart; their differences from their mean times
/// `initial.factor`.
std::vector<Vector> initial_members(const CycleConfig& config, const AtmosphereModel& model, std::size_t members,
                                    parallel::Range own);

/// Differences of states of a run of the embedded atmosphere from another seed, or of the archive before the start, as
/// samples of background errors.
std::vector<Vector> background_differences(const CycleConfig& config, const CovarianceConfig& covariance,
                                           const AtmosphereModel& model);

}  // namespace zonda::assimilation
