#include "assimilation/cycling/analysis_method.hpp"

#include <numeric>
#include <utility>

#include "assimilation/cycling/variational_method.hpp"
#include "assimilation/ensemble/atmosphere_batches.hpp"
#include "assimilation/ensemble/letkf.hpp"

namespace zonda::assimilation {
namespace {

class FilterMethod final : public AnalysisMethod {
 public:
  FilterMethod(std::unique_ptr<Letkf> filter, std::shared_ptr<AdaptiveInflation> adaptive)
      : filter_(std::move(filter)), adaptive_(std::move(adaptive)) {}
  AnalysisNotes analyse(Ensemble& ensemble, const AnalysisInput& input) const override {
    filter_->analyse(ensemble, input.observations, input.observed);
    return {};
  }
  ConstView learned() const override { return adaptive_ ? std::as_const(*adaptive_).factors() : ConstView{}; }
  void restore(ConstView learned) override {
    if (adaptive_) return copy(learned, adaptive_->factors());
    AnalysisMethod::restore(learned);
  }

 private:
  std::unique_ptr<Letkf> filter_;
  std::shared_ptr<AdaptiveInflation> adaptive_;
};

LetkfSettings letkf_settings(const AnalysisConfig& config, bool learned) {
  LetkfSettings settings;
  settings.inflation = resolved_inflation(config.inflation, learned);
  if (config.most_observations > 0) settings.most_observations = static_cast<std::size_t>(config.most_observations);
  return settings;
}

/// All variables with one set of weights, every observation in full: the ETKF.
std::vector<Batch> one_batch(std::size_t size) {
  Batch batch{{}, std::vector<std::size_t>(size)};
  std::iota(batch.variables.begin(), batch.variables.end(), std::size_t{0});
  return {std::move(batch)};
}

}  // namespace

std::unique_ptr<AnalysisMethod> make_analysis_method(const AnalysisConfig& config, const AtmosphereModel& model,
                                                     bool learned, const std::function<std::vector<Vector>()>& samples,
                                                     const parallel::Communicator& communicator) {
  if (config.method == "none") return nullptr;
  const std::size_t size = model.layout.state_size();
  LetkfSettings settings = letkf_settings(config, learned);
  std::shared_ptr<const Covariance> fixed;
  if (config.needs_static_covariance()) fixed = static_covariance(config.covariance, model, samples, communicator);
  if (!config.is_ensemble()) return make_variational_method(config, model, std::move(fixed), nullptr, communicator);
  const auto filter = [&](std::vector<Batch> batches, Localisation localisation) {
    if (config.inflation.adaptive)
      settings.adaptive = std::make_shared<AdaptiveInflation>(batches.size(), *config.inflation.adaptive);
    return std::make_unique<FilterMethod>(
        std::make_unique<Letkf>(communicator, size, std::move(batches), std::move(localisation), settings),
        settings.adaptive);
  };
  if (config.method == "etkf") return filter(one_batch(size), Localisation());
  auto letkf =
      filter(atmosphere_batches(model.layout, static_cast<std::size_t>(config.weight_stride)),
             Localisation(std::make_shared<SphereMetric>(), gaspari_cohn_half_support(config.localisation.horizontal),
                          gaspari_cohn_half_support(config.localisation.vertical)));
  if (config.method == "letkf") return letkf;
  return make_variational_method(config, model, std::move(fixed), std::move(letkf), communicator);
}

}  // namespace zonda::assimilation
