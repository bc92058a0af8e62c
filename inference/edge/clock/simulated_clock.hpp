#pragma once
#include <atomic>

#include "inference/edge/clock/clock.hpp"

namespace zonda::edge {

/// A clock for simulations: waiting makes it go on at once, and its calendar can be set wrong.
class SimulatedClock final : public Clock {
 public:
  explicit SimulatedClock(Time start) : start_(start) {}
  Time utc() const override;
  Steady steady() const override { return Steady(elapsed_.load()); }
  void wait(Steady duration, const std::function<bool()>& cancelled) override;
  /// Time passes, for the calendar and the steady count alike.
  void pass(Steady duration);
  /// The calendar jumps against the true time by this much (replaces an earlier jump).
  void set_calendar_error(Duration error) { error_ = error.count(); }
  /// True time, which only the simulation knows.
  Time truth() const;

 private:
  const Time start_;
  std::atomic<double> elapsed_{0};
  std::atomic<std::int64_t> error_{0};
};

}  // namespace zonda::edge
