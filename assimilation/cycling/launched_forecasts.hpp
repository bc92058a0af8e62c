#pragma once
// Forecasts from analyses, judged against the truth.
#include <map>
#include <nlohmann/json_fwd.hpp>

#include "assimilation/cycling/cycle_config.hpp"
#include "assimilation/diagnostics/pressure_fields.hpp"
#include "assimilation/experiments/osse/truth.hpp"

namespace zonda::assimilation {

/// By channel and lead: the root mean square error of the forecast from `analysis` at `time`, `analysis`; and, where
/// the truth is an archive, of one from the truth `truth_age` earlier that is valid at the same time, `old_truth`.
nlohmann::ordered_json score_launched_forecast(const LaunchConfig& config, const AtmosphereModel& model,
                                               const PressureFields& fields, const Truth& nature, Time time,
                                               ConstView analysis);

}  // namespace zonda::assimilation
