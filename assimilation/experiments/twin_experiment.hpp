#pragma once
// Twin experiments: a nature run of the model itself, observed with errors, and how near an analysis comes to it.
#include <cstdint>
#include <functional>
#include <memory>

#include "assimilation/ensemble/ensemble_filter.hpp"
#include "assimilation/interfaces/forecast_model.hpp"

namespace zonda::assimilation {

struct TwinSetup {
  std::shared_ptr<const ForecastModel> model;
  Vector start;          ///< truth and members begin at draws about this state
  double initial_error;  ///< standard deviation of those draws
  std::size_t steps_per_cycle;
  std::shared_ptr<const ObservationOperator> instrument;
  std::vector<Position> positions;
  double observation_error;     ///< standard deviation
  std::size_t cycles, spin_up;  ///< scores are means over the cycles after the spin-up
};

/// The truth and what is observed of it.
class Nature {
 public:
  Nature(const TwinSetup& setup, std::uint64_t seed);
  /// One cycle on.
  void advance();
  const Vector& truth() const { return truth_; }
  std::size_t cycle() const { return cycle_; }
  /// Observations of the truth as it is, with the errors of this cycle.
  Observations observe() const;

 private:
  const TwinSetup& setup_;
  std::uint64_t seed_;
  Vector truth_;
  std::size_t cycle_ = 0;
};

struct TwinScores {
  double analysis_error;  ///< mean over cycles of the root mean square over variables
  double spread = 0;      ///< likewise, of the analysis ensemble
};

/// The analysis of methods that know one state; `background` is the forecast from the last analysis.
using StateAnalysis = std::function<Vector(ConstView background, const Observations&)>;

struct EnsembleExperiment {
  std::size_t members;
  bool rotate = false;  ///< random mean-preserving rotation after each analysis
};

TwinScores run_ensemble(const TwinSetup& setup, const EnsembleExperiment& experiment, const EnsembleFilter& filter,
                        std::uint64_t seed);
TwinScores run_state(const TwinSetup& setup, const StateAnalysis& analyse, std::uint64_t seed);

/// States of a long free run, one a cycle after `skip` cycles: what climatologies are made of.
std::vector<Vector> free_run(const TwinSetup& setup, std::size_t skip, std::size_t states, std::uint64_t seed);

}  // namespace zonda::assimilation
