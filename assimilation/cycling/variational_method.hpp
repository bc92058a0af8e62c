#pragma once
#include <functional>

#include "assimilation/cycling/analysis_method.hpp"
#include "assimilation/interfaces/covariance.hpp"

namespace zonda::assimilation {

/// 3dvar, 4dvar (one state), hybrid and envar (an ensemble: the LETKF gives the analysis perturbations, the variational
/// analysis of the background's mean their mean). `of_slot` is the static covariance; null for envar. All ranks analyse
/// together and hold the anomalies of all members. 4dvar analyses the window from the cycle before: its background is
/// that cycle's analysis.
std::unique_ptr<AnalysisMethod> make_variational_method(const AnalysisConfig& config, const AtmosphereModel& model,
                                                        std::shared_ptr<const Covariance> of_slot,
                                                        std::unique_ptr<AnalysisMethod> perturbations,
                                                        const parallel::Communicator& communicator);

/// The covariance of `config.covariance` for one slot of the model's state. `samples` are asked for where there is no
/// file.
std::shared_ptr<const Covariance> static_covariance(const CovarianceConfig& config, const AtmosphereModel& model,
                                                    const std::function<std::vector<Vector>()>& samples,
                                                    const parallel::Communicator& communicator);

}  // namespace zonda::assimilation
