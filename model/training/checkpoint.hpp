#pragma once
// Checkpoints of a training run: `step-N/` folders (see tensor_folder.hpp) and `LATEST`, which names the newest. Each
// rank writes its share; any ranks read it.
#include <atomic>
#include <cstdint>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "model/forecast_state/tensor_folder.hpp"
#include "model/tensor/parameter_store.hpp"
#include "model/training/parameter_shares.hpp"
#include "model/training/train_config.hpp"
#include "parallel/communicator.hpp"

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
/// The tensors of a checkpoint: the four arenas, `value/NAME`, `first_moment/NAME` ..., and then `more`.
std::vector<TensorShape> checkpoint_shapes(const ParameterStore& store, std::span<const TensorShape> more = {});
/// Numbers of one of them, wherever they are.
struct CheckpointPart {
  std::size_t tensor;  ///< in the list of shapes
  std::size_t first;
  Tensor numbers;
};
struct CheckpointParts {
  std::vector<CheckpointPart> list;
  std::vector<std::vector<float>> gathered;  ///< where other ranks' numbers lie between this rank's
};
/// What arena ranges hold of the four arenas. `heads`: ranks that hold parts of the same parameters, and the same
/// ranges; of what all of them hold, the first writes. Collective over them.
CheckpointParts checkpoint_parts(const ParameterStore& store, std::span<const ArenaRange> ranges,
                                 const parallel::Communicator& heads = parallel::Communicator::self());
/// Removes checkpoints but the last `keep`, and those whose step is a multiple of `keep_every`.
void prune_checkpoints(const std::filesystem::path& directory, const CheckpointConfig& config);
/// Lets LATEST name `step` and prunes: what a run that was killed between them left undone.
void settle_checkpoints(const std::filesystem::path& directory, std::int64_t step, const CheckpointConfig& config);
/// Steps of the checkpoints that are there, ascending.
std::vector<std::int64_t> list_checkpoints(const std::filesystem::path& directory);
/// The newest undamaged checkpoint's step, every checksum compared; damaged ones are named in the log and passed over.
/// Throws Error(data) if all that are there are damaged.
std::optional<std::int64_t> newest_checkpoint(const std::filesystem::path& directory);
/// Reads the values within `values`, moments and average within `optimiser`. Throws Error(data) where the checkpoint is
/// of another archive or network, Error(usage) naming the first key that differs where it is of another configuration.
TrainingPosition read_checkpoint(const std::filesystem::path& directory, std::int64_t step,
                                 const TrainingIdentity& identity, ParameterStore& store,
                                 std::span<const ArenaRange> values, std::span<const ArenaRange> optimiser);
/// Numbers of one of the tensors besides the parameters' own.
void read_checkpoint_numbers(const std::filesystem::path& directory, std::int64_t step, const std::string& name,
                             std::size_t first, std::span<float> numbers);
/// The first dotted key whose value differs: "network.width: 128 there, 64 here"; "" if none does.
std::string first_difference(const nlohmann::json& there, const nlohmann::json& here, const std::string& prefix = "");

/// Writes checkpoints behind the steps: the numbers are copied, a thread of each rank writes its own; when all are
/// done, a thread of rank 0 makes the folder appear. Steps wait for the copy alone. One at a time.
class CheckpointWriter {
 public:
  /// `made_on`: mesh and the like, for people.
  CheckpointWriter(std::filesystem::path directory, const TrainingIdentity& identity, const CheckpointConfig& config,
                   const parallel::Communicator& ranks, nlohmann::json made_on);
  ~CheckpointWriter();
  CheckpointWriter(const CheckpointWriter&) = delete;
  CheckpointWriter& operator=(const CheckpointWriter&) = delete;
  /// Collective, as proceed() and complete(). Completes an earlier one first. `position` and `logs` (files of which it
  /// says how long they are: on the disk before the folder appears) count on rank 0. The numbers are in `memory` or,
  /// where their device says so, on the host; they may change when begin() has returned.
  void begin(const TrainingPosition& position, std::vector<TensorShape> shapes, std::span<const CheckpointPart> parts,
             Memory& memory, std::vector<std::filesystem::path> logs = {});
  bool pending() const { return stage_ != Stage::none; }
  std::int64_t step() const { return position_.step; }  ///< of the last one
  /// Whether a thread of this rank is at work. proceed() waits for it.
  bool working() const { return working_.load(); }
  /// From written numbers to the folder's appearance, or from there to the end. A checkpoint that could not be written
  /// is removed: Error(failure) on all ranks where it is `required`, else an error in the log.
  void proceed(bool required);
  /// Proceeds until it is there, and older ones are pruned.
  void complete(bool required);
  double seconds_stalled() const { return stalled_; }  ///< of the last one, the time that steps waited for it
  double seconds_written() const { return written_; }  ///< of the last one, in its threads
  std::size_t bytes() const { return snapshot_.size() * sizeof(float); }

 private:
  struct Piece {
    std::size_t tensor, first, at, count;
  };
  enum class Stage { none, numbers, folder };
  void start(void (CheckpointWriter::*work)());
  void write_numbers();
  void write_folder();
  std::filesystem::path folder() const;

  const std::filesystem::path directory_;
  const TrainingIdentity& identity_;
  const CheckpointConfig config_;
  const parallel::Communicator ranks_;
  const nlohmann::json made_on_;
  Stage stage_ = Stage::none;
  std::atomic<bool> working_ = false;
  std::thread thread_;
  TrainingPosition position_;
  std::vector<TensorShape> shapes_;
  std::vector<Piece> pieces_;
  std::vector<float> snapshot_;
  nlohmann::json table_;
  std::vector<nlohmann::json> tables_;  // of all ranks, on rank 0
  std::vector<std::filesystem::path> logs_;
  std::string error_;
  double stalled_ = 0, written_ = 0;
};

}  // namespace zonda::model
