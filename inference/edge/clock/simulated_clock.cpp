#include "inference/edge/clock/simulated_clock.hpp"

#include <cmath>

namespace zonda::edge {

Time SimulatedClock::truth() const {
  return start_ + Duration(static_cast<std::int64_t>(std::floor(elapsed_.load())));
}

Time SimulatedClock::utc() const {
  return truth() + Duration(error_.load());
}

void SimulatedClock::wait(Steady duration, const std::function<bool()>& cancelled) {
  if (cancelled && cancelled()) return;
  pass(duration);
}

void SimulatedClock::pass(Steady duration) {
  if (duration > Steady(0)) elapsed_.store(elapsed_.load() + duration.count());
}

}  // namespace zonda::edge
