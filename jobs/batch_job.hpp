#pragma once
// A stage as a batch job: what it asks for at a site, and the script that runs it.
#include <cstddef>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "core/time.hpp"
#include "jobs/site.hpp"
#include "jobs/workflow.hpp"

namespace zonda::jobs {

/// What a stage's plan knows.
struct StageNeeds {
  std::optional<std::size_t> memory_bytes_per_rank = {};
  std::optional<double> flops = {};  ///< of the whole stage
};

struct BatchJob {
  std::string stage, fingerprint;
  std::vector<std::string> after;    ///< stages
  std::vector<std::string> command;  ///< words behind the program
  std::size_t shares = 1;            ///< more than one: a job array, each of which runs `--share i/shares`
  int nodes = 1, ranks_per_node = 1, cpus_per_rank = 1, gpus_per_node = 0;
  std::optional<std::size_t> memory_bytes;  ///< of a node
  Duration time{3600};
  std::vector<std::string> sbatch;  ///< more options
  int ranks() const { return nodes * ranks_per_node; }
};

/// What the site gives to a stage: as many jobs and ranks as it may have, or as few as the stage can use.
struct Placement {
  std::size_t shares = 1;
  int nodes = 1, ranks_per_node = 1;  ///< of each share
  int ranks() const { return nodes * ranks_per_node; }
};
Placement place(const Site& site, const Stage& stage);

/// The job of a stage. Memory: the plan's with a quarter to spare, or the site's where the plan does not know. Time:
/// the stage's at the site; else the plan's work at the site's speed, half as much again and ten minutes; else the
/// site's.
BatchJob make_job(const Site& site, const Stage& stage, const StageNeeds& needs, std::vector<std::string> command);

/// Where a job runs and leaves its output.
struct JobFolders {
  std::string run;                      ///< name of the run
  std::filesystem::path work, scripts;  ///< absolute: of relative paths in the run file; of scripts and output
};

/// What the job asks for, as options of sbatch: partition to memory and time, the site's own and the stage's.
std::vector<std::string> resource_options(const Site& site, const BatchJob& job);

/// All options of sbatch as they stand behind `#SBATCH`, without dependencies.
std::vector<std::string> sbatch_options(const Site& site, const BatchJob& job, const JobFolders& folders);

/// Shell: modules, environment, setup and the function `launch`, which starts the ranks on its words. Ends in a
/// newline.
std::string launch_function(const Site& site, const BatchJob& job);

/// Shell: launches the program, passes on the signals that Slurm sends to the script, and leaves the exit code in
/// `code`. `share` is put in as it is (a shell or template variable).
std::string launch_and_wait(const Site& site, const BatchJob& job, const std::string& share);

/// The whole script for sbatch. It tells the ranks when Slurm says that the time is up, and is requeued where the ranks
/// leave with 75 or were killed.
std::string batch_script(const Site& site, const BatchJob& job, const JobFolders& folders);

/// One word of a POSIX shell.
std::string shell_quote(const std::string& word);

}  // namespace zonda::jobs
