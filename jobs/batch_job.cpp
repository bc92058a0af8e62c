#include "jobs/batch_job.hpp"

#include <unistd.h>

#include <algorithm>
#include <cmath>

#include "core/error.hpp"

namespace zonda::jobs {
namespace {

constexpr std::size_t mebibyte = 1 << 20;

/// `days-hours:minutes:seconds`, as sbatch reads it.
std::string slurm_time(Duration time) {
  const auto s = time.count();
  return fmt::format("{}-{:02}:{:02}:{:02}", s / 86400, s / 3600 % 24, s / 60 % 60, s % 60);
}

std::string own_path() {
  std::error_code error;
  const std::filesystem::path path = std::filesystem::read_symlink("/proc/self/exe", error);
  return error ? "zonda" : path.string();
}

constexpr std::string_view hear = R"(
# Signals go on to the ranks: USR1 when the time is up (save and leave), TERM when Slurm stops the job.
tell() { heard=$1; [ -z "${step:-}" ] || kill -"$1" "$step" 2>/dev/null; }
trap 'tell USR1' USR1
trap 'stopped=yes; tell TERM' TERM
)";

constexpr std::string_view follow = R"(code=0
if [ -n "${{heard:-}}" ]; then # before there were ranks: nothing to save
  [ "$heard" = TERM ] && code=143 || code=75
else
  launch {} &
  step=$!
  [ -z "${{heard:-}}" ] || {{ sleep 1; tell "$heard"; }} # while they were started
  while true; do
    heard= code=0
    wait "$step" || code=$?
    [ "$code" -gt 128 ] && [ -n "$heard" ] || break # a signal ends `wait`, not the ranks
  done
fi
)";

constexpr std::string_view fresh_step = R"(
# Slurm names the PMIx sockets of a step by job and number. A node that died with the step keeps them, so each start of
# this job takes another number.
for _ in $(seq "${SLURM_RESTART_COUNT:-0}"); do srun --mpi=none --nodes=1 --ntasks=1 true; done
)";

constexpr std::string_view forget = R"(
# Where the stage leaves its exit code if it fails by itself.
ended={}
rm -f "$ended"
)";

constexpr std::string_view again = R"(
# A mistake stays one, whatever the launcher says of the ranks that it killed for it.
[ -n "${{stopped:-}}" ] || ! [ -s "$ended" ] || code=$(cat "$ended")
# 75: go on later. Above 128: a rank was killed, by a lost node perhaps; its checkpoints are there. Slurm itself knows
# what becomes of a job that it stopped.
if [ -z "${{stopped:-}}" ] && {{ [ "$code" -eq 75 ] || {{ [ "$code" -gt 128 ] && [ "$code" -ne 130 ]; }}; }}; then
  if [ "${{SLURM_RESTART_COUNT:-0}}" -ge {restarts} ]; then
    echo "requeued {restarts} times already; it ended with $code" >&2
    exit 1
  fi
{requeue}fi
exit "$code"
)";

constexpr std::string_view requeue_by_exit = R"(  exit 75 # slurm.conf: RequeueExit=75
)";
constexpr std::string_view requeue_by_scontrol = R"(  job=$SLURM_JOB_ID
  [ -n "${SLURM_ARRAY_TASK_ID:-}" ] && job=${SLURM_ARRAY_JOB_ID}_$SLURM_ARRAY_TASK_ID
  state=$(squeue --noheader --jobs="$job" --format=%T)
  [ "$state" = RUNNING ] && scontrol requeue "$job" && sleep 60 # Slurm ends this script
)";

}  // namespace

std::string shell_quote(const std::string& word) {
  const bool plain = !word.empty() && std::all_of(word.begin(), word.end(), [](unsigned char c) {
    return std::isalnum(c) || std::string_view("_-./=:,+@%^").find(static_cast<char>(c)) != std::string_view::npos;
  });
  if (plain) return word;
  std::string quoted = "'";
  for (const char c : word) quoted += c == '\'' ? "'\\''" : std::string(1, c);
  return quoted + "'";
}

Placement place(const Site& site, const Stage& stage) {
  const StagePlacement& own = site.placement(stage.name);
  Placement placement;
  placement.shares = std::min(stage.pieces, static_cast<std::size_t>(own.array.value_or(site.array)));
  placement.nodes = own.nodes.value_or(site.nodes);
  placement.ranks_per_node = own.ranks_per_node.value_or(site.ranks_per_node);
  if (stage.most_ranks > 0) {
    const std::size_t of_share = (stage.most_ranks + placement.shares - 1) / placement.shares;
    const int most = static_cast<int>(std::min<std::size_t>(of_share, 1 << 20));
    placement.ranks_per_node = std::min(placement.ranks_per_node, most);
    placement.nodes = std::min(placement.nodes, std::max(1, most / placement.ranks_per_node));
  }
  return placement;
}

BatchJob make_job(const Site& site, const Stage& stage, const StageNeeds& needs, std::vector<std::string> command) {
  const StagePlacement& own = site.placement(stage.name);
  const auto [shares, nodes, ranks_per_node] = place(site, stage);
  BatchJob job;
  job.stage = stage.name;
  job.fingerprint = stage.fingerprint;
  job.after = stage.after;
  job.command = std::move(command);
  job.shares = shares;
  job.nodes = nodes;
  job.ranks_per_node = ranks_per_node;
  job.cpus_per_rank = own.cpus_per_rank.value_or(site.cpus_per_rank);
  job.gpus_per_node = own.gpus_per_node.value_or(site.gpus_per_node);
  const auto bytes = [](double gib) { return static_cast<std::size_t>(std::llround(gib * 1024)) * mebibyte; };
  if (own.memory_gib) {
    job.memory_bytes = bytes(*own.memory_gib);
  } else if (needs.memory_bytes_per_rank) {
    job.memory_bytes = *needs.memory_bytes_per_rank * static_cast<std::size_t>(ranks_per_node) * 5 / 4 + 64 * mebibyte;
  } else if (site.memory_gib) {
    job.memory_bytes = bytes(*site.memory_gib);
  }
  job.time = own.time.value_or(site.time);
  if (!own.time && needs.flops && site.gflops_per_rank) {
    const double ranks = static_cast<double>(job.ranks()) * static_cast<double>(std::max<std::size_t>(1, job.shares));
    const double seconds = *needs.flops / (*site.gflops_per_rank * 1e9 * ranks);
    job.time = Duration{static_cast<std::int64_t>(std::min(1.5 * seconds, 1e8)) + 600};
  }
  job.sbatch = own.sbatch;
  return job;
}

std::vector<std::string> resource_options(const Site& site, const BatchJob& job) {
  std::vector<std::string> options;
  if (!site.partition.empty()) options.push_back("--partition=" + site.partition);
  if (!site.account.empty()) options.push_back("--account=" + site.account);
  if (!site.qos.empty()) options.push_back("--qos=" + site.qos);
  options.push_back(fmt::format("--nodes={}", job.nodes));
  options.push_back(fmt::format("--ntasks-per-node={}", job.ranks_per_node));
  options.push_back(fmt::format("--cpus-per-task={}", job.cpus_per_rank));
  if (job.gpus_per_node > 0) options.push_back(fmt::format("--gpus-per-node={}", job.gpus_per_node));
  if (job.memory_bytes) options.push_back(fmt::format("--mem={}M", (*job.memory_bytes + mebibyte - 1) / mebibyte));
  options.push_back("--time=" + slurm_time(job.time));
  options.push_back(fmt::format("--signal=B:USR1@{}", site.grace.count()));
  for (std::string& option : options) option = shell_quote(option);
  options.insert(options.end(), site.sbatch.begin(), site.sbatch.end());
  options.insert(options.end(), job.sbatch.begin(), job.sbatch.end());
  return options;
}

std::vector<std::string> sbatch_options(const Site& site, const BatchJob& job, const JobFolders& folders) {
  std::vector<std::string> options{"--job-name=" + folders.run + "." + job.stage};
  options.push_back("--chdir=" + folders.work.string());
  const char* output = job.shares > 1 ? "%A_%a" : "%j";
  options.push_back("--output=" + (folders.scripts / fmt::format("{}-{}.out", job.stage, output)).string());
  options.push_back("--open-mode=append");
  options.push_back("--requeue");
  if (job.shares > 1) options.push_back(fmt::format("--array=0-{}", job.shares - 1));
  for (std::string& option : options) option = shell_quote(option);
  const std::vector<std::string> resources = resource_options(site, job);
  options.insert(options.end(), resources.begin(), resources.end());
  return options;
}

std::string launch_function(const Site& site, const BatchJob& job) {
  std::string text;
  for (const std::string& module : site.modules) text += "module load " + shell_quote(module) + "\n";
  text += fmt::format("export OMP_NUM_THREADS={}\n", job.cpus_per_rank);
  for (const std::string& assignment : site.environment) {
    const auto equals = assignment.find('=');
    text += "export " + assignment.substr(0, equals + 1) + shell_quote(assignment.substr(equals + 1)) + "\n";
  }
  for (const std::string& line : site.setup) text += line + "\n";
  std::string launcher;
  if (site.launcher == "srun") {
    launcher = "srun --kill-on-bad-exit=1";
    if (!site.mpi.empty()) launcher += " --mpi=" + shell_quote(site.mpi);
    launcher += fmt::format(" --cpus-per-task={}", job.cpus_per_rank);
  } else {
    launcher = fmt::format("mpirun -n {}", job.ranks());
  }
  for (const std::string& option : site.launcher_options) launcher += " " + shell_quote(option);
  return text + "launch() { exec " + launcher + " \"$@\"; }\n";
}

std::string launch_and_wait(const Site& site, const BatchJob& job, const std::string& share) {
  std::string words = site.container.empty() ? "" : site.container + " ";
  words += shell_quote(site.program.empty() ? own_path() : site.program);
  for (const std::string& word : job.command) words += " " + shell_quote(word);
  if (job.shares > 1) words += fmt::format(" --share \"{}/{}\"", share, job.shares);
  return fmt::format(follow, words);
}

std::string batch_script(const Site& site, const BatchJob& job, const JobFolders& folders) {
  std::string text = "#!/bin/bash\n";
  for (const std::string& option : sbatch_options(site, job, folders)) text += "#SBATCH " + option + "\n";
  text += hear;
  text += "\n" + launch_function(site, job);
  if (site.launcher == "srun") text += fresh_step;
  const std::string file = (folders.scripts.parent_path() / "stages" / job.stage).string();
  text += fmt::format(forget, job.shares > 1
                                  ? fmt::format("{}.$SLURM_ARRAY_TASK_ID-of-{}.exit", shell_quote(file), job.shares)
                                  : shell_quote(file + ".exit"));
  text += "\n" + launch_and_wait(site, job, "$SLURM_ARRAY_TASK_ID");
  text += fmt::format(again, fmt::arg("restarts", site.restarts),
                      fmt::arg("requeue", site.requeue_exit ? requeue_by_exit : requeue_by_scontrol));
  return text;
}

}  // namespace zonda::jobs
