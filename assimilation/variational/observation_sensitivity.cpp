#include "assimilation/variational/observation_sensitivity.hpp"

#include "core/error.hpp"

namespace zonda::assimilation {

ForecastError forecast_error(const ForecastModel& model, std::size_t first_step, std::size_t steps, ConstView state,
                             ConstView verifying, ConstView weights) {
  require_size("the verifying state", verifying.size(), state.size());
  require_size("the weights of the forecast error", weights.size(), state.size());
  if (steps > 0 && !model.differentiable())
    fail(ErrorKind::usage, "the sensitivity of a forecast needs a model with an adjoint");
  const Trajectory trajectory(model, first_step, state, steps, 1);
  const Vector error = difference(trajectory.at(steps), verifying);
  ForecastError result{0, error};
  for (std::size_t i = 0; i < error.size(); ++i) result.gradient[i] *= weights[i];
  result.error = dot(error, result.gradient) / 2;
  for (std::size_t n = steps; n-- > 0;) model.adjoint(first_step + n, trajectory.at(n), result.gradient);
  return result;
}

std::vector<Vector> observation_sensitivity(const Window& window, ConstView analysis, const Covariance& background,
                                            ConstView gradient, const LanczosSettings& settings) {
  const Linearisation about(window, analysis);
  const SpectralPreconditioner preconditioner(background);
  const LanczosResult solved =
      drp_lanczos([&](ConstView increment) { return about.curvature(increment); }, preconditioner, gradient, settings);
  std::vector<Vector> sensitivity = about.observe(solved.increment.primal);
  for (std::size_t s = 0; s < sensitivity.size(); ++s) window.slots()[s].observations.weigh(sensitivity[s]);
  return sensitivity;
}

std::vector<Vector> observation_impacts(const Window& window, ConstView background, ConstView analysis,
                                        const Covariance& background_covariance, const ForecastError& before,
                                        const ForecastError& after, const LanczosSettings& settings) {
  Vector gradient = before.gradient;
  axpy(1, after.gradient, gradient);
  scale(0.5, gradient);
  std::vector<Vector> impacts = observation_sensitivity(window, analysis, background_covariance, gradient, settings);
  const Linearisation about(window, background);
  for (std::size_t s = 0; s < impacts.size(); ++s)
    for (std::size_t i = 0; i < impacts[s].size(); ++i) impacts[s][i] *= about.departures()[s][i];
  return impacts;
}

}  // namespace zonda::assimilation
