#include "assimilation/cycling/variational_method.hpp"

#include <cmath>

#include "assimilation/covariance/ensemble_covariance.hpp"
#include "assimilation/covariance/hybrid_covariance.hpp"
#include "assimilation/covariance/isotropic_correlation.hpp"
#include "assimilation/covariance/level_correlation.hpp"
#include "assimilation/covariance/localisation.hpp"
#include "assimilation/covariance/repeated_covariance.hpp"
#include "assimilation/covariance/spectral_covariance.hpp"
#include "assimilation/cycling/member_exchange.hpp"
#include "assimilation/variational/incremental.hpp"
#include "core/error.hpp"

namespace zonda::assimilation {
namespace {

IncrementalSettings settings_of(const AnalysisConfig& config) {
  IncrementalSettings settings;
  settings.outer_iterations = static_cast<std::size_t>(config.outer_iterations);
  settings.inner.iterations = static_cast<std::size_t>(config.inner_iterations);
  settings.inner.tolerance = config.inner_tolerance;
  return settings;
}

/// The model's number of the window's first step.
std::size_t first_step(const AtmosphereModel& model, const AnalysisInput& input) {
  return static_cast<std::size_t>((input.window_begin - model.origin) / model.step);
}

AnalysisNotes notes_of(const VariationalAnalysis& analysis) {
  AnalysisNotes notes{analysis.costs, 0};
  for (const std::size_t n : analysis.inner_iterations) notes.iterations += n;
  return notes;
}

/// An analysis whose increment stays as it is through the window: 3D-Var, or where the window has several states
/// 3D-FGAT. `state` is that of the analysis' time.
VariationalAnalysis persistent_analysis(const AtmosphereModel& model, const AnalysisInput& input,
                                        const Vector& background, const Covariance& covariance,
                                        const IncrementalSettings& settings) {
  if (input.slots.empty())
    return incremental_variational(Window(model.model, {{0, input.observations}}, IncrementModel::persistence),
                                   background, covariance, settings);
  const Window window(model.model, input.slots, IncrementModel::persistence, first_step(model, input));
  VariationalAnalysis analysis = incremental_variational(window, input.window_start, covariance, settings);
  axpy(-1, input.window_start, analysis.state);
  axpy(1, background, analysis.state);
  return analysis;
}

class SingleState final : public AnalysisMethod {
 public:
  SingleState(const AnalysisConfig& config, const AtmosphereModel& model, std::shared_ptr<const Covariance> covariance,
              const parallel::Communicator& communicator)
      : model_(model),
        covariance_(std::move(covariance)),
        communicator_(communicator),
        settings_(settings_of(config)),
        through_time_(config.method == "4dvar") {
    if (through_time_ && !model.model->differentiable())
      fail(ErrorKind::usage,
           "cycle.analyses, {}: 4dvar needs the model's tangent and adjoint, which this model does not have; expected "
           "letkf, 3dvar, hybrid or envar, or a dry core or a network as model",
           config.label());
  }
  bool wants_window() const override { return through_time_; }

  AnalysisNotes analyse(Ensemble& ensemble, const AnalysisInput& input) const override {
    const Vector background = ensemble_mean(communicator_, ensemble);
    VariationalAnalysis analysis;
    Vector start;
    if (through_time_ && !input.window_start.empty()) {
      const auto steps = static_cast<std::size_t>((input.time - input.window_begin) / model_.step);
      std::vector<TimeSlot> slots = input.slots;
      if (slots.empty()) slots.push_back({steps, input.observations});
      const Window window(model_.model, std::move(slots), IncrementModel::tangent, first_step(model_, input));
      analysis = incremental_variational(window, input.window_start, *covariance_, settings_);
      start = std::move(analysis.state);
      analysis.state = window.forecast(start, steps);
    } else {
      analysis = persistent_analysis(model_, input, background, *covariance_, settings_);
    }
    if (ensemble.own().size() > 0) copy(analysis.state, ensemble.member(0));
    AnalysisNotes notes = notes_of(analysis);
    if (!input.slots.empty()) notes.window_start = std::move(start);
    return notes;
  }

 private:
  AtmosphereModel model_;
  std::shared_ptr<const Covariance> covariance_;
  parallel::Communicator communicator_;
  IncrementalSettings settings_;
  bool through_time_;
};

class RecentredEnsemble final : public AnalysisMethod {
 public:
  RecentredEnsemble(const AnalysisConfig& config, const AtmosphereModel& model, std::shared_ptr<const Covariance> fixed,
                    std::unique_ptr<AnalysisMethod> perturbations, const parallel::Communicator& communicator)
      : model_(model),
        fixed_(std::move(fixed)),
        weight_(fixed_ ? config.static_weight : 0),
        perturbations_(std::move(perturbations)),
        communicator_(communicator),
        settings_(settings_of(config)) {
    const double half_support = gaspari_cohn_half_support(config.localisation.horizontal);
    localisation_ = std::make_shared<SharedLevelCorrelation>(
        model.layout,
        std::make_shared<IsotropicCorrelation>(
            model.layout.grid, [half_support](double distance) { return gaspari_cohn(distance / half_support); }),
        gaspari_cohn_half_support(config.localisation.vertical));
  }

  AnalysisNotes analyse(Ensemble& ensemble, const AnalysisInput& input) const override {
    const Vector background = ensemble_mean(communicator_, ensemble);
    std::vector<Vector> anomalies;
    for (std::size_t k = 0; k < ensemble.own().size(); ++k)
      anomalies.push_back(difference(ensemble.member(k), background));
    std::shared_ptr<const Covariance> covariance =
        std::make_shared<EnsembleCovariance>(ensemble.total(), std::move(anomalies), localisation_, communicator_);
    if (weight_ > 0)
      covariance = std::make_shared<HybridCovariance>(fixed_, weight_, std::move(covariance), 1 - weight_);
    const VariationalAnalysis analysis = persistent_analysis(model_, input, background, *covariance, settings_);
    perturbations_->analyse(ensemble, input);
    const Vector shift = difference(analysis.state, ensemble_mean(communicator_, ensemble));
    for (std::size_t k = 0; k < ensemble.own().size(); ++k) axpy(1, shift, ensemble.member(k));
    return notes_of(analysis);
  }
  ConstView learned() const override { return perturbations_->learned(); }
  void restore(ConstView learned) override { perturbations_->restore(learned); }

 private:
  AtmosphereModel model_;
  std::shared_ptr<const Covariance> fixed_, localisation_;
  double weight_;
  std::unique_ptr<AnalysisMethod> perturbations_;
  parallel::Communicator communicator_;
  IncrementalSettings settings_;
};

}  // namespace

std::unique_ptr<AnalysisMethod> make_variational_method(const AnalysisConfig& config, const AtmosphereModel& model,
                                                        std::shared_ptr<const Covariance> of_slot,
                                                        std::unique_ptr<AnalysisMethod> perturbations,
                                                        const parallel::Communicator& communicator) {
  if (of_slot && model.layout.slots > 1)
    of_slot = std::make_shared<RepeatedCovariance>(std::move(of_slot), model.layout.slots);
  if (config.is_ensemble())
    return std::make_unique<RecentredEnsemble>(config, model, std::move(of_slot), std::move(perturbations),
                                               communicator);
  return std::make_unique<SingleState>(config, model, std::move(of_slot), communicator);
}

std::shared_ptr<const Covariance> static_covariance(const CovarianceConfig& config, const AtmosphereModel& model,
                                                    const std::function<std::vector<Vector>()>& samples,
                                                    const parallel::Communicator& communicator) {
  AtmosphereLayout slot = model.layout;
  slot.slots = 1;
  SpectralStatistics statistics;
  if (config.file.empty()) {
    CalibrationSettings settings;
    settings.variance_factor = config.scale;
    statistics = calibrate(model.layout, samples(), settings);
  } else {
    statistics = read_statistics(config.file, model.layout, model.identity);
    for (Vector& deviations : statistics.deviations) scale(std::sqrt(config.scale), deviations);
  }
  return std::make_shared<SpectralCovariance>(slot, std::move(statistics), communicator);
}

}  // namespace zonda::assimilation
