#pragma once
// The time a station goes by. A calendar that was set back (an empty battery, a forged time server) must not make
// expired metadata valid again, and one that was set forward must not be believed for ever.
#include <filesystem>
#include <mutex>

#include "inference/edge/clock/clock.hpp"

namespace zonda::edge {

/// Keeps a lower bound of the true time: the latest time that signed data spoke of as past, and the steady seconds
/// since. now() is the calendar unless the calendar lies before that bound. Safe to use from several threads.
class TrustedTime {
 public:
  /// `file` keeps the bound across restarts; a missing one is an empty bound, a damaged one is reported and set aside.
  TrustedTime(Clock& clock, std::filesystem::path file);
  Time now() const;
  /// The lower bound.
  Time bound() const;
  /// Signed data tells that `past` is past (the cycle of a feed, the day a release was signed).
  void learn(Time past);
  /// Writes the bound down, atomically. Throws Error(failure).
  void remember() const;
  /// The calendar lies before the bound by more than `tolerance`.
  bool calendar_is_behind(Duration tolerance = std::chrono::minutes(10)) const;

 private:
  Clock& clock_;
  const std::filesystem::path file_;
  mutable std::mutex mutex_;
  Time base_;
  Steady since_;
};

}  // namespace zonda::edge
