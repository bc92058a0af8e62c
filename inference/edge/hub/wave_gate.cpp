#include "inference/edge/hub/wave_gate.hpp"

#include <fmt/core.h>

namespace zonda::edge {

std::string WaveHealth::reason() const {
  return fmt::format("{} of {} stations that tried it failed", failing, failing + healthy);
}

WaveHealth judge_wave(const AssignmentRule& rule, const Reports& reports) {
  WaveHealth health;
  for (const auto& [id, report] : reports) {
    if (!rule.is_for({id, report.region, report.hardware})) continue;
    if (place_in_waves(id, rule.model, rule.version) >= rule.percent_now()) continue;
    ++health.stations;
    if (report.state == "failed" && report.tried == rule.version) ++health.failing;
    if (report.state == "healthy" && report.model == rule.model && report.version == rule.version) ++health.healthy;
  }
  const int tried = health.failing + health.healthy;
  if (tried < rule.least_reports || rule.stopped) return health;
  const bool too_many = 100 * health.failing > rule.failing_percent * tried;
  health.verdict = too_many ? Verdict::stop : Verdict::go_on;
  return health;
}

}  // namespace zonda::edge
