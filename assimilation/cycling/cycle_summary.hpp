#pragma once
#include <nlohmann/json.hpp>
#include <vector>

#include "assimilation/diagnostics/departure_statistics.hpp"
#include "core/time.hpp"

namespace zonda::assimilation {

/// `beyond`: see ObservationStream. Scores and diagnostics over the cycles from `from` on: `cycles`, `observations`
/// (over all cycles, and what is beyond them), `background` and `analysis` by channel (`error`: the mean over cycles of
/// the root mean square error; `spread` likewise; `crps`; `spread_error` (Fortin et al. 2014); `ranks`: frequencies),
/// `departures` by kind, variable and level with diagnosed errors and degrees of freedom for signal, `forecasts` by
/// channel and lead, `largest_tail`, `stations`.
nlohmann::ordered_json summarise_cycle(const std::vector<nlohmann::ordered_json>& records, Time from,
                                       const StationStatistics& stations, const nlohmann::ordered_json& beyond);

}  // namespace zonda::assimilation
