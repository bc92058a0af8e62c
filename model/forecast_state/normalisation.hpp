#pragma once
// Normalisation: each channel minus its mean, over its standard deviation, both of the training period.
#include <map>
#include <span>
#include <vector>

#include "core/time.hpp"
#include "core/variables.hpp"

namespace zonda::ingest {
struct Statistics;
}

namespace zonda::model {

struct Normalisation {
  std::vector<double> mean, stddev;                         ///< [channel], SI
  std::map<Duration, std::vector<double>> tendency_stddev;  ///< of x(t + d) - x(t), [channel], SI

  /// A channel that never varied gets a standard deviation of 1, so that it stays what it is.
  /// Throws Error(data) if the archive has no tendency statistics for one of `steps` (names those it has), or none
  /// finite.
  static Normalisation from_statistics(const ingest::Statistics& statistics, std::span<const Channel> channels,
                                       std::span<const Duration> steps);

  /// In place; `fields [channel, points]`. SI -> normalised; returns the first channel with a value that is not finite,
  /// or -1.
  int normalise(std::span<float> fields) const;
  /// In place; `fields [channel, points]`. Normalised -> SI.
  void restore(std::span<float> fields) const;
  /// tendency_stddev / stddev: what one unit of a normalised tendency means in normalised state.
  double tendency_ratio(Duration step, std::size_t channel) const;
};

}  // namespace zonda::model
