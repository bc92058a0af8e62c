#pragma once
// Checkpoints of a training run: `step-N/` folders (see tensor_folder.hpp) and `LATEST`, which names the newest.
#include <cstdint>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>
#include <vector>

#include "model/forecast_state/tensor_folder.hpp"
#include "model/tensor/parameter_store.hpp"
#include "model/training/train_config.hpp"

namespace zonda::model {

/// Where a run stands; everything else follows from it and the configuration.
struct TrainingPosition {
  std::int64_t step = 0;        ///< optimiser steps taken, those left out included
  std::int64_t updates = 0;     ///< optimiser updates made (AdamW's bias correction counts them)
  int phase = 0;                ///< of phases_of()
  std::int64_t phase_step = 0;  ///< with the seed, the sampler's whole state
  double seconds = 0;           ///< of the first phase so far; only where a time budget is set
  std::uint64_t metrics_bytes = 0, events_bytes = 0;
  nlohmann::json guard;
  friend void to_json(nlohmann::json& json, const TrainingPosition& position);
  friend void from_json(const nlohmann::json& json, TrainingPosition& position);
};

/// What a checkpoint must agree with: {archive, configuration, layout}.
struct TrainingIdentity {
  std::string archive;
  nlohmann::json configuration;  ///< all keys that change the result
  std::string hash() const;
};

/// Removes what a killed run left behind (`*.tmp`).
void clear_temporary(const std::filesystem::path& directory);
/// Writes `step-N` atomically and then `LATEST`. `more`: tensors besides the parameters' own.
void write_checkpoint(const std::filesystem::path& directory, const TrainingIdentity& identity,
                      const TrainingPosition& position, const ParameterStore& store,
                      std::span<const NamedTensor> more = {});
/// Removes checkpoints but the last `keep`, and those whose step is a multiple of `keep_every`.
void prune_checkpoints(const std::filesystem::path& directory, const CheckpointConfig& config);
/// Steps of the checkpoints that are there, ascending.
std::vector<std::int64_t> list_checkpoints(const std::filesystem::path& directory);
/// The newest undamaged checkpoint's step, every checksum compared; damaged ones are named in the log and passed over.
/// Throws Error(data) if all that are there are damaged.
std::optional<std::int64_t> newest_checkpoint(const std::filesystem::path& directory);
/// Reads values, moments and average. Throws Error(data) where the checkpoint is of another archive or network,
/// Error(usage) naming the first key that differs where it is of another configuration.
TrainingPosition read_checkpoint(const std::filesystem::path& directory, std::int64_t step,
                                 const TrainingIdentity& identity, ParameterStore& store);
/// Rows [first, first + rows) of one of the tensors besides the parameters' own.
void read_checkpoint_rows(const std::filesystem::path& directory, std::int64_t step, const std::string& name,
                          std::size_t first, std::size_t rows, std::span<float> values);
/// The first dotted key whose value differs: "network.width: 128 there, 64 here"; "" if none does.
std::string first_difference(const nlohmann::json& there, const nlohmann::json& here, const std::string& prefix = "");

}  // namespace zonda::model
