#include "assimilation/cycling/cycle_model.hpp"

#include <bit>

#include "assimilation/atmosphere/dynamical_core.hpp"
#include "assimilation/atmosphere/network_model.hpp"
#include "assimilation/atmosphere/tapered_model.hpp"
#include "assimilation/cycling/member_files.hpp"
#include "assimilation/cycling/state_file.hpp"
#include "core/error.hpp"

namespace zonda::assimilation {
namespace {

/// Calls use(k, state) for each of the states that members are made of.
void for_each_lagged_state(const CycleConfig& config, const AtmosphereModel& model, std::size_t members,
                           const std::function<void(std::size_t, ConstView)>& use) {
  if (!config.core) {
    const ArchiveTruth archive(*config.truth, model);
    for (std::size_t k = 0; k < members; ++k)
      use(k, archive.state_at(config.start - static_cast<std::int64_t>(k + 1) * config.initial.every));
    return;
  }
  model::SimulateConfig core = *config.core;
  core.seed = config.initial.seed;
  // Seasons fit: the last state is of the start.
  const Time begin = config.start - static_cast<std::int64_t>(members - 1) * config.initial.every;
  Vector state = initial_core_state(core, begin, model.step);
  const AtmosphereModel run = make_dynamical_core(core, begin, model.step);
  for (std::size_t k = 0; k < members; ++k) {
    const Time time = begin + static_cast<std::int64_t>(k) * config.initial.every;
    if (k > 0) step_to(run, time - config.initial.every, time, state);
    use(k, state);
  }
}

/// Of the present slot, over the days of the two months before `start` that the archive has.
Vector mean_state(const ArchiveTruth& archive, std::size_t slot_size, Time start) {
  constexpr int days = 60;
  Vector sum(slot_size);
  int count = 0;
  for (int day = 1; day <= days; ++day)
    if (const std::optional<Vector> state = archive.past(start - day * std::chrono::hours(24))) {
      axpy(1, ConstView(*state).last(slot_size), sum);
      ++count;
    }
  if (count == 0)
    fail(ErrorKind::data, "cycle.step_taper: the archive has no state of the {} days before {}", days,
         to_string(start));
  scale(1.0 / count, sum);
  return sum;
}

AtmosphereModel open_atmosphere(const CycleConfig& config, const parallel::Communicator& slabs) {
  const AtmosphereModel model =
      config.core ? make_dynamical_core(*config.core, config.start, config.slot.value_or(config.every))
                  : open_network(*config.network, config.start, {.slabs = slabs});
  if (!config.step_taper) return model;
  return tapered_model(model, mean_state(ArchiveTruth(*config.truth, model), model.layout.slot_size, config.start),
                       config.step_taper->from, config.step_taper->to);
}

}  // namespace

CycleModel open_cycle_model(const CycleConfig& config, const parallel::Communicator& communicator) {
  CycleModel opened{open_atmosphere(config, parallel::Communicator::self()), !config.core, {}, {}};
  if (!config.model_errors) return opened;
  ModelErrors errors = learn_model_errors(*config.model_errors, opened.model, ArchiveTruth(*config.truth, opened.model),
                                          config.start, communicator);
  if (config.model_errors->correct_mean) opened.mean_error = std::move(errors.mean);
  opened.errors = std::move(errors.deviations);
  return opened;
}

CycleModel shared_as_wanted(const CycleConfig& config, const AnalysisConfig& analysis, CycleModel model,
                            const parallel::Communicator& communicator) {
  if (!config.share_network || analysis.is_ensemble() || communicator.size() == 1) return model;
  if (!std::has_single_bit(static_cast<unsigned>(communicator.size())))
    fail(ErrorKind::usage, "cycle.share_network: {} ranks, expected a power of two to share latitudes in {}",
         communicator.size(), analysis.label());
  model.model = open_atmosphere(config, communicator);
  return model;
}

std::unique_ptr<Truth> open_truth(const CycleConfig& config, const AtmosphereModel& model) {
  if (config.truth) return std::make_unique<ArchiveTruth>(*config.truth, model);
  if (!config.observations.synthetic) return nullptr;
  const std::filesystem::path before = std::filesystem::path(config.initial.from) / truth_name;
  if (!config.initial.from.empty() && std::filesystem::exists(before))
    return std::make_unique<ModelTruth>(model, config.start,
                                        read_state(before, model.identity, config.start, model.layout.state_size()));
  return std::make_unique<ModelTruth>(model, config.start, initial_core_state(*config.core, config.start, model.step));
}

std::vector<Vector> initial_members(const CycleConfig& config, const AtmosphereModel& model, std::size_t members,
                                    parallel::Range own) {
  Vector mean(model.layout.state_size());
  std::vector<Vector> states;
  for_each_lagged_state(config, model, members, [&](std::size_t k, ConstView state) {
    axpy(1 / static_cast<double>(members), state, mean);
    if (k >= own.begin && k < own.end) states.emplace_back(state.begin(), state.end());
  });
  if (config.initial.factor != 1)
    for (Vector& state : states)
      for (std::size_t i = 0; i < state.size(); ++i) state[i] = mean[i] + config.initial.factor * (state[i] - mean[i]);
  return states;
}

std::vector<Vector> background_samples(const CycleConfig& config, const CovarianceConfig& covariance,
                                       const AtmosphereModel& model, const parallel::Communicator& communicator) {
  if (covariance.of == "forecast_errors")
    return forecast_errors(model, ArchiveTruth(*config.truth, model), config.start, covariance.samples,
                           covariance.every, covariance.lag,
                           model.shared ? parallel::Communicator::self() : communicator);
  std::vector<Vector> differences;
  if (!config.core) {
    const ArchiveTruth archive(*config.truth, model);
    for (int k = 1; k <= covariance.samples; ++k) {
      const Time time = config.start - k * covariance.every;
      differences.push_back(difference(archive.state_at(time), archive.state_at(time - covariance.lag)));
    }
    return differences;
  }
  // A run of its own, so that neither truth nor members are among the samples.
  model::SimulateConfig core = *config.core;
  core.seed = config.initial.seed + 1;
  const Time begin = config.start - covariance.samples * covariance.every;
  Vector state = initial_core_state(core, begin, model.step);
  const AtmosphereModel run = make_dynamical_core(core, begin, model.step);
  for (int k = 0; k < covariance.samples; ++k) {
    const Time first = begin + k * covariance.every;
    Vector later = state;
    step_to(run, first, first + covariance.lag, later);
    differences.push_back(difference(later, state));
    step_to(run, first, first + covariance.every, state);
  }
  return differences;
}

}  // namespace zonda::assimilation
