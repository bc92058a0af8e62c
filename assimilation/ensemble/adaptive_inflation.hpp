#pragma once
#include <cstddef>

#include "assimilation/interfaces/vectors.hpp"

namespace zonda::assimilation {

struct AdaptiveInflationSettings {
  double start = 1;         ///< of the background's covariance
  double deviation = 0.04;  ///< of the estimate before a cycle; larger adapts faster
  double smallest = 1, largest = 4;
  void check() const;  ///< Error(usage) naming what is out of range
};

/// Multiplicative inflation of the background's covariance that each batch learns from its departures (Miyoshi 2011,
/// with the observed estimate of Li et al. 2009): a Kalman filter for one number. What to keep for a restart is
/// factors().
class AdaptiveInflation {
 public:
  AdaptiveInflation(std::size_t batches, const AdaptiveInflationSettings& settings);
  /// [batch]; on ranks, the same on all.
  ConstView factors() const { return factors_; }
  View factors() { return factors_; }
  /// The estimate after seeing S [observation, N] and d, each row times the root of its weight of localisation, from
  /// the estimate `before`; `weight` is the sum of those weights.
  double learned(double before, ConstView anomalies, ConstView departures, double weight) const;

 private:
  AdaptiveInflationSettings settings_;
  Vector factors_;
};

}  // namespace zonda::assimilation
