#pragma once
#include <limits>

#include "assimilation/ensemble/batches.hpp"
#include "assimilation/ensemble/ensemble_filter.hpp"
#include "assimilation/ensemble/inflation.hpp"
#include "parallel/communicator.hpp"

namespace zonda::assimilation {

struct LetkfSettings {
  Inflation inflation;
  double smallest_weight = 1e-3;  ///< observations that count less for a batch are left out
  std::size_t most_observations = std::numeric_limits<std::size_t>::max();  ///< for a batch; the heaviest stay
};

/// Local ensemble transform Kalman filter (Hunt et al. 2007) over ranks. Every rank holds its members and the
/// observations' values, errors and positions. Observer: each rank applies H to its own members. Solver: batches are
/// shared out by their number of observations; states, and those observed values that a rank's batches need, are
/// transposed from members to batches and back. The same bits on any number of ranks and threads. A batch without
/// observations stays as it is, uninflated.
class Letkf final : public EnsembleFilter {
 public:
  /// Throws Error(usage) unless the batches hold each of `state_size` variables once.
  Letkf(parallel::Communicator communicator, std::size_t state_size, std::vector<Batch> batches,
        Localisation localisation, const LetkfSettings& settings);
  /// `ensemble` holds partition(total, ranks, rank). Collective.
  void analyse(Ensemble& ensemble, const Observations& observations, std::size_t cycle) const override;
  /// Each rank's batches for these observations. Collective.
  std::vector<parallel::Range> shares(const Observations& observations) const;

 private:
  /// The observations that each batch of this rank's share needs, and all shares.
  struct Plan {
    std::vector<parallel::Range> shares;
    std::vector<std::vector<LocalObservation>> observations;
  };
  Plan plan(const Observations& observations) const;
  parallel::Communicator communicator_;
  std::size_t state_size_;
  std::vector<Batch> batches_;
  Localisation localisation_;
  LetkfSettings settings_;
};

}  // namespace zonda::assimilation
