#include "assimilation/cycling/forecast_impact.hpp"

#include "assimilation/diagnostics/energy_norm.hpp"
#include "assimilation/variational/observation_sensitivity.hpp"
#include "core/error.hpp"

namespace zonda::assimilation {

ObservationImpact forecast_impact(const AtmosphereModel& model, const AnalysisGain& gain,
                                  const CheckedObservations& observations, Time valid, ConstView truth) {
  if (valid < gain.start || (valid - gain.start) % model.step != Duration{0})
    fail(ErrorKind::usage, "cycle.impact.lead: {} is no whole number of the model's steps from {}", to_string(valid),
         to_string(gain.start));
  const auto first = static_cast<std::size_t>((gain.start - model.origin) / model.step),
             steps = static_cast<std::size_t>((valid - gain.start) / model.step);
  const Vector weights = energy_weights(model.layout);
  const ForecastError before = forecast_error(*model.model, first, steps, gain.from_background, truth, weights),
                      after = forecast_error(*model.model, first, steps, gain.from_analysis, truth, weights);
  const std::vector<Vector> by_slot =
      observation_impacts(gain.window, gain.background, gain.analysis, *gain.covariance, before, after);
  const bool one_time = observations.by_step.empty();
  std::vector<std::size_t> entries;
  Vector shares;
  for (std::size_t s = 0; s < by_slot.size(); ++s) {
    const std::vector<std::size_t>& of_slot =
        one_time ? observations.selected.entries : observations.entries_by_step[s];
    entries.insert(entries.end(), of_slot.begin(), of_slot.end());
    shares.insert(shares.end(), by_slot[s].begin(), by_slot[s].end());
  }
  return sum_impacts(observations.table, entries, shares, before.error, after.error);
}

}  // namespace zonda::assimilation
