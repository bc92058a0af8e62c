#pragma once
// Which rank holds the others up.
#include <string>
#include <vector>

#include "parallel/communicator.hpp"

namespace zonda::parallel {

/// How long a step took on each rank: its own work, without its waiting for others.
struct StepTimes {
  std::vector<double> seconds;  ///< of each rank
  double median = 0;
  int slowest = 0;
  /// Of the slowest rank to the median; 1 where all are alike.
  double ratio() const { return median > 0 ? seconds[static_cast<std::size_t>(slowest)] / median : 1; }
  /// Ranks that took more than `factor` times the median.
  std::vector<int> stragglers(double factor) const;
  /// "step 0.213 s (median); slowest rank 3: 0.840 s, 3.94 times the median"
  std::string text() const;
};

/// Collective: every rank gives its own time.
StepTimes gather_step_times(const Communicator& communicator, double seconds);

}  // namespace zonda::parallel
