#pragma once
// What a forecast may hold: physical bounds, and the range of plausible values.
#include <string>

#include "core/state.hpp"
#include "model/forecast_state/state_bounds.hpp"

namespace zonda::inference {

using model::physical_bounds;

/// Sets values beyond the bounds to the bound.
void apply_physical_bounds(State& state);

/// Throws Error(numerical) naming channel, place, time and value where one is not finite or outside the variable's
/// physical range.
void require_physical_range(const State& state, const std::string& what);

}  // namespace zonda::inference
