#pragma once
// What the stations of a wave report, and what follows from it.
#include <map>
#include <string>

#include "inference/edge/catalogue/assignment_rules.hpp"
#include "inference/edge/catalogue/station_report.hpp"

namespace zonda::edge {

/// The newest report of each station, by its id.
using Reports = std::map<std::string, StationReport>;

enum class Verdict {
  wait,   ///< too few reports yet
  go_on,  ///< enough stations run the version well: the next wave may go out
  stop,   ///< too many failed
};

struct WaveHealth {
  int stations = 0;  ///< that report and are in the wave
  int healthy = 0;   ///< run the version
  int failing = 0;   ///< tried it and went back
  Verdict verdict = Verdict::wait;
  std::string reason() const;
};

/// Counts only stations that the rule gave its version to: others cannot speak against it.
WaveHealth judge_wave(const AssignmentRule& rule, const Reports& reports);

}  // namespace zonda::edge
