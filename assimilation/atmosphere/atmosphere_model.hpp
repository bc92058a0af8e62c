#pragma once
// A forecast model of the atmosphere, with what observing and cycling it needs.
#include <memory>
#include <string>

#include "assimilation/interfaces/forecast_model.hpp"
#include "assimilation/observations/atmosphere_layout.hpp"
#include "core/time.hpp"

namespace zonda::assimilation {

struct AtmosphereModel {
  /// Step n takes the state at origin + n step to that at origin + (n + 1) step.
  std::shared_ptr<const ForecastModel> model;
  /// Of the model's state, SI. Of several time slots the last is the present, the one before it `step` earlier.
  AtmosphereLayout layout;
  Time origin;
  Duration step;
  /// SHA-256 of what states must have in common to be of this model: the model, its normalisation, its grid.
  std::string identity;
  bool shared = false;  ///< all ranks make the same calls with the same states, and share the work of each
};

}  // namespace zonda::assimilation
