#pragma once
// A workflow as a chain of batch jobs: scripts in the run directory's jobs/, and which job runs which stage in
// jobs/jobs.json.
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "jobs/batch_job.hpp"

namespace zonda::jobs {

struct SubmittedJob {
  std::string stage, fingerprint;
  std::int64_t id = 0;
  std::vector<std::string> after;  ///< stages
  std::size_t shares = 1;
  std::filesystem::path script;
};

struct Submission {
  std::string submitted;  ///< UTC, ISO 8601
  std::vector<SubmittedJob> jobs;
  std::vector<std::int64_t> ids() const;
};

/// Writes `folders.scripts`/STAGE.sh of every job and returns the paths, in order.
std::vector<std::filesystem::path> write_scripts(const Site& site, const std::vector<BatchJob>& jobs,
                                                 const JobFolders& folders);

/// Submits the scripts, each after those it waits for, and writes jobs.json. If the cluster refuses one, those before
/// it are cancelled and Error(failure) names it.
Submission submit_chain(const std::vector<BatchJob>& jobs, const std::vector<std::filesystem::path>& scripts,
                        const std::filesystem::path& run_directory);

/// What was submitted last; no jobs where nothing was. Throws Error(data) for a damaged file.
Submission read_submission(const std::filesystem::path& run_directory);

}  // namespace zonda::jobs
