#pragma once
#include <cstdint>
#include <string_view>

#include "core/philox.hpp"
#include "inference/edge/clock/clock.hpp"

namespace zonda::edge {

struct BackoffLimits {
  double first_seconds = 1, longest_seconds = 600;
};

/// How long to wait before trying again: uniform in [0, min(longest, first * 2^failures)], so that many stations that
/// failed together do not come back together. The same station draws the same waits.
class Backoff {
 public:
  Backoff(BackoffLimits limits, std::string_view station);
  /// After one more failure.
  Steady next();
  void succeeded() { failures_ = 0; }
  int failures() const { return failures_; }

 private:
  BackoffLimits limits_;
  Philox random_;
  int failures_ = 0;
  std::uint64_t draws_ = 0;
};

}  // namespace zonda::edge
