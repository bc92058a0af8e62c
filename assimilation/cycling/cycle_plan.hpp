#pragma once
// What a cycle will need, before it runs.
#include "assimilation/cycling/cycle_config.hpp"

namespace zonda::assimilation {

/// Of the analysis that needs most of each.
struct CyclePlan {
  std::size_t cycles = 0, analyses = 0, members = 0, members_per_rank = 0;
  std::size_t state_size = 0;     ///< numbers
  std::size_t observations = 0;   ///< values of a cycle at most; 0 where they come from files
  double model_steps = 0;         ///< of all members, analyses and cycles, tangents and adjoints too
  double flops = 0;               ///< of analyses, and of the steps of a network
  std::size_t memory_bytes = 0;   ///< on the rank that holds most
  std::size_t traffic_bytes = 0;  ///< that a rank sends in an analysis
  std::size_t disk_bytes = 0;     ///< that stay
};

/// Reads the model's folder where there is one. Throws Error(data) where it is not there yet.
CyclePlan plan_cycle(const CycleConfig& config, int ranks);

}  // namespace zonda::assimilation
