#pragma once
// The embedded atmosphere as a forecast model.
#include "assimilation/atmosphere/atmosphere_model.hpp"
#include "model/dynamics/simulate_config.hpp"

namespace zonda::assimilation {

/// State: sigma_layout of u, v (m/s), t (K), of a moist atmosphere q (kg/kg), and sp (Pa), on the Gaussian grid of the
/// truncation. One step integrates for `step`, beginning with a forward step as every analysis interrupts the leapfrog;
/// the time step is that of time_step_seconds() for output every `step`. The mass of dry air stays what it is at each
/// step's beginning. Any number of threads may step at once. A dry atmosphere has tangent and adjoint, about a
/// trajectory that is kept for the last two states; a moist one has none. Throws Error(usage) where the time step does
/// not divide `step`.
AtmosphereModel make_dynamical_core(const model::SimulateConfig& config, Time origin, Duration step);

/// The state at `origin` of member `member` of the simulation: integrated over the configuration's spin-up.
Vector initial_core_state(const model::SimulateConfig& config, Time origin, Duration step, int member = 0);

}  // namespace zonda::assimilation
