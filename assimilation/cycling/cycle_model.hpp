#pragma once
// The model of a cycle, its truth and what its members begin with.
#include "assimilation/cycling/cycle_config.hpp"
#include "assimilation/cycling/model_errors.hpp"
#include "assimilation/experiments/osse/truth.hpp"
#include "parallel/partition.hpp"

namespace zonda::assimilation {

struct CycleModel {
  AtmosphereModel model;
  bool learned = false;
  Vector mean_error;  ///< to be taken off each of its steps [slot_size], SI; empty where that was not asked for
  std::vector<Vector> errors;  ///< deviations of its errors of one step from their mean; empty without `model_errors`
};

/// Its origin is the cycle's start. Collective.
CycleModel open_cycle_model(const CycleConfig& config, const parallel::Communicator& communicator);

/// The same model, whose passes all ranks share where `config` and the analysis, which must be of one state, want it.
CycleModel shared_as_wanted(const CycleConfig& config, const AnalysisConfig& analysis, CycleModel model,
                            const parallel::Communicator& communicator);

/// Null where nothing is known of the truth.
std::unique_ptr<Truth> open_truth(const CycleConfig& config, const AtmosphereModel& model);

/// States `own` of `members` that a cycle begins with at its start: of a run of the embedded atmosphere from another
/// seed, or of the archive before the start, `initial.every` apart; their differences from their mean times
/// `initial.factor`.
std::vector<Vector> initial_members(const CycleConfig& config, const AtmosphereModel& model, std::size_t members,
                                    parallel::Range own);

/// Samples of background errors: differences of states of a run of the embedded atmosphere from another seed, or of the
/// archive before the start; or errors of forecasts that end by the start. Collective.
std::vector<Vector> background_samples(const CycleConfig& config, const CovarianceConfig& covariance,
                                       const AtmosphereModel& model, const parallel::Communicator& communicator);

}  // namespace zonda::assimilation
