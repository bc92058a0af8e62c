#pragma once
#include "assimilation/observations/atmosphere_layout.hpp"

namespace zonda::assimilation {

/// Weights [state] of squared differences of u, v, t and sp, by which half their sum is dry total energy, J/kg, the
/// mean over the mass of the atmosphere: u2 + v2 + (c_p / T_r) t2 + (R T_r / p_r2) sp2, T_r = 270 K, p_r = 1000 hPa
/// (Ehrendorfer & Errico 1995, J. Atmos. Sci. 52, 3475-3500). Layers end half-way between levels. Of several time slots
/// the last counts; other variables do not.
Vector energy_weights(const AtmosphereLayout& layout);

}  // namespace zonda::assimilation
