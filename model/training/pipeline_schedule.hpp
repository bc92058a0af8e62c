#pragma once
// In which order a stage of a pipeline takes the micro-batches of a step: one forward, one backward (PipeDream-flush:
// Narayanan et al. 2021, section 2.2).
#include <cstddef>
#include <vector>

namespace zonda::model {

/// A micro-batch's pass through a stage.
struct PipelineTurn {
  enum class Pass { forward, backward } pass;
  std::size_t micro_batch;
  friend bool operator==(const PipelineTurn&, const PipelineTurn&) = default;
};

/// Micro-batches that are in a stage at once, their activations kept: min(stages - stage, micro-batches).
std::size_t in_flight(std::size_t stages, std::size_t stage, std::size_t micro_batches);

/// So many forwards, then a backward and a forward in turns, then the backwards that are left; both kinds in the order
/// of the micro-batches. [2 x micro_batches]
std::vector<PipelineTurn> one_forward_one_backward(std::size_t stages, std::size_t stage, std::size_t micro_batches);

/// The part of a step that a stage waits where all stages work equally long: (P - 1) / (m + P - 1).
double bubble_of_pipeline(std::size_t stages, std::size_t micro_batches);

}  // namespace zonda::model
