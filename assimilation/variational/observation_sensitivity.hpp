#pragma once
// What observations did to a forecast: the adjoint of the analysis step (Baker & Daley 2000, Quart. J. Roy. Meteor.
// Soc. 126, 1431-1454; Langland & Baker 2004, Tellus 56A, 189-201).
#include "assimilation/interfaces/covariance.hpp"
#include "assimilation/variational/drp_lanczos.hpp"
#include "assimilation/variational/window.hpp"

namespace zonda::assimilation {

struct ForecastError {
  double error;     ///< e = 1/2 sum of weights (x_f - x_v)^2
  Vector gradient;  ///< de/dx of the state that the forecast begins with, by the model's adjoint
};
/// Of the forecast `steps` steps from `state`, whose first is the model's number `first_step`, against `verifying`.
/// `weights` [state]: of squared errors. Throws Error(usage) where the model has no adjoint.
ForecastError forecast_error(const ForecastModel& model, std::size_t first_step, std::size_t steps, ConstView state,
                             ConstView verifying, ConstView weights);

/// de/dy = R^-1 G (B^-1 + G^T R^-1 G)^-1 de/dx, [slot], about the analysis at the window's beginning: K^T de/dx with
/// the gain of the incremental analysis. Times the departures of the background, and summed over any set of
/// observations, it is their first-order share in e(analysis) - e(background).
std::vector<Vector> observation_sensitivity(const Window& window, ConstView analysis, const Covariance& background,
                                            ConstView gradient, const LanczosSettings& settings = {});

/// What each observation did to a forecast, [slot]: the departures of the background times the sensitivity with the
/// mean of both gradients, which are those at the window's beginning. They add up to after.error - before.error on a
/// linear model where the analysis has the gain of `background_covariance` in full.
std::vector<Vector> observation_impacts(const Window& window, ConstView background, ConstView analysis,
                                        const Covariance& background_covariance, const ForecastError& before,
                                        const ForecastError& after, const LanczosSettings& settings = {});

}  // namespace zonda::assimilation
