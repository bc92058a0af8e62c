#include "assimilation/cycling/cycle_plan.hpp"

#include <algorithm>
#include <cmath>

#include "assimilation/atmosphere/dynamical_core.hpp"
#include "assimilation/atmosphere/network_model.hpp"
#include "assimilation/covariance/localisation.hpp"
#include "core/constants.hpp"
#include "model/forecast_state/forecast_model.hpp"

namespace zonda::assimilation {
namespace {

constexpr double number = sizeof(double);

/// Of the sphere, and of the depth of the atmosphere (four in ln p), that an observation reaches.
double reach(const LocalisationConfig& config) {
  const double angle = 2 * gaspari_cohn_half_support(config.horizontal) / constants::earth_radius;
  const double area = angle < constants::pi ? (1 - std::cos(angle)) / 2 : 1;
  return area * std::min(1.0, 4 * gaspari_cohn_half_support(config.vertical) / 4);
}

struct Sizes {
  double state, points, columns_and_levels, members, own, observations, window_states, ranks;
};

/// Bytes, flops and bytes sent of one analysis beside members and observations.
struct AnalysisCosts {
  double memory = 0, flops = 0, traffic = 0;
};

/// Transposed states and observed values, the lists of observations of a rank's batches, and for each batch the
/// products of N members with its observations, an eigenproblem (9 N^3; Golub & Van Loan 2013, 8.3) and the update.
AnalysisCosts letkf_costs(const AnalysisConfig& config, const Sizes& s) {
  const double n = s.members, stride = config.weight_stride;
  const double solved = config.method == "etkf" ? 1 : s.columns_and_levels / (stride * stride);
  double near = config.method == "etkf" ? s.observations : s.observations * reach(config.localisation);
  if (config.most_observations > 0) near = std::min(near, static_cast<double>(config.most_observations));
  AnalysisCosts costs;
  costs.memory = number * (s.state * n / s.ranks + s.observations * (n + s.own) + 2 * solved / s.ranks * near);
  if (stride > 1) costs.memory += number * solved / s.ranks * (n + n * n);
  costs.flops = solved * (2 * n * n * near + 9 * n * n * n) + 2 * n * n * s.state;
  costs.traffic = number * (1 - 1 / s.ranks) * (2 * s.own * s.state + s.own * s.observations);
  return costs;
}

/// Lanczos vectors (three states an iteration), the covariance's control vector and its fields, and of 4D-Var the
/// trajectory. A product with an ensemble covariance sums a state over the ranks.
AnalysisCosts variational_costs(const AnalysisConfig& config, const Sizes& s) {
  const double iterations = config.inner_iterations, of_ensemble = config.is_ensemble() ? s.own : 0;
  AnalysisCosts costs;
  costs.memory = number * s.state * (3 * iterations + 8 + 3 * of_ensemble);
  if (config.method == "4dvar") costs.memory += number * s.state * s.window_states;
  if (config.needs_static_covariance() && config.covariance.file.empty())
    costs.memory += number * s.state * config.covariance.samples;
  // Re-orthogonalisation, twice; products of observations and covariance are of the order of a transform each.
  const double transform = 40 * s.state * std::sqrt(s.points);
  costs.flops = config.outer_iterations *
                (4 * iterations * iterations * s.state + iterations * transform * (2 + 2 * of_ensemble * s.ranks));
  costs.traffic = config.is_ensemble() ? config.outer_iterations * iterations * number * 2 * s.state : 0;
  if (s.ranks <= 1) costs.traffic = 0;
  return costs;
}

std::size_t values_of_a_cycle(const CycleConfig& config, const AtmosphereModel& model) {
  if (!config.observations.synthetic) return 0;
  return SyntheticObservations(*config.observations.synthetic, model.layout, config.window.value_or(config.every))
      .largest_count(config.start);
}

/// What a network's passes take; nothing of the embedded atmosphere, whose steps take little beside its states.
struct NetworkCosts {
  double flops = 0;  ///< of a pass
  double memory = 0;
};

NetworkCosts network_costs(const CycleConfig& config, std::size_t members) {
  if (!config.network) return {};
  const auto loaded = model::load_model(*config.network, {.precision = "fp32"});
  const NetworkOptions options;
  const int together = std::min(options.batch, static_cast<int>(members));
  double memory = static_cast<double>(loaded->network.memory(together, model::Use::inference, false).total());
  for (const AnalysisConfig& analysis : config.analyses)
    if (analysis.method == "4dvar")
      memory = std::max(memory, options.linearisations *
                                    static_cast<double>(loaded->network.memory(1, model::Use::tangent, false).total()));
  return {loaded->network.flops_per_sample(), memory};
}

}  // namespace

CyclePlan plan_cycle(const CycleConfig& config, int ranks) {
  const AtmosphereModel model =
      config.core ? make_dynamical_core(*config.core, config.start, config.slot.value_or(config.every))
                  : open_network(*config.network, config.start);
  CyclePlan plan;
  plan.cycles = cycle_times(config).size();
  plan.analyses = config.analyses.size();
  plan.members = static_cast<std::size_t>(config.members);
  const auto used = std::min(static_cast<std::size_t>(ranks), plan.members);
  plan.members_per_rank = (plan.members + used - 1) / used;
  plan.state_size = model.layout.state_size();
  plan.observations = values_of_a_cycle(config, model);

  const NetworkCosts network = network_costs(config, plan.members_per_rank);
  const double window = static_cast<double>(config.window.value_or(config.every) / model.step);
  Sizes s{static_cast<double>(plan.state_size),
          static_cast<double>(model.layout.grid.size()),
          0,
          0,
          0,
          static_cast<double>(plan.observations),
          config.slot ? window + 1 : 0,
          static_cast<double>(used)};
  s.columns_and_levels = s.points * static_cast<double>(shared_levels(model.layout).size());
  const double steps_of_a_cycle = static_cast<double>(config.every / model.step);
  for (const AnalysisConfig& analysis : config.analyses) {
    s.members = analysis.is_ensemble() ? static_cast<double>(config.members) : 1;
    s.own = analysis.is_ensemble() ? static_cast<double>(plan.members_per_rank) : 1;
    const bool filters = analysis.is_ensemble() && analysis.method != "none",
               minimises = analysis.method != "letkf" && analysis.method != "etkf" && analysis.method != "none";
    const AnalysisCosts filter = filters ? letkf_costs(analysis, s) : AnalysisCosts{},
                        minimum = minimises ? variational_costs(analysis, s) : AnalysisCosts{};
    const double scored = 2 * 4 * s.points * static_cast<double>(config.channels.size()) * s.members;
    // Members, those before the analysis, where a window has several states those; the truth; the table.
    const double held = number * s.state * (2 * s.own + 4 + s.own * s.window_states) + 200 * s.observations + scored;
    plan.memory_bytes =
        std::max(plan.memory_bytes, static_cast<std::size_t>(held + std::max(filter.memory, minimum.memory)));
    plan.traffic_bytes = std::max(plan.traffic_bytes, static_cast<std::size_t>(filter.traffic + minimum.traffic));
    const double cycles = static_cast<double>(plan.cycles);
    double steps = (cycles - 1) * s.members * (config.slot ? 1.5 : 1.0) * steps_of_a_cycle;
    // A sweep of 4D-Var: tangent and adjoint, and of a network one pass forward at the outer state.
    if (analysis.method == "4dvar")
      steps += cycles * analysis.outer_iterations * (2.0 * analysis.inner_iterations + 2) *
               (config.slot ? window : steps_of_a_cycle);
    plan.model_steps += steps;
    plan.flops += cycles * (filter.flops + minimum.flops) + steps * network.flops;
    const double kept = config.keep == 0 ? cycles : std::min<double>(cycles, config.keep),
                 feedback = !config.feedback.write      ? 0
                            : config.feedback.keep == 0 ? cycles
                                                        : std::min<double>(cycles, config.feedback.keep);
    plan.disk_bytes +=
        static_cast<std::size_t>(kept * number * s.state * (s.members + 1) + feedback * 9 * number * s.observations +
                                 cycles * 4 * s.points * static_cast<double>(config.channels.size()));
  }
  plan.memory_bytes += static_cast<std::size_t>(network.memory);
  return plan;
}

}  // namespace zonda::assimilation
