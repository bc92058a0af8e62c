#include <time.h>

#include <algorithm>
#include <thread>

#include "inference/edge/clock/clock.hpp"

namespace zonda::edge {

Time SystemClock::utc() const {
  return std::chrono::floor<std::chrono::seconds>(std::chrono::system_clock::now());
}

Steady SystemClock::steady() const {
  // Counts while the machine sleeps, unlike std::chrono::steady_clock.
  struct timespec now = {};
  ::clock_gettime(CLOCK_BOOTTIME, &now);
  return Steady(static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec));
}

void SystemClock::wait(Steady duration, const std::function<bool()>& cancelled) {
  const Steady end = steady() + duration;
  while (!(cancelled && cancelled())) {
    const Steady left = end - steady();
    if (left <= Steady(0)) return;
    std::this_thread::sleep_for(std::min(left, Steady(0.1)));
  }
}

}  // namespace zonda::edge
