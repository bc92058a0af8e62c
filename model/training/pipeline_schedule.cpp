#include "model/training/pipeline_schedule.hpp"

#include <algorithm>

namespace zonda::model {

std::size_t in_flight(std::size_t stages, std::size_t stage, std::size_t micro_batches) {
  return std::min(stages - stage, micro_batches);
}

std::vector<PipelineTurn> one_forward_one_backward(std::size_t stages, std::size_t stage, std::size_t micro_batches) {
  using Pass = PipelineTurn::Pass;
  std::vector<PipelineTurn> turns;
  std::size_t forward = 0;
  for (const std::size_t ahead = in_flight(stages, stage, micro_batches); forward < ahead; ++forward)
    turns.push_back({Pass::forward, forward});
  for (std::size_t backward = 0; backward < micro_batches; ++backward) {
    turns.push_back({Pass::backward, backward});
    if (forward < micro_batches) turns.push_back({Pass::forward, forward++});
  }
  return turns;
}

double bubble_of_pipeline(std::size_t stages, std::size_t micro_batches) {
  return static_cast<double>(stages - 1) / static_cast<double>(micro_batches + stages - 1);
}

}  // namespace zonda::model
