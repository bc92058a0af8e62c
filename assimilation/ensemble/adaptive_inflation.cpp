#include "assimilation/ensemble/adaptive_inflation.hpp"

#include <algorithm>

#include "core/error.hpp"

namespace zonda::assimilation {

void AdaptiveInflationSettings::check() const {
  if (!(smallest > 0 && smallest <= largest))
    fail(ErrorKind::usage, "adaptive inflation between {} and {}, expected 0 < smallest <= largest", smallest, largest);
  if (!(start >= smallest && start <= largest))
    fail(ErrorKind::usage, "adaptive inflation starts at {}, expected {} to {}", start, smallest, largest);
  if (!(deviation > 0)) fail(ErrorKind::usage, "deviation {} of adaptive inflation, expected > 0", deviation);
}

AdaptiveInflation::AdaptiveInflation(std::size_t batches, const AdaptiveInflationSettings& settings)
    : settings_(settings), factors_(batches, settings.start) {
  settings_.check();
}

/// Miyoshi (2011): with the trace of H B H^T R^-1 about `spread`, departures say
/// factor = (d^T d - weight) / spread with variance 2 / weight ((factor spread + weight) / spread)^2.
double AdaptiveInflation::learned(double before, ConstView anomalies, ConstView departures, double weight) const {
  const std::size_t members = departures.empty() ? 0 : anomalies.size() / departures.size();
  if (members < 2) return before;
  double spread = 0, squares = 0;
  for (const double x : anomalies) spread += x * x;
  for (const double d : departures) squares += d * d;
  spread /= static_cast<double>(members - 1);
  if (!(spread > 0) || !(weight > 0)) return before;
  const double observed = (squares - weight) / spread, root = (before * spread + weight) / spread;
  const double observed_variance = 2 / weight * root * root, variance = settings_.deviation * settings_.deviation;
  const double gain = variance / (variance + observed_variance);
  return std::clamp(before + gain * (observed - before), settings_.smallest, settings_.largest);
}

}  // namespace zonda::assimilation
