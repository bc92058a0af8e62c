#include <algorithm>
#include <cmath>

#include "ingest/archive/archive_reader.hpp"
#include "model/forecast_state/layout_network.hpp"
#include "model/ops/cuda/device_query.hpp"
#include "model/training/archive_layout.hpp"
#include "model/training/gradient_sum.hpp"
#include "model/training/machine_memory.hpp"
#include "model/training/train.hpp"
#include "model/training/training_phase.hpp"
#include "model/training/validation.hpp"
#include "parallel/partition.hpp"

namespace zonda::model {
namespace {

// What a training process holds besides its data: generated code and scratch of the matrix-product library, stacks and
// heaps of its threads. Measured (1.4 M parameters, two cores); it does not grow with the model.
constexpr std::size_t library_bytes = 12u << 20;

/// What is computed again in the backward pass, and the network's memory with it.
void choose_recompute(const TrainConfig& config, const ForecastNetwork& network, TrainPlan& plan) {
  const int together = config.micro_batch * config.members;
  std::vector<DeviceInfo> devices;
  if (chosen_backend(config) == "cuda") devices = cuda_devices();
  plan.memory_limit = config.memory      ? static_cast<std::size_t>(*config.memory)
                      : !devices.empty() ? devices.front().memory_bytes
                                         : machine_memory();
  // With a device, batches and cached fields stay on the host.
  const std::size_t besides =
      plan.buffer_bytes + (devices.empty() ? plan.batch_bytes + plan.cache_bytes + plan.process_bytes : 0);
  const std::size_t left = plan.memory_limit > besides ? plan.memory_limit - besides : 0;
  plan.recompute = network.recompute();
  if (config.network.recompute == "auto")
    plan.recompute = network.recompute_within(left, together)
                         .value_or(RecomputePolicy{.blocks = network.shape().layers(), .mlps = 0});
  plan.network_bytes = network.memory_with(plan.recompute, together, Use::training, true).total();
  plan.fits = plan.network_bytes <= left;
}

}  // namespace

TrainPlan plan_train(const TrainConfig& config, const std::filesystem::path& archive_dir, int ranks) {
  const ingest::ArchiveReader archive(archive_dir);
  // The archive's own checks: static fields without gaps, statistics for every step.
  layout_of_training(config, archive);
  return plan_train(config,
                    ArchiveShape{archive.grid(), archive.channels(), archive.static_channels().size(), archive.times(),
                                 archive.statistics().first, archive.statistics().last},
                    ranks);
}

TrainPlan plan_train(const TrainConfig& config, const ArchiveShape& archive, int ranks) {
  std::vector<Duration> steps = config.steps_between;
  std::sort(steps.begin(), steps.end());
  ForecastLayout layout{.grid = archive.grid,
                        .channels = archive.channels,
                        .static_channels = std::vector<Channel>(archive.static_channels),
                        .static_fields = {},
                        .forcings = config.forcings,
                        .steps = steps,
                        .target = Target::tendency,
                        .normalisation = {},
                        .trained_lead = Duration{0}};
  const ForecastNetwork network = network_of_layout(config.network, layout);
  TrainPlan plan;
  plan.parameters = network.parameter_count();
  plan.steps = total_steps(config);
  plan.process_bytes = resident_memory() + library_bytes;

  const std::size_t points = layout.points();
  const std::size_t state = layout.output_channels() * points * sizeof(float);
  const std::size_t forcing = layout.forcings.size() * points * sizeof(float);
  const auto micro = static_cast<std::size_t>(config.micro_batch), members = static_cast<std::size_t>(config.members);
  const auto extent = static_cast<std::size_t>(network.parameters().extent()) * sizeof(float);
  std::size_t touched = static_cast<std::size_t>(config.validation.samples) *
                        static_cast<std::size_t>(config.validation.lead / layout.steps.front() + 2);
  ingest::Statistics statistics;
  statistics.first = archive.training_first;
  statistics.last = archive.training_last;
  const TrainingPeriods periods = periods_of(config, statistics);
  for (const TrainingPhase& phase : phases_of(config, layout.steps)) {
    const auto count = static_cast<std::size_t>(phase.unrolling.count);
    const std::size_t terms = static_cast<std::size_t>(phase.batch) / micro;
    const std::size_t mine = parallel::partition(terms, static_cast<std::size_t>(ranks), 0).size();
    const std::size_t samples = mine * micro;
    const auto ring = static_cast<std::size_t>(std::max(2, config.read_ahead + 1));
    plan.batch_bytes = std::max(plan.batch_bytes, ring * samples * ((count + 2) * state + (count + 1) * forcing));
    const bool replay = phase.kind == PhaseKind::replay;
    std::size_t buffers = training_tensor_bytes(layout, micro * members, phase.unrolling, replay);
    // Ranks exchange their terms: own ones, and as many again for what arrives and the sum.
    buffers += ranks > 1 ? 2 * mine * extent : gradient_sum_bytes(terms, extent);
    if (replay) {
      const std::size_t entry = 2 * static_cast<std::size_t>(config.replay->entries) * state;
      buffers += (samples + static_cast<std::size_t>(phase.batch)) * entry;  // rank 0 gathers them for a checkpoint
    }
    plan.buffer_bytes = std::max(plan.buffer_bytes, buffers);
    touched += static_cast<std::size_t>(phase.steps) * samples * (count + 2);  // a short run does not see every field
    plan.examples += static_cast<std::int64_t>(phase_examples(config, archive.times, periods, phase).size());
    const double made = phase.unrolling.count;
    const double passes = phase.kind == PhaseKind::rollouts   ? 4 * made - 1
                          : phase.kind == PhaseKind::adapters ? 3 + (made - 1) / 2
                                                              : 3;
    plan.flops_per_step =
        std::max(plan.flops_per_step, passes * phase.batch * config.members * network.flops_per_sample());
  }
  std::vector<Duration> leads = config.validation.curve;
  leads.push_back(config.validation.lead);
  std::size_t of_validation = 0;
  for (const Duration lead : leads)
    of_validation = std::max(of_validation,
                             validation_bytes(layout, micro * members, step_to_leads(layout.steps, {&lead, 1}), lead));
  plan.buffer_bytes += of_validation;
  const auto within = [&](Time time) {
    return (time >= periods.first && time <= periods.last) ||
           (time >= periods.validation_first && time <= periods.validation_last);
  };
  const auto fields = static_cast<std::size_t>(std::count_if(archive.times.begin(), archive.times.end(), within));
  // Draws meet some times again: of n times, k even draws meet n (1 - e^(-k/n)).
  const double all = static_cast<double>(std::max<std::size_t>(fields, 1));
  const auto met = static_cast<std::size_t>(all * -std::expm1(-static_cast<double>(touched) / all));
  plan.cache_bytes = std::min(static_cast<std::size_t>(config.cache), met * (state + forcing));

  choose_recompute(config, network, plan);

  const auto parameters = static_cast<std::size_t>(plan.parameters) * sizeof(float);
  plan.checkpoint_bytes = 4 * parameters;
  std::size_t kept = std::min<std::size_t>(static_cast<std::size_t>(config.checkpoint.keep),
                                           static_cast<std::size_t>(plan.steps / config.checkpoint.every + 1));
  if (config.checkpoint.keep_every > 0) kept += static_cast<std::size_t>(plan.steps / config.checkpoint.keep_every);
  plan.disk_bytes = kept * plan.checkpoint_bytes + parameters;
  return plan;
}

}  // namespace zonda::model
