// The static part of a hybrid, with deviations of its own or with those of the ensemble.
#include <gtest/gtest.h>

#include "assimilation/covariance/scaled_covariance.hpp"
#include "assimilation/cycling/variational_method.hpp"
#include "tests/assimilation/persistent_model.hpp"
#include "tests/assimilation/spectral_fixture.hpp"

namespace zonda::assimilation {
namespace {

/// Perturbations stay those of the background.
class Untouched final : public AnalysisMethod {
 public:
  AnalysisNotes analyse(Ensemble&, const AnalysisInput&) const override { return {}; }
};

struct StaticDeviations : testing::Test {
  AtmosphereLayout layout = small_atmosphere(Grid::gaussian(8, 16));
  std::shared_ptr<const Covariance> climate = std::make_shared<SpectralCovariance>(layout, known_statistics(layout, 7));

  /// The mean of the analysis with `factor` times the static deviations.
  Vector analysis(const char* deviations, double factor, double scale = 1, int ranks = 1) const {
    AnalysisConfig config;
    config.method = "hybrid";
    config.static_weight = 0.5;
    config.static_deviations = deviations;
    config.covariance.scale = scale;
    config.localisation = {5e6, 0.5};
    config.inner_iterations = 80;
    config.inner_tolerance = 1e-12;
    const AtmosphereModel model{std::make_shared<PersistentModel>(layout.state_size()), layout,
                                parse_time("2000-01-01"), std::chrono::hours(6), "still"};
    const Observations observations = observe_components(layout, {5, 200, 700, 1100});
    Vector result;
    parallel::run_on_threads(ranks, [&](const parallel::Communicator& communicator) {
      const auto method = make_variational_method(
          config, model,
          std::make_shared<ScaledCovariance>(climate, Vector(layout.state_size(), factor * std::sqrt(scale))),
          std::make_unique<Untouched>(), communicator);
      Ensemble ensemble(6, layout.state_size(),
                        parallel::partition(6, static_cast<std::size_t>(communicator.size()),
                                            static_cast<std::size_t>(communicator.rank())));
      for (std::size_t k = 0; k < ensemble.own().size(); ++k)
        copy(small_member(layout, ensemble.own().begin + k), ensemble.member(k));
      method->analyse(ensemble, {observations, 0, model.origin, ensemble, {}});
      if (communicator.is_root()) result.assign(ensemble.member(0).begin(), ensemble.member(0).end());
    });
    return result;
  }
};

TEST_F(StaticDeviations, OfTheEnsembleForgetThoseOfTheStatistics) {
  const Vector one = analysis("ensemble", 1), three = analysis("ensemble", 3);
  EXPECT_LT(norm(difference(one, three)), 1e-9 * norm(one));
  EXPECT_GT(norm(difference(analysis("statistics", 1), analysis("statistics", 3))), 1e-3 * norm(one));
}

TEST_F(StaticDeviations, OfTheEnsembleAreScaledByCovarianceScale) {
  const Vector one = analysis("ensemble", 1, 1), four = analysis("ensemble", 1, 4);
  EXPECT_GT(norm(difference(one, four)), 1e-3 * norm(one));
}

TEST_F(StaticDeviations, HaveTheSameBitsOnRanks) {
  const Vector alone = analysis("ensemble", 1);
  for (const int ranks : {2, 3}) EXPECT_EQ(analysis("ensemble", 1, 1, ranks), alone) << ranks << " ranks";
}

}  // namespace
}  // namespace zonda::assimilation
