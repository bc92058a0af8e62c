#include "assimilation/cycling/variational_method.hpp"

#include <cmath>

#include "assimilation/covariance/ensemble_covariance.hpp"
#include "assimilation/covariance/field_variances.hpp"
#include "assimilation/covariance/hybrid_covariance.hpp"
#include "assimilation/covariance/isotropic_correlation.hpp"
#include "assimilation/covariance/level_correlation.hpp"
#include "assimilation/covariance/localisation.hpp"
#include "assimilation/covariance/repeated_covariance.hpp"
#include "assimilation/covariance/scaled_covariance.hpp"
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
/// 3D-FGAT. `state` is that of the analysis' time; `gain` where the input asks for it.
struct PersistentAnalysis {
  PersistentAnalysis(const AtmosphereModel& model, const AnalysisInput& input, const Vector& background,
                     const std::shared_ptr<const Covariance>& covariance, const IncrementalSettings& settings) {
    const bool one_time = input.slots.empty();
    const Window window = one_time
                              ? Window(model.model, {{0, input.observations}}, IncrementModel::persistence)
                              : Window(model.model, input.slots, IncrementModel::persistence, first_step(model, input));
    const Vector begin = one_time ? background : Vector(input.window_start.begin(), input.window_start.end());
    analysis = incremental_variational(window, begin, *covariance, settings);
    const Vector fitted = analysis.state;
    if (!one_time) {
      axpy(-1, begin, analysis.state);
      axpy(1, background, analysis.state);
    }
    if (input.with_gain)
      gain = std::make_shared<const AnalysisGain>(
          AnalysisGain{window, begin, fitted, covariance, input.time, background, analysis.state});
  }
  AnalysisNotes notes() const {
    AnalysisNotes notes = notes_of(analysis);
    notes.gain = gain;
    return notes;
  }

  VariationalAnalysis analysis;
  std::shared_ptr<const AnalysisGain> gain;
};

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
    if (through_time_ && !input.window_start.empty()) return analyse_window(ensemble, input);
    const PersistentAnalysis fit(model_, input, background, covariance_, settings_);
    if (ensemble.own().size() > 0) copy(fit.analysis.state, ensemble.member(0));
    return fit.notes();
  }

 private:
  /// 4D-Var: the state at the window's beginning fits all observations, and the model carries it to the analysis' time.
  AnalysisNotes analyse_window(Ensemble& ensemble, const AnalysisInput& input) const {
    const auto steps = static_cast<std::size_t>((input.time - input.window_begin) / model_.step);
    std::vector<TimeSlot> slots = input.slots;
    if (slots.empty()) slots.push_back({steps, input.observations});
    const Window window(model_.model, std::move(slots), IncrementModel::tangent, first_step(model_, input));
    const VariationalAnalysis analysis = incremental_variational(window, input.window_start, *covariance_, settings_);
    const Vector now = window.forecast(analysis.state, steps);
    if (ensemble.own().size() > 0) copy(now, ensemble.member(0));
    AnalysisNotes notes = notes_of(analysis);
    if (!input.slots.empty()) notes.window_start = analysis.state;
    const Vector begin(input.window_start.begin(), input.window_start.end());
    if (input.with_gain)
      notes.gain = std::make_shared<const AnalysisGain>(
          AnalysisGain{window, begin, analysis.state, covariance_, input.window_begin, begin, analysis.state});
    return notes;
  }

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
    if (fixed_ && config.static_deviations == "ensemble") {
      fixed_variances_ = field_variances(model_.layout, *fixed_);
      scale(1 / config.covariance.scale, fixed_variances_);
    }
  }

  AnalysisNotes analyse(Ensemble& ensemble, const AnalysisInput& input) const override {
    const Vector background = ensemble_mean(communicator_, ensemble);
    std::vector<Vector> anomalies;
    for (std::size_t k = 0; k < ensemble.own().size(); ++k)
      anomalies.push_back(difference(ensemble.member(k), background));
    std::shared_ptr<const Covariance> covariance =
        std::make_shared<EnsembleCovariance>(ensemble.total(), std::move(anomalies), localisation_, communicator_);
    if (weight_ > 0)
      covariance = std::make_shared<HybridCovariance>(fixed_part(ensemble, background), weight_, std::move(covariance),
                                                      1 - weight_);
    const PersistentAnalysis fit(model_, input, background, covariance, settings_);
    perturbations_->analyse(ensemble, input);
    const Vector shift = difference(fit.analysis.state, ensemble_mean(communicator_, ensemble));
    for (std::size_t k = 0; k < ensemble.own().size(); ++k) axpy(1, shift, ensemble.member(k));
    return fit.notes();
  }
  ConstView learned() const override { return perturbations_->learned(); }
  void restore(ConstView learned) override { perturbations_->restore(learned); }

 private:
  /// The static covariance; where its deviations are the ensemble's, every field and level scaled to the spread.
  std::shared_ptr<const Covariance> fixed_part(const Ensemble& ensemble, ConstView mean) const {
    if (fixed_variances_.empty()) return fixed_;
    const std::size_t fields = fixed_variances_.size();
    Vector own;
    for (std::size_t k = 0; k < ensemble.own().size(); ++k) {
      const Vector squares = field_mean_squares(model_.layout, difference(ensemble.member(k), mean));
      own.insert(own.end(), squares.begin(), squares.end());
    }
    const Vector all = gather_members(communicator_, ensemble.total(), own, fields);
    Vector ratios(fields);
    for (std::size_t k = 0; k < ensemble.total(); ++k) axpy(1, ConstView(all).subspan(k * fields, fields), ratios);
    for (std::size_t f = 0; f < fields; ++f) {
      const double variance = ratios[f] / static_cast<double>(ensemble.total() - 1);
      ratios[f] = variance > 0 && fixed_variances_[f] > 0 ? std::sqrt(variance / fixed_variances_[f]) : 1;
    }
    return std::make_shared<ScaledCovariance>(fixed_, spread_over_fields(model_.layout, ratios));
  }

  AtmosphereModel model_;
  std::shared_ptr<const Covariance> fixed_, localisation_;
  double weight_;
  Vector fixed_variances_;  ///< [field and level], over covariance.scale; empty: the static covariance stays as it is
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
