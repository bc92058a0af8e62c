#pragma once
// The stage `simulate`: members of the simulated atmosphere over ranks, threads within each.
#include <cstdint>
#include <filesystem>
#include <vector>

#include "model/dynamics/simulate_config.hpp"
#include "parallel/communicator.hpp"

namespace zonda::model {

/// Runs the members and writes `directory/simulation_mMMM_PERIOD.nc`, and restarts in `directory/restart`. The files do
/// not depend on the number of ranks or threads. With `resume` every member continues from its last restart and ends
/// with the same bytes as an unbroken run (given SOURCE_DATE_EPOCH); without, everything starts anew. Throws
/// Interrupted after saving restarts if a stop was requested; Error(numerical) from the guard; Error(usage) if a
/// restart is of another configuration.
void run_simulate(const SimulateConfig& config, const parallel::Communicator& communicator,
                  const std::filesystem::path& directory, bool resume);

/// The files that run_simulate writes, member by member in time order.
std::vector<std::filesystem::path> simulated_files(const SimulateConfig& config,
                                                   const std::filesystem::path& directory);

struct SimulationPlan {
  std::int64_t steps_per_member = 0, states_per_member = 0;
  double time_step = 0;               ///< s
  std::size_t columns = 0, rows = 0;  ///< of the model's Gaussian grid
  std::size_t memory_bytes = 0;       ///< on each rank
  std::size_t output_bytes = 0;       ///< all members, before compression
  std::size_t spool_bytes = 0;        ///< on disk while a file is being written, each rank
  int members_per_rank = 0;           ///< at most
};
SimulationPlan plan_simulate(const SimulateConfig& config, int ranks);

}  // namespace zonda::model
