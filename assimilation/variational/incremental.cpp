#include "assimilation/variational/incremental.hpp"

namespace zonda::assimilation {

VariationalAnalysis incremental_variational(const Window& window, ConstView background, const Covariance& covariance,
                                            const IncrementalSettings& settings) {
  require_size("the background", background.size(), covariance.size());
  DualPair from_background{Vector(background.size()), Vector(background.size())};  // x - x_b
  SpectralPreconditioner preconditioner(covariance);
  VariationalAnalysis analysis{Vector(background.begin(), background.end()), 0, 0, {}, {}};
  const auto assess = [&](const Linearisation& at) {
    analysis.background_cost = dot(from_background.primal, from_background.dual) / 2;
    analysis.observation_cost = at.observation_cost();
    analysis.costs.push_back(analysis.background_cost + analysis.observation_cost);
  };
  for (std::size_t outer = 0; outer < settings.outer_iterations; ++outer) {
    const Linearisation about(window, analysis.state);
    assess(about);
    Vector right_side = about.forcing();
    axpy(-1, from_background.dual, right_side);
    LanczosResult inner = drp_lanczos([&](ConstView increment) { return about.curvature(increment); }, preconditioner,
                                      right_side, settings.inner);
    axpy(1, inner.increment.primal, analysis.state);
    axpy(1, inner.increment.primal, from_background.primal);
    axpy(1, inner.increment.dual, from_background.dual);
    analysis.inner_iterations.push_back(inner.decrease.size());
    if (settings.spectral_preconditioner && preconditioner.empty())
      for (std::size_t j = 0; j < inner.ritz_values.size(); ++j)
        preconditioner.learn(inner.ritz_values[j], std::move(inner.ritz_vectors[j]));
    if (root_mean_square(inner.increment.primal) < settings.outer_tolerance) break;
  }
  assess(Linearisation(window, analysis.state));
  return analysis;
}

}  // namespace zonda::assimilation
