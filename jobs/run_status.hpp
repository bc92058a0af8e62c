#pragma once
// How a run stands: what its stages recorded, what status.json says, and what Slurm says of its jobs, as one table.
#include <cstdint>
#include <filesystem>
#include <map>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

#include "jobs/slurm.hpp"
#include "jobs/submission.hpp"

namespace zonda::jobs {

struct StageStatus {
  std::string stage;
  /// done, running, waiting, interrupted, failed, cancelled, or lost: Slurm has forgotten the job and it left no
  /// record.
  std::string state;
  std::int64_t job = 0;           ///< 0: runs here, without Slurm
  std::string job_state;          ///< Slurm's words, `RUNNING`, of an array `2 COMPLETED, 1 RUNNING`
  std::int64_t step = 0, of = 0;  ///< of a running stage
  int restarts = 0;               ///< how often its job went back into the queue
  std::size_t shares_done = 0, shares = 1;
  std::string message;
  std::optional<int> exit_code;  ///< of a stage that failed by itself
};

struct RunStatus {
  std::filesystem::path directory;
  std::string submitted;  ///< empty: not submitted
  std::vector<StageStatus> stages;
};

/// `queue`: how the submission's jobs stand. Throws Error(data) if the folder is no run directory.
RunStatus judge_run(const std::filesystem::path& run_directory, const Submission& submission,
                    const std::map<std::int64_t, QueueState>& queue);

nlohmann::ordered_json to_json(const RunStatus& status);
std::string to_table(const RunStatus& status);

}  // namespace zonda::jobs
