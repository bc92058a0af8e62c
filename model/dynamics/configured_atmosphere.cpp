#include "model/dynamics/configured_atmosphere.hpp"

#include "model/dynamics/initial_state.hpp"

namespace zonda::model {
namespace {

JablonowskiWilliamson jet(const SimulateConfig& config, const SphericalTransform& transform,
                          const CoreParameters& parameters) {
  return jablonowski_williamson(transform, parameters.levels, config.initial == "baroclinic-wave", parameters.moist);
}

}  // namespace

std::vector<double> configured_ground(const SimulateConfig& config) {
  const SphericalTransform transform(config.truncation);
  if (config.initial == "rest") return mountain_geopotential(transform, config.mountains);
  return jet(config, transform, core_parameters(config)).surface_geopotential;
}

SpectralState configured_state(const SimulateConfig& config, int member) {
  const CoreParameters parameters = core_parameters(config);
  const SphericalTransform transform(parameters.truncation);
  SpectralState state = config.initial == "rest"
                            ? rest_state(transform, parameters.levels,
                                         mountain_geopotential(transform, config.mountains), parameters.moist)
                            : jet(config, transform, parameters).state;
  const double noise = config.noise.value_or(config.initial == "rest" ? 1.0 : 0.0);
  if (noise > 0) add_noise(transform.index(), parameters.levels.count(), noise, config.seed, member, state);
  return state;
}

}  // namespace zonda::model
