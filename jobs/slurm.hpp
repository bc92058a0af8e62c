#pragma once
// Slurm by its own commands: sbatch, squeue, sacct, scancel.
#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace zonda::jobs {

/// How the jobs of one stage stand; an array counts each of its tasks.
struct QueueState {
  std::map<std::string, int> states;  ///< RUNNING, PENDING, COMPLETED, FAILED, NODE_FAIL, ... and how many
  std::string reason;                 ///< why it waits, or failed
  std::string nodes;                  ///< where it runs
  int restarts = 0;                   ///< how often it went back into the queue; of an array, the task that did most
  bool known() const { return !states.empty(); }
  bool any(const std::string& state) const { return states.contains(state); }
  bool alive() const;  ///< some task waits, runs or is to be requeued
};

/// Submits a script after these jobs have ended well. `test_only` asks whether the cluster would take it and submits
/// nothing (0 is returned). Throws Error(failure) with sbatch's own words.
std::int64_t submit(const std::filesystem::path& script, const std::vector<std::int64_t>& after,
                    bool test_only = false);
/// How these jobs stand. A job that Slurm has forgotten is looked up in its accounting; where there is none, it is not
/// known(). Throws Error(temporary) if Slurm does not answer.
std::map<std::int64_t, QueueState> query(const std::vector<std::int64_t>& jobs);
/// Throws Error(failure) with scancel's own words.
void cancel(const std::vector<std::int64_t>& jobs);

/// The lines of `squeue --states=all --array` with the fields number, state, reason, nodes and restarts, each ended by
/// `|`, by job.
std::map<std::int64_t, QueueState> parse_queue(const std::string& lines);

}  // namespace zonda::jobs
