#pragma once
// Time as a station sees it: a calendar that may be wrong and may jump, and a steady count of seconds that does
// neither.
#include <chrono>
#include <functional>

#include "core/time.hpp"

namespace zonda::edge {

/// Seconds since some moment of this process; never goes back, whatever happens to the calendar.
using Steady = std::chrono::duration<double>;

class Clock {
 public:
  virtual ~Clock() = default;
  /// What the calendar of the machine says, UTC. May be wrong by years and may jump.
  virtual Time utc() const = 0;
  virtual Steady steady() const = 0;
  /// Waits, looking at `cancelled` several times a second; returns early once it is true.
  virtual void wait(Steady duration, const std::function<bool()>& cancelled) = 0;
};

/// The machine's own clocks.
class SystemClock final : public Clock {
 public:
  Time utc() const override;
  Steady steady() const override;
  void wait(Steady duration, const std::function<bool()>& cancelled) override;
};

}  // namespace zonda::edge
