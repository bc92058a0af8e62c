#pragma once
// What a forecast may hold: humidity, cloud and precipitation are not negative, cloud cover is at most 1.
#include <limits>
#include <span>
#include <string>
#include <vector>

#include "core/state.hpp"

namespace zonda::inference {

struct Bounds {
  double lower = -std::numeric_limits<double>::infinity();
  double upper = std::numeric_limits<double>::infinity();
};
/// Of a variable by its meaning, not its range of plausible values.
Bounds physical_bounds(const Variable& variable);

/// Sets values beyond the bounds to the bound.
void apply_physical_bounds(State& state);

/// Throws Error(numerical) naming channel, place, time and value where one is not finite or outside the variable's
/// physical range.
void require_physical_range(const State& state, const std::string& what);

}  // namespace zonda::inference
