#pragma once
#include "assimilation/atmosphere/atmosphere_model.hpp"

namespace zonda::assimilation {

/// A model of two time slots whose step adds its change of the present with the small scales taken out, as forecasts
/// with a spectral taper do: x(t + d) = x(t) + T (M(x) - x(t)), T leaving total wavenumbers up to `from` and nothing of
/// those from `to` on. Tangent and adjoint to match; states are of the same identity. Throws Error(usage) on a model of
/// one slot.
AtmosphereModel tapered_model(const AtmosphereModel& model, int from, int to);

}  // namespace zonda::assimilation
