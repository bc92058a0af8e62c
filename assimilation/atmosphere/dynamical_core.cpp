#include "assimilation/atmosphere/dynamical_core.hpp"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "assimilation/atmosphere/idle_workers.hpp"
#include "assimilation/atmosphere/linearisations.hpp"
#include "core/checksum.hpp"
#include "core/constants.hpp"
#include "core/error.hpp"
#include "model/dynamics/configured_atmosphere.hpp"
#include "model/dynamics/linearised_integration.hpp"
#include "model/dynamics/sigma_fields.hpp"

namespace zonda::assimilation {
namespace {

using model::PrimitiveEquations;

/// An integration with the memory it needs.
struct Integration {
  PrimitiveEquations equations;
  model::SigmaFields fields;
  Integration(const model::CoreParameters& parameters, const std::vector<double>& ground)
      : equations(parameters, ground),
        fields(equations.transform(), std::size_t(parameters.levels.count()), parameters.moist) {}

  void start(ConstView state, Time time) {
    model::SpectralState spectral(equations.index().size(), equations.parameters().levels.count(),
                                  equations.parameters().moist);
    fields.analyse(state, spectral);
    equations.start(std::move(spectral), time);
  }
  void run(std::int64_t steps) {
    for (std::int64_t i = 0; i < steps; ++i) equations.step();
  }
  void finish(View state) { fields.synthesise(equations.present(), state); }
};

/// An integration with its tangent and adjoint.
struct LinearisedCore {
  PrimitiveEquations equations;
  model::LinearisedIntegration integration;
  Time origin;
  Duration step;
  std::int64_t time_steps;
  Vector end;
  LinearisedCore(const model::CoreParameters& parameters, const std::vector<double>& ground, Time from, Duration length,
                 std::int64_t count)
      : equations(parameters, ground), integration(equations), origin(from), step(length), time_steps(count) {}
  void linearise(std::size_t n, ConstView state) {
    end.assign(state.begin(), state.end());
    integration.run(end, origin + static_cast<std::int64_t>(n) * step, time_steps);
  }
};

class DynamicalCore final : public ForecastModel {
 public:
  DynamicalCore(const model::CoreParameters& parameters, const std::vector<double>& ground, Time origin, Duration step)
      : origin_(origin),
        step_(step),
        time_steps_(std::llround(double(step.count()) / parameters.time_step)),
        dry_(!parameters.moist),
        integrations_([parameters, ground] { return std::make_unique<Integration>(parameters, ground); }),
        size_(integrations_.lease()->fields.size()),
        linearised_(
            [parameters, ground, origin, step, count = time_steps_] {
              return std::make_unique<LinearisedCore>(parameters, ground, origin, step, count);
            },
            2) {}

  std::size_t size() const override { return size_; }
  void step(std::size_t n, View state) const override {
    require_size("the state of the dynamical core", state.size(), size_);
    auto integration = integrations_.lease();
    integration->start(state, origin_ + static_cast<std::int64_t>(n) * step_);
    integration->run(time_steps_);
    integration->finish(state);
  }
  void tangent(std::size_t n, ConstView state, View perturbation) const override {
    const std::lock_guard lock(linearising_);
    about(n, state, perturbation).tangent(perturbation);
  }
  void adjoint(std::size_t n, ConstView state, View sensitivity) const override {
    const std::lock_guard lock(linearising_);
    about(n, state, sensitivity).adjoint(sensitivity);
  }
  bool differentiable() const override { return dry_; }

 private:
  const model::LinearisedIntegration& about(std::size_t n, ConstView state, ConstView change) const {
    require_size("the state of the dynamical core", state.size(), size_);
    require_size("the perturbation of the dynamical core", change.size(), size_);
    if (!dry_)
      fail(ErrorKind::usage,
           "the moist dynamical core has no tangent and adjoint, which 4D-Var needs: use letkf, 3dvar, hybrid or "
           "ensemble-variational analyses, a dry one, or the network as model");
    return linearised_.about(n, state).integration;
  }
  Time origin_;
  Duration step_;
  std::int64_t time_steps_;
  bool dry_;
  mutable IdleWorkers<Integration> integrations_;
  std::size_t size_;
  mutable std::mutex linearising_;
  mutable Linearisations<LinearisedCore> linearised_;
};

/// Each model step begins with a forward one, which amplifies waves by (omega dt)^2 / 2: in short model steps the time
/// step is so much shorter that this comes to no more per hour than in model steps of 6 h.
Duration time_step_within(model::SimulateConfig config, Duration step) {
  constexpr Duration usual = std::chrono::hours(6);
  config.output = std::max(step, usual);
  const double longest =
      model::time_step_seconds(config) *
      std::sqrt(std::min(1.0, static_cast<double>(step.count()) / static_cast<double>(usual.count())));
  auto count = static_cast<std::int64_t>(std::ceil(static_cast<double>(step.count()) / longest));
  while (step.count() % count != 0) ++count;
  return step / count;
}

/// The configuration with a time step that divides `step`.
model::SimulateConfig stepping(model::SimulateConfig config, Duration step) {
  if (step <= Duration{0}) fail(ErrorKind::usage, "a model step of {}", to_string(step));
  config.output = step;
  if (config.time_step && (config.time_step->count() <= 0 || step % *config.time_step != Duration{0}))
    fail(ErrorKind::usage, "simulate.time_step: {} does not divide the model step of {}", to_string(*config.time_step),
         to_string(step));
  if (!config.time_step && step < std::chrono::hours(6)) config.time_step = time_step_within(config, step);
  return config;
}

/// Of all that decides what a state becomes.
std::string identity_of(const model::SimulateConfig& config) {
  config::Json json = config::dump(config);
  for (const char* key : {"start", "days", "spinup_days", "members", "seed", "noise", "grid", "variables",
                          "pressure_levels", "files", "deflate", "keep_bits", "restart", "wind_limit", "threads"})
    json.erase(key);
  return sha256("dynamical core " + json.dump());
}

}  // namespace

AtmosphereModel make_dynamical_core(const model::SimulateConfig& given, Time origin, Duration step) {
  const model::SimulateConfig config = stepping(given, step);
  const model::CoreParameters parameters = model::core_parameters(config);
  const std::vector<double> ground = model::configured_ground(config);

  const model::SphericalTransform transform(parameters.truncation);
  const Grid grid = Grid::gaussian(std::size_t(transform.nlat()), std::size_t(transform.nlon()));
  Vector orography(grid.size());
  transform.synthesise(1, ground, orography);
  scale(1 / constants::gravity, orography);
  std::vector<std::string> upper_air{"u", "v", "t"};
  if (parameters.moist) upper_air.push_back("q");
  const std::vector<std::string> surface{"sp"};
  AtmosphereLayout layout = sigma_layout(grid, upper_air, parameters.levels.full(), surface, std::move(orography));

  return {std::make_shared<DynamicalCore>(parameters, ground, origin, step), std::move(layout), origin, step,
          identity_of(config)};
}

Vector initial_core_state(const model::SimulateConfig& given, Time origin, Duration step, int member) {
  const model::SimulateConfig config = stepping(given, step);
  const model::CoreParameters parameters = model::core_parameters(config);
  Integration integration(parameters, model::configured_ground(config));
  const std::int64_t seconds = std::int64_t{86400} * model::spinup_days(config);
  integration.equations.start(model::configured_state(config, member), origin - Duration{seconds});
  integration.run(std::llround(double(seconds) / parameters.time_step));
  Vector state(integration.fields.size());
  integration.finish(state);
  return state;
}

}  // namespace zonda::assimilation
