#pragma once
#include "assimilation/atmosphere/atmosphere_model.hpp"

namespace zonda::assimilation {

/// A model whose step leaves the present slot without small scales: x(t + d) = m + T (M(x) - m), T leaving total
/// wavenumbers up to `from` and nothing of those from `to` on. What the state departs from `mean` m [slot_size], SI, is
/// tapered, so that mountains keep their pressure. A network that reads tokens of several grid points does not see all
/// scales of its grid; what it does not see it carries on, were it not taken out here. Tangent and adjoint to match;
/// states are of the same identity.
AtmosphereModel tapered_model(const AtmosphereModel& model, Vector mean, int from, int to);

}  // namespace zonda::assimilation
