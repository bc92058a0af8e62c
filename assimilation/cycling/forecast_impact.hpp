#pragma once
// What the observations of one analysis did to a forecast from it.
#include "assimilation/cycling/analysis_method.hpp"
#include "assimilation/cycling/cycle_observations.hpp"
#include "assimilation/diagnostics/observation_impact.hpp"

namespace zonda::assimilation {

/// In the dry energy of the forecast's error at `valid` against `truth` [state], from adjoint steps of the model and
/// the adjoint of the analysis (Langland & Baker 2004, with the mean of the gradients of both forecasts). Throws
/// Error(usage) where the model has no adjoint or `valid` is no whole number of steps away.
ObservationImpact forecast_impact(const AtmosphereModel& model, const AnalysisGain& gain,
                                  const CheckedObservations& observations, Time valid, ConstView truth);

}  // namespace zonda::assimilation
