#pragma once
// The atmosphere that a `simulate` section describes, at its beginning.
#include <vector>

#include "model/dynamics/simulate_config.hpp"

namespace zonda::model {

/// What lies under it, [coefficients, 2], m2 s-2: the mountains, or the ground that an initial state brings.
std::vector<double> configured_ground(const SimulateConfig& config);

/// The state that member `member` begins with, its noise included, `spinup_days` before the first one written.
SpectralState configured_state(const SimulateConfig& config, int member);

}  // namespace zonda::model
