#pragma once
#include "assimilation/atmosphere/atmosphere_model.hpp"

namespace zonda::assimilation {

/// `model` whose present slot is lowered by `mean_error` [slot_size], SI, after each step: the state-independent online
/// correction of Danforth et al. (2007). Tangent and adjoint are the model's own, and its states are of the same
/// identity. Who holds the mean error may change it between steps.
AtmosphereModel corrected_model(const AtmosphereModel& model, std::shared_ptr<const Vector> mean_error);

}  // namespace zonda::assimilation
