#pragma once
#include <limits>

#include "assimilation/ensemble/adaptive_inflation.hpp"
#include "assimilation/ensemble/batches.hpp"
#include "assimilation/ensemble/ensemble_filter.hpp"
#include "assimilation/ensemble/inflation.hpp"
#include "parallel/communicator.hpp"

namespace zonda::assimilation {

struct LetkfSettings {
  Inflation inflation;
  double smallest_weight = 1e-3;  ///< observations that count less for a batch are left out
  std::size_t most_observations = std::numeric_limits<std::size_t>::max();  ///< for a batch; the heaviest stay
  /// Of these batches; learns in each analysis. On ranks, one object a rank that is alike on all before and after.
  std::shared_ptr<AdaptiveInflation> adaptive = {};
};

/// Local ensemble transform Kalman filter (Hunt et al. 2007) over ranks. Every rank holds its members and the
/// observations' values, errors and positions. Observer: each rank applies H to its own members. Solver: batches are
/// shared out by their number of observations; states, and those observed values that a rank's batches need, are
/// transposed from members to batches and back. The same bits on any number of ranks and threads. A batch without
/// observations stays as it is, uninflated. Where a batch takes shares of others' weights, the rank that holds it
/// solves for those as well, whoever holds them.
class Letkf final : public EnsembleFilter {
 public:
  /// Throws Error(usage) unless the batches hold each of `state_size` variables once.
  Letkf(parallel::Communicator communicator, std::size_t state_size, std::vector<Batch> batches,
        Localisation localisation, const LetkfSettings& settings);
  /// `ensemble` holds partition(total, ranks, rank). Collective.
  void analyse(Ensemble& ensemble, const Observations& observations, std::size_t cycle) const override;
  /// The same where the instrument observes other states than those that are analysed, such as trajectories of the
  /// members over a window (Hunt et al. 2004): `observed_states` holds the same members. Collective.
  void analyse(Ensemble& ensemble, const Observations& observations, const Ensemble& observed_states) const;
  /// Each rank's batches for these observations. Collective.
  std::vector<parallel::Range> shares(const Observations& observations) const;

 private:
  /// All ranks' shares; the batches that this rank solves for, ascending, and the observations near each.
  struct Plan {
    std::vector<parallel::Range> shares;
    std::vector<std::size_t> solved;
    std::vector<std::vector<LocalObservation>> observations;
  };
  /// Rows [variable][member] of this rank's batches, and where each batch's begin.
  struct Rows {
    Vector values;
    std::vector<std::size_t> first;
    View of(std::size_t batch, std::size_t members);
  };
  /// Observed values [needed observation][member] in units of the error: anomalies and departures; where each
  /// observation stands among those needed.
  struct ObservedEnsemble {
    Vector anomalies, departures;
    std::vector<std::size_t> place;
  };
  Plan plan(const Observations& observations) const;
  ObservedEnsemble observe(const Ensemble& states, const Observations& observations, const Plan& plan) const;
  /// Updates the batches that are solved for, and returns the weights that others take shares of.
  struct SharedWeights;
  SharedWeights solve(const Plan& plan, const ObservedEnsemble& observed, std::size_t members, Rows& rows) const;
  void combine(const Plan& plan, const SharedWeights& weights, std::size_t members, Rows& rows) const;
  void learn(const Plan& plan, const SharedWeights& weights) const;
  parallel::Communicator communicator_;
  std::size_t state_size_;
  std::vector<Batch> batches_;
  Localisation localisation_;
  LetkfSettings settings_;
  std::vector<char> is_shared_;  ///< whether another batch takes a share of its weights
};

}  // namespace zonda::assimilation
