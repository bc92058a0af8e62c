#pragma once
// The states of an observation window: of the truth, and of an analysis.
#include <vector>

#include "assimilation/atmosphere/atmosphere_model.hpp"
#include "assimilation/cycling/cycle_observations.hpp"
#include "assimilation/experiments/osse/truth.hpp"

namespace zonda::assimilation {

/// At `times`, in order; leaves the truth at `analysis`. Throws Error(data) where it is not known.
std::vector<Vector> observed_truths(Truth& truth, const std::vector<Time>& times, Time analysis);

/// What observations of a window see of its analysis: `analysis` itself where the window has one state. Of several,
/// those of the model from `start`, the analysed one at the window's beginning; where there is none, the increment of
/// the analysis on each of the `background`'s.
Vector analysed_states(const AtmosphereModel& model, const ObservationWindow& window, const Vector& background,
                       Vector analysis, const Vector& start);

}  // namespace zonda::assimilation
