#pragma once
// Replay: single steps that begin at states the model itself predicted (FengWu: Chen et al. 2023). Each sample of the
// batch has a bounded number of entries of its own, so that nothing depends on ranks. Which example is drawn and which
// entry is replaced follows from the seed alone; only the states need memory, and a place in checkpoints.
#include <cstdint>
#include <span>
#include <vector>

#include "model/training/batch_loader.hpp"
#include "model/training/sampler.hpp"
#include "model/training/staged_batch.hpp"

namespace zonda::model {

/// What one sample of one step is trained on and what becomes of the prediction.
struct ReplayDraw {
  Example example;
  std::int16_t lead_steps = 0;  ///< steps that led to its states
  std::int16_t from = -1;       ///< the entry that holds them; -1: the archive
  std::int16_t to = -1;         ///< the entry that takes the prediction; -1: none
};

/// Samples [first, first + samples) of a batch.
struct SampleRange {
  std::uint64_t first, samples, batch;
};

class ReplaySchedule {
 public:
  /// `examples`: all that the phase may use, ordered by time, then step. A prediction is kept while it has an example
  /// to go on with and fewer than `lead_steps` steps led to it; entries are drawn with probability `share`.
  ReplaySchedule(const Sampler& sampler, std::span<const Example> examples, std::span<const Time> times,
                 std::uint64_t seed, std::int64_t steps, SampleRange range, int entries, int lead_steps, double share);
  std::span<const ReplayDraw> at(std::int64_t step) const;
  std::vector<Example> examples(std::int64_t step) const;

 private:
  std::size_t samples_;
  std::vector<ReplayDraw> draws_;  // [step, sample]
};

class ReplayBuffer {
 public:
  /// `state`: numbers of [channel, lat, lon].
  ReplayBuffer(std::size_t samples, int entries, std::size_t state);
  std::vector<SampleStart> starts(std::span<const ReplayDraw> draws) const;
  /// Keeps what was predicted for a sample of `batch`.
  void keep(std::size_t sample, const ReplayDraw& draw, const Batch& batch, std::span<const float> predicted);
  std::span<float> values() { return states_; }  ///< [sample, entry, 2, state]
  std::span<const float> values() const { return states_; }
  std::size_t sample_size() const { return entries_ * 2 * state_; }

 private:
  std::size_t entries_, state_;
  std::vector<float> states_;
};

}  // namespace zonda::model
