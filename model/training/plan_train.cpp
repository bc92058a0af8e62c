#include <algorithm>
#include <cmath>

#include "ingest/archive/archive_reader.hpp"
#include "model/forecast_state/layout_network.hpp"
#include "model/ops/cuda/device_query.hpp"
#include "model/training/archive_layout.hpp"
#include "model/training/gradient_sum.hpp"
#include "model/training/machine_memory.hpp"
#include "model/training/pipeline_schedule.hpp"
#include "model/training/train.hpp"
#include "model/training/training_phase.hpp"
#include "model/training/validation.hpp"
#include "parallel/imagined.hpp"
#include "parallel/layout/mesh.hpp"
#include "parallel/partition.hpp"

namespace zonda::model {

using parallel::MeshShape;

namespace {

// What a training process holds besides its data: generated code and scratch of the matrix-product library, stacks and
// heaps of its threads. Measured (1.4 M parameters, two cores); it does not grow with the model.
constexpr std::size_t library_bytes = 12u << 20;

/// What of a network, of whose layers it has a stage, and its gradients a rank holds.
struct HeldParameters {
  std::size_t parameters = 0;  ///< values, copies, gradients, moments, average
  std::size_t sums = 0;        ///< of gradients over micro-batches, and what is exchanged with other ranks
  std::size_t snapshot = 0;    ///< that a checkpoint is written from
};

HeldParameters held_parameters(const TrainConfig& config, const ForecastNetwork& network, const MeshShape& mesh,
                               std::size_t terms, int passes) {
  const auto slabs = static_cast<std::size_t>(mesh[parallel::Axis::spatial]);
  const std::size_t ranks =
      slabs * static_cast<std::size_t>(mesh[parallel::Axis::data]);  // with these heads and layers
  std::size_t whole = 0, largest = 0;
  for (const Bucket& bucket : network.buckets()) {
    if (bucket.stage != network.stage()) continue;
    const std::size_t bytes = static_cast<std::size_t>(bucket.count) * sizeof(float);
    whole += bytes;
    largest = std::max(largest, bytes);
  }
  const std::size_t copies = network.trunk() == DType::bf16 ? whole / 2 : 0;
  const bool device = chosen_backend(config) == "cuda", stages = network.stages() > 1;
  const bool alone = (ranks == 1 && !stages) || device;
  const bool by_bucket = !alone && (config.zero > 1 || slabs > 1 || stages),
             travel = !alone && config.zero == 3 && ranks > 1;
  HeldParameters held;
  const std::size_t share = whole / (alone ? 1 : ranks);
  held.parameters += travel ? share + 2 * largest + (copies ? largest : 0) : whole + copies;
  held.parameters += by_bucket ? share + largest : whole;
  held.parameters += 3 * share;
  held.snapshot = 4 * whole / ranks;
  if (by_bucket) {
    const bool kept = terms > 1 || (passes > 1 && network.slab().chunks() > 1);
    held.sums =
        (kept ? std::max<std::size_t>(gradient_sum_bytes(terms, whole / slabs), whole / slabs) : 0) + 2 * largest;
  } else {
    held.sums = gradient_sum_bytes(terms, whole) + (ranks > 1 ? 2 * largest : 0);
    if (device && ranks > 1) held.sums += 2 * whole;
  }
  return held;
}

/// Of a stage's rank, the most of any phase.
struct StageNeeds {
  ForecastNetwork network;  // of a whole sample
  std::size_t parameters = 0;
  std::size_t lanes = 1;  // micro-batches on their way at once
};

/// What is computed again in the backward pass, and the memory of the stage that needs most with it. A rank has one of
/// `slabs` parts of a sample.
void choose_recompute(const TrainConfig& config, std::span<const StageNeeds> stages, std::size_t slabs,
                      TrainPlan& plan) {
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
  plan.recompute = stages.front().network.recompute();
  if (config.network.recompute == "auto") {
    // As much of a whole sample's memory as makes this part of it fit; of the stages, what computes most again.
    const auto again = [](const RecomputePolicy& policy) { return 2 * policy.blocks + policy.mlps; };
    for (const StageNeeds& stage : stages) {
      const MemoryPlan whole = stage.network.memory_with(plan.recompute, together, Use::training, true);
      const std::size_t of_sample = whole.activations + whole.tables,
                        room = left > stage.parameters ? left - stage.parameters : 0;
      const RecomputePolicy policy =
          stage.network.recompute_within(whole.total() - of_sample + room * slabs / stage.lanes, together)
              .value_or(RecomputePolicy{.blocks = stage.network.shape().layers(), .mlps = 0});
      if (again(policy) > again(plan.recompute)) plan.recompute = policy;
    }
  }
  for (const StageNeeds& stage : stages) {
    const MemoryPlan memory = stage.network.memory_with(plan.recompute, together, Use::training, true);
    plan.network_bytes =
        std::max(plan.network_bytes, stage.parameters + (stage.lanes * memory.activations + memory.tables) / slabs);
  }
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
  const MeshShape mesh = parallel::parse_mesh(config.mesh, ranks);
  const int heads = mesh[parallel::Axis::tensor];
  std::vector<StageNeeds> stages;
  const auto of_axis = [](int rank, int size) {
    return size > 1 ? parallel::imagined(rank, size) : parallel::Communicator::self();
  };
  const int depth = mesh[parallel::Axis::pipeline];
  for (int stage = 0; stage < depth; ++stage)
    stages.push_back({network_of_layout(config.network, layout, nullptr,
                                        Sharding{.slabs = parallel::Communicator::self(),
                                                 .chunks = training_chunks(config, archive.grid),
                                                 .heads = of_axis(0, heads),
                                                 .stages = of_axis(stage, depth)})});
  const ForecastNetwork& network = stages.front().network;
  const auto data = static_cast<std::size_t>(mesh[parallel::Axis::data]),
             slabs = static_cast<std::size_t>(mesh[parallel::Axis::spatial]);
  TrainPlan plan;
  plan.parameters = network.parameters().whole_count();
  plan.steps = total_steps(config);
  plan.process_bytes = resident_memory() + library_bytes;

  const std::size_t points = (layout.points() + slabs - 1) / slabs;  // of a rank
  const std::size_t state = layout.output_channels() * points * sizeof(float);
  const std::size_t forcing = layout.forcings.size() * points * sizeof(float);
  const auto micro = static_cast<std::size_t>(config.micro_batch), members = static_cast<std::size_t>(config.members);
  std::size_t touched = static_cast<std::size_t>(config.validation.samples) *
                        static_cast<std::size_t>(config.validation.lead / layout.steps.front() + 2);
  ingest::Statistics statistics;
  statistics.first = archive.training_first;
  statistics.last = archive.training_last;
  const TrainingPeriods periods = periods_of(config, statistics);
  for (const TrainingPhase& phase : phases_of(config, layout.steps)) {
    const auto count = static_cast<std::size_t>(phase.unrolling.count);
    const std::size_t terms = static_cast<std::size_t>(phase.batch) / micro;
    const std::size_t mine = parallel::partition(terms, data, 0).size();
    const std::size_t samples = mine * micro;
    const auto ring = static_cast<std::size_t>(std::max(2, config.read_ahead + 1));
    plan.batch_bytes = std::max(plan.batch_bytes, ring * samples * ((count + 2) * state + (count + 1) * forcing));
    const bool replay = phase.kind == PhaseKind::replay;
    std::size_t of_parameters = 0, most_lanes = 1;
    for (StageNeeds& stage : stages) {
      const HeldParameters held =
          held_parameters(config, stage.network, mesh, mine, phase.unrolling.through ? phase.unrolling.count : 1);
      of_parameters = std::max(of_parameters, held.sums + held.snapshot);
      stage.parameters = std::max(stage.parameters, held.parameters);
      if (count > 1 || replay) continue;
      const auto depth_of_stage = static_cast<std::size_t>(stage.network.stage());
      stage.lanes = std::max(stage.lanes, in_flight(stages.size(), depth_of_stage, mine));
      most_lanes = std::max(most_lanes, stage.lanes);
    }
    std::size_t buffers =
        most_lanes * training_tensor_bytes(layout, micro * members, phase.unrolling, replay) / slabs + of_parameters;
    if (replay) {
      const std::size_t entry = 2 * static_cast<std::size_t>(config.replay->entries) * state;
      buffers += 2 * samples * entry;  // and a copy that a checkpoint is written from
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
  plan.buffer_bytes += of_validation / slabs;
  const auto within = [&](Time time) {
    return (time >= periods.first && time <= periods.last) ||
           (time >= periods.validation_first && time <= periods.validation_last);
  };
  const auto fields = static_cast<std::size_t>(std::count_if(archive.times.begin(), archive.times.end(), within));
  // Draws meet some times again: of n times, k even draws meet n (1 - e^(-k/n)).
  const double all = static_cast<double>(std::max<std::size_t>(fields, 1));
  const auto met = static_cast<std::size_t>(all * -std::expm1(-static_cast<double>(touched) / all));
  plan.cache_bytes = std::min(static_cast<std::size_t>(config.cache), met * (state + forcing));

  choose_recompute(config, stages, slabs, plan);

  const auto parameters = static_cast<std::size_t>(plan.parameters) * sizeof(float);
  plan.checkpoint_bytes = 4 * parameters;
  std::size_t kept = std::min<std::size_t>(static_cast<std::size_t>(config.checkpoint.keep),
                                           static_cast<std::size_t>(plan.steps / config.checkpoint.every + 1));
  if (config.checkpoint.keep_every > 0) kept += static_cast<std::size_t>(plan.steps / config.checkpoint.keep_every);
  plan.disk_bytes = kept * plan.checkpoint_bytes + parameters;
  return plan;
}

}  // namespace zonda::model
