#pragma once
// Analyses of a small atmosphere whose work ranks share: with 3D-Var, hybrid, ensemble-variational, 3D-FGAT and 4D-Var.
#include <memory>
#include <string>

#include "assimilation/covariance/ensemble_covariance.hpp"
#include "assimilation/covariance/hybrid_covariance.hpp"
#include "assimilation/covariance/isotropic_correlation.hpp"
#include "assimilation/covariance/level_correlation.hpp"
#include "assimilation/covariance/localisation.hpp"
#include "assimilation/observations/distributed_operator.hpp"
#include "assimilation/observations/selected_components.hpp"
#include "assimilation/variational/incremental.hpp"
#include "spectral_fixture.hpp"

namespace zonda::assimilation {

/// Fields that turn eastward by one column a step, and weaken.
class TurningAtmosphere final : public ForecastModel {
 public:
  explicit TurningAtmosphere(const AtmosphereLayout& layout) : layout_(layout) {}
  std::size_t size() const override { return layout_.state_size(); }
  void step(std::size_t, View state) const override { turn(state, false); }
  void tangent(std::size_t, ConstView, View perturbation) const override { turn(perturbation, false); }
  void adjoint(std::size_t, ConstView, View sensitivity) const override { turn(sensitivity, true); }

 private:
  void turn(View state, bool back) const {
    const std::size_t columns = layout_.grid.nlon();
    const Vector before(state.begin(), state.end());
    for (std::size_t i = 0; i < state.size(); ++i) {
      const std::size_t column = i % columns, row = i - column;
      state[i] = 0.98 * before[row + (column + (back ? 1 : columns - 1)) % columns];
    }
  }
  AtmosphereLayout layout_;
};

struct SharedAnalysis {
  std::string method;
  std::size_t observations;
};

inline std::vector<SharedAnalysis> shared_analyses() {
  return {{"3dvar", 200}, {"3dfgat", 200}, {"4dvar", 200}, {"hybrid", 200},
          {"envar", 200}, {"3dvar", 0},    {"3dvar", 3},   {"4dvar", 5}};
}

inline std::shared_ptr<const Covariance> shared_covariance(const AtmosphereLayout& layout, const std::string& method,
                                                           const parallel::Communicator& communicator) {
  const auto spectral = std::make_shared<SpectralCovariance>(layout, known_statistics(layout, 9), communicator);
  if (method != "hybrid" && method != "envar") return spectral;
  std::vector<Vector> anomalies;
  Vector mean(layout.state_size());
  for (std::size_t k = 0; k < 5; ++k) {
    anomalies.push_back(small_member(layout, k));
    axpy(0.2, anomalies.back(), mean);
  }
  for (Vector& anomaly : anomalies) axpy(-1, mean, anomaly);
  const auto horizontal = std::make_shared<IsotropicCorrelation>(
      layout.grid, [](double distance) { return gaspari_cohn(distance / 6e6); }, 0.02);
  const auto ensemble = std::make_shared<EnsembleCovariance>(
      std::move(anomalies), std::make_shared<SharedLevelCorrelation>(layout, horizontal, 0.7), communicator);
  if (method == "envar") return ensemble;
  return std::make_shared<HybridCovariance>(spectral, 0.5, ensemble, 0.5);
}

inline VariationalAnalysis shared_analysis(const parallel::Communicator& communicator, const SharedAnalysis& analysis) {
  const AtmosphereLayout layout = small_atmosphere(Grid::gaussian(10, 20));
  const auto model = std::make_shared<TurningAtmosphere>(layout);
  const bool windowed = analysis.method == "4dvar" || analysis.method == "3dfgat";
  std::vector<TimeSlot> slots;
  for (std::size_t step = 0; step < (windowed ? 3 : 1); ++step) {
    const Philox random(3 + step, "observed");
    std::vector<std::size_t> components;
    for (std::size_t i = 0; i < analysis.observations; ++i)
      components.push_back(random.integer(i, layout.state_size()));
    Observations observations = observe_components(layout, components);
    observations.instrument = std::make_shared<DistributedOperator>(
        communicator, layout.state_size(), components.size(), [&](parallel::Range range) {
          return std::make_shared<SelectedComponents>(
              layout.state_size(),
              std::vector<std::size_t>(components.begin() + static_cast<std::ptrdiff_t>(range.begin),
                                       components.begin() + static_cast<std::ptrdiff_t>(range.end)));
        });
    slots.push_back({step, std::move(observations)});
  }
  const Window window(model, std::move(slots),
                      analysis.method == "4dvar" ? IncrementModel::tangent : IncrementModel::persistence);
  IncrementalSettings settings;
  // The increment of 3D-FGAT does not move with the model: a second outer iteration need not help.
  settings.outer_iterations = analysis.method == "3dfgat" ? 1 : 2;
  settings.inner = {12, 1e-6};
  return incremental_variational(window, small_member(layout, 9),
                                 *shared_covariance(layout, analysis.method, communicator), settings);
}

}  // namespace zonda::assimilation
