#pragma once
// The learning rate over a phase: linear warm-up, then a half cosine (Loshchilov & Hutter 2017).
#include <cstdint>

namespace zonda::model {

struct Schedule {
  double peak, last;
  std::int64_t warm_up;
  /// `step` counted from 0; `progress` of the phase in [0, 1].
  double rate(std::int64_t step, double progress) const;
};

/// Decay of the averaged weights at `step` (from 1): grows from 2/11 to `decay`, so that the initial weights are soon
/// forgotten.
double average_decay(double decay, std::int64_t step);

}  // namespace zonda::model
