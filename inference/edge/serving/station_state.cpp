#include "inference/edge/serving/station_state.hpp"

#include <fmt/format.h>

namespace zonda::edge {

std::string name_of(Freshness freshness) {
  return freshness == Freshness::fresh ? "FRESH" : freshness == Freshness::stale ? "STALE" : "DEGRADED";
}

Condition condition_of(const StationState& state, Time now) {
  Condition condition;
  if (!state.forecast) {
    condition.freshness = Freshness::degraded;
    condition.reasons.push_back("There is no forecast yet.");
  } else {
    const Duration age = now - state.forecast->initial;
    if (age > state.stale_after) {
      const auto hours = std::chrono::duration_cast<std::chrono::hours>(age).count();
      condition.freshness = Freshness::stale;
      condition.reasons.push_back(hours < 72
                                      ? fmt::format("The forecast starts from an analysis {} hours old.", hours)
                                      : fmt::format("The forecast starts from an analysis {} days old.", hours / 24));
    }
    if (now > state.forecast->end()) {
      condition.freshness = Freshness::stale;
      condition.reasons.push_back(fmt::format("The forecast ended at {}.", zonda::to_string(state.forecast->end())));
    }
  }
  if (!state.faults.empty() && condition.freshness == Freshness::fresh) condition.freshness = Freshness::degraded;
  condition.reasons.insert(condition.reasons.end(), state.faults.begin(), state.faults.end());
  return condition;
}

}  // namespace zonda::edge
