#pragma once
// The stage `train`: archive -> checkpoints -> model file.
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "core/grid.hpp"
#include "core/variables.hpp"
#include "model/network/forecast_network.hpp"
#include "model/training/train_config.hpp"

namespace zonda::parallel {
class Communicator;
}

namespace zonda::model {

struct TrainSummary {
  std::int64_t steps = 0;  ///< optimiser steps, all phases
  std::int64_t parameters = 0;
  double loss = 0;  ///< of the last step
  double validation_loss = 0;
  std::filesystem::path model;
  bool nothing_to_do = false;  ///< the model file was there already, made with this configuration
};

/// Trains on the archive and writes into `checkpoint_dir`: `step-N/`, `LATEST`, `metrics.jsonl` (the same bytes however
/// often the run was stopped and resumed), `events/` (the same for TensorBoard, with wall-clock), `timing.jsonl`
/// (wall-clock), and at the end `model/`, the averaged weights.
/// Without `resume`, checkpoints of an unfinished run there are an Error(usage). A finished run is left as it is.
/// Collective; the same bits on any number of ranks, each of which takes a share of every batch.
/// Throws Interrupted after a stop signal, when a checkpoint has been written; Error(data) for an archive that lacks
/// what is needed or damaged checkpoints; Error(numerical) when the loss is not finite.
TrainSummary run_train(const TrainConfig& config, const parallel::Communicator& communicator,
                       const std::filesystem::path& archive_dir, const std::filesystem::path& checkpoint_dir,
                       bool resume);

/// What a run would need, without reading fields: memory of one rank and disk.
struct TrainPlan {
  std::int64_t parameters = 0, examples = 0, steps = 0;
  double flops_per_step = 0;      ///< of one optimiser step over all ranks (backward counts twice forward)
  std::size_t network_bytes = 0;  ///< parameters, gradients, moments, average, activations, tables
  std::size_t buffer_bytes = 0;   ///< inputs, targets, gradient sum
  std::size_t batch_bytes = 0;    ///< batches read ahead
  std::size_t cache_bytes = 0;    ///< fields kept in memory
  std::size_t process_bytes = 0;  ///< of this program and its libraries as it stands
  RecomputePolicy recompute;      ///< of the network's activations
  std::size_t memory_limit = 0;   ///< what the policy was chosen for
  bool fits = true;               ///< within the limit
  std::size_t memory_bytes() const { return network_bytes + buffer_bytes + batch_bytes + cache_bytes + process_bytes; }
  std::size_t checkpoint_bytes = 0;  ///< one checkpoint
  std::size_t disk_bytes = 0;        ///< all that stay, with the model file
};
TrainPlan plan_train(const TrainConfig& config, const std::filesystem::path& archive_dir, int ranks);

/// What an archive will hold that is not there yet.
struct ArchiveShape {
  Grid grid;
  std::vector<Channel> channels;
  std::size_t static_channels = 0;
  std::vector<Time> times;
  Time training_first, training_last;
};
TrainPlan plan_train(const TrainConfig& config, const ArchiveShape& archive, int ranks);

}  // namespace zonda::model
