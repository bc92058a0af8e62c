#include "jobs/batch_job.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <map>
#include <sstream>

#include "core/atomic_file.hpp"
#include "jobs/program.hpp"
#include "jobs/stage_records.hpp"

namespace zonda::jobs {
namespace {

namespace fs = std::filesystem;
using testing::Contains;
using testing::Pair;

const std::vector<std::string> names{"ingest", "train", "forecast", "report"};
const JobFolders folders{"case", "/cluster", "/cluster/runs/case/jobs"};

/// The options behind `#SBATCH`, as sbatch reads them.
std::map<std::string, std::string> directives(const std::string& script) {
  std::map<std::string, std::string> options;
  std::stringstream lines(script);
  for (std::string line; std::getline(lines, line);) {
    if (!line.starts_with("#SBATCH ")) continue;
    const std::string option = line.substr(8);
    const auto end = option.find('=');
    options[option.substr(0, end)] = end == std::string::npos ? "" : option.substr(end + 1);
  }
  return options;
}

struct BatchJobTest : testing::Test {
  Site site{names};
  Stage train{"train", {"ingest"}, "f", {}, {}};
  std::string script(const Stage& stage, const StageNeeds& needs = {}) const {
    return batch_script(site, make_job(site, stage, needs, {"run", "case.yaml", "--stage", stage.name}), folders);
  }
  /// Runs the script here, with `srun` played by the given lines of shell, and Slurm by a few.
  ProgramResult play(const std::string& text, const std::string& srun, int restarts = 0,
                     const std::string& state = "RUNNING", const std::string& more = "") const {
    const fs::path folder = fs::temp_directory_path() / ("zonda-batch-job-" + std::to_string(::getpid()));
    fs::create_directories(folder);
    const std::string preamble =
        "srun() { " + srun + "; }\nexec() { \"$@\"; exit; }\nscontrol() { echo scontrol \"$@\"; }\nsleep() { :; }\n" +
        "squeue() { echo " + state + "; }\nSLURM_JOB_ID=7\nSLURM_RESTART_COUNT=" + std::to_string(restarts) + "\n" +
        more + "\n";
    write_file(folder / "script.sh", preamble + text);
    ProgramResult result = run_program({"bash", (folder / "script.sh").string()});
    fs::remove_all(folder);
    return result;
  }
};

TEST_F(BatchJobTest, AsksForWhatTheSiteSays) {
  site.partition = "gpu";
  site.account = "weather";
  site.qos = "high";
  site.nodes = 2;
  site.ranks_per_node = 4;
  site.cpus_per_rank = 8;
  site.gpus_per_node = 4;
  site.time = Duration{90061};
  site.grace = Duration{300};
  site.sbatch = {"--constraint=nvlink"};
  const auto options = directives(script(train));
  EXPECT_THAT(options, Contains(Pair("--job-name", "case.train")));
  EXPECT_THAT(options, Contains(Pair("--partition", "gpu")));
  EXPECT_THAT(options, Contains(Pair("--account", "weather")));
  EXPECT_THAT(options, Contains(Pair("--qos", "high")));
  EXPECT_THAT(options, Contains(Pair("--nodes", "2")));
  EXPECT_THAT(options, Contains(Pair("--ntasks-per-node", "4")));
  EXPECT_THAT(options, Contains(Pair("--cpus-per-task", "8")));
  EXPECT_THAT(options, Contains(Pair("--gpus-per-node", "4")));
  EXPECT_THAT(options, Contains(Pair("--time", "1-01:01:01")));
  EXPECT_THAT(options, Contains(Pair("--signal", "B:USR1@300")));
  EXPECT_THAT(options, Contains(Pair("--requeue", "")));
  EXPECT_THAT(options, Contains(Pair("--constraint", "nvlink")));
  EXPECT_THAT(options, Contains(Pair("--chdir", "/cluster")));
  EXPECT_THAT(options, Contains(Pair("--output", "/cluster/runs/case/jobs/train-%j.out")));
  EXPECT_FALSE(options.contains("--array"));
  EXPECT_FALSE(options.contains("--mem"));
}

TEST_F(BatchJobTest, AStageOverridesTheSite) {
  site.stages[1].second.nodes = 3;
  site.stages[1].second.time = Duration{7200};
  site.stages[1].second.memory_gib = 1.5;
  const auto options = directives(script(train, {.memory_bytes_per_rank = 1 << 30}));
  EXPECT_THAT(options, Contains(Pair("--nodes", "3")));
  EXPECT_THAT(options, Contains(Pair("--time", "0-02:00:00")));
  EXPECT_THAT(options, Contains(Pair("--mem", "1536M")));
}

TEST_F(BatchJobTest, ThePlanGivesMemoryAndTime) {
  site.ranks_per_node = 4;
  site.gflops_per_rank = 100;
  // 4 ranks x 100 MiB, a quarter more, and 64 MiB; 4e14 / (4 x 1e11) = 1000 s, half more, and 600 s.
  const auto options = directives(script(train, {.memory_bytes_per_rank = 100 << 20, .flops = 4e14}));
  EXPECT_THAT(options, Contains(Pair("--mem", "564M")));
  EXPECT_THAT(options, Contains(Pair("--time", "0-00:35:00")));
}

TEST_F(BatchJobTest, AStageThatCanBeCutIsAnArray) {
  site.ranks_per_node = 4;
  site.array = 3;
  Stage forecast{"forecast", {"train"}, "f", {}, {}, 8, 8};
  const BatchJob job = make_job(site, forecast, {}, {"run", "case.yaml"});
  EXPECT_EQ(job.shares, 3U);
  EXPECT_EQ(job.ranks(), 3) << "three dates at most in a share";
  const std::string text = batch_script(site, job, folders);
  EXPECT_THAT(directives(text), Contains(Pair("--array", "0-2")));
  EXPECT_THAT(directives(text), Contains(Pair("--output", "/cluster/runs/case/jobs/forecast-%A_%a.out")));
  EXPECT_THAT(text, testing::HasSubstr("--share \"$SLURM_ARRAY_TASK_ID/3\""));
  forecast.pieces = 2;
  EXPECT_EQ(make_job(site, forecast, {}, {}).shares, 2U);
}

TEST_F(BatchJobTest, NoMoreRanksThanAStageCanUse) {
  site.nodes = 4;
  site.ranks_per_node = 8;
  train.most_ranks = 1;
  EXPECT_EQ(place(site, train).ranks(), 1);
  train.most_ranks = 16;
  EXPECT_EQ(place(site, train).ranks(), 16);
  train.most_ranks = 0;
  EXPECT_EQ(place(site, train).ranks(), 32);
}

TEST_F(BatchJobTest, LaunchesWithModulesEnvironmentAndContainer) {
  site.modules = {"openmpi/4.1"};
  site.environment = {"NOTE=it's here"};
  site.setup = {"ulimit -l unlimited"};
  site.container = "apptainer exec zonda.sif";
  site.program = "/opt/zonda";
  site.launcher_options = {"--cpu-bind=cores"};
  const std::string srun = script(train);
  EXPECT_THAT(srun, testing::HasSubstr("module load openmpi/4.1\n"));
  EXPECT_THAT(srun, testing::HasSubstr("export NOTE='it'\\''s here'\n"));
  EXPECT_THAT(srun, testing::HasSubstr("\nulimit -l unlimited\n"));
  EXPECT_THAT(srun, testing::HasSubstr("srun --kill-on-bad-exit=1 --mpi=pmix --cpus-per-task=1 --cpu-bind=cores"));
  EXPECT_THAT(srun, testing::HasSubstr("launch apptainer exec zonda.sif /opt/zonda run case.yaml --stage train &"));
  site.launcher = "mpirun";
  site.ranks_per_node = 3;
  EXPECT_THAT(script(train), testing::HasSubstr("mpirun -n 3 --cpu-bind=cores"));
}

TEST_F(BatchJobTest, EveryScriptIsShell) {
  site.environment = {"A=$(rm -rf /)", "B=`x` \"y\""};
  const fs::path path = fs::temp_directory_path() / ("zonda-script-" + std::to_string(::getpid()));
  for (const char* launcher : {"srun", "mpirun"}) {
    site.launcher = launcher;
    write_file(path, script(train));
    const ProgramResult checked = run_program({"bash", "-n", path.string()});
    EXPECT_TRUE(checked.ok()) << checked.errors;
  }
  fs::remove(path);
}

TEST_F(BatchJobTest, GoesBackIntoTheQueueWhereThatHelps) {
  const std::string by_scontrol = script(train);
  site.requeue_exit = true;
  const std::string by_exit = script(train);
  EXPECT_EQ(play(by_scontrol, "return 0").exit_code, 0);
  for (const std::string code : {"75", "137", "143"}) {
    const ProgramResult asked = play(by_scontrol, "return " + code);
    EXPECT_EQ(asked.output, "scontrol requeue 7\n") << code;
    const ProgramResult left = play(by_exit, "return " + code);
    EXPECT_EQ(left.exit_code, 75) << code;
    EXPECT_EQ(left.output, "");
  }
  // Mistakes do not come back.
  for (const int code : {1, 2, 3, 4, 130}) {
    const ProgramResult ended = play(by_scontrol, "return " + std::to_string(code));
    EXPECT_EQ(ended.exit_code, code);
    EXPECT_EQ(ended.output, "") << code;
  }
  const ProgramResult tired = play(by_scontrol, "return 75", site.restarts);
  EXPECT_EQ(tired.exit_code, 1);
  EXPECT_THAT(tired.errors, testing::HasSubstr("requeued 16 times already"));
}

TEST_F(BatchJobTest, AStageThatFailedByItselfIsNotRequeuedWhateverItsLauncherReports) {
  const fs::path run = fs::temp_directory_path() / ("zonda-batch-run-" + std::to_string(::getpid()));
  const JobFolders here{"case", run, run / "jobs"};
  const auto played = [&](const Stage& stage, const std::string& ranks, const std::string& more = "") {
    const BatchJob job = make_job(site, stage, {}, {"run", "case.yaml"});
    return play(batch_script(site, job, here), ranks, 0, "RUNNING", more);
  };
  // One rank finds bad data and says so; the launcher kills the others and reports that.
  record_exit_code(run, "train", {}, 3);
  const std::string file = exit_code_file(run, "train", {}).string();
  const ProgramResult failed = played(train, "echo 3 > " + file + "; return 137");
  EXPECT_EQ(failed.exit_code, 3);
  EXPECT_EQ(failed.output, "");
  // What an earlier start left is forgotten.
  EXPECT_EQ(played(train, "return 137").output, "scontrol requeue 7\n");
  EXPECT_FALSE(fs::exists(file));
  // Each share of an array has its own.
  site.array = 4;
  const Stage forecast{"forecast", {"train"}, "f", {}, {}, 4, 4};
  const std::string task = "SLURM_ARRAY_TASK_ID=2\nSLURM_ARRAY_JOB_ID=7";
  const std::string third = exit_code_file(run, "forecast", {2, 4}).string();
  EXPECT_EQ(played(forecast, "echo 4 > " + third + "; return 137", task).exit_code, 4);
  record_exit_code(run, "forecast", {1, 4}, 3);
  EXPECT_EQ(played(forecast, "return 137", task).output, "scontrol requeue 7_2\n");
  fs::remove_all(run);
}

TEST_F(BatchJobTest, AJobThatSlurmStopsIsNotRequeued) {
  for (const std::string code : {"75", "137", "143"}) {
    const std::string ranks = "trap 'exit " + code + "' TERM; kill -TERM $$; while true; do :; done";
    const ProgramResult stopped = play(script(train), ranks);
    EXPECT_EQ(stopped.output, "") << code;
    EXPECT_EQ(std::to_string(stopped.exit_code), code);
  }
  EXPECT_EQ(play(script(train), "return 75", 0, "COMPLETING").output, "") << "cancelled before the script heard of it";
}

TEST_F(BatchJobTest, TheRanksOwnExitCodeIsKeptHoweverSoonTheyLeaveAfterASignal) {
  // The ranks are gone before the script, which a signal took out of `wait`, looks again.
  const std::string slow_kill = "kill() { command kill \"$@\"; command sleep 0.3; }";
  for (const std::string code : {"75", "3", "143"}) {
    const std::string ranks = "trap 'exit " + code + "' TERM; command kill -TERM $$; while true; do :; done";
    EXPECT_EQ(std::to_string(play(script(train), ranks, 0, "RUNNING", slow_kill).exit_code), code);
  }
}

TEST_F(BatchJobTest, ASignalBeforeTheRanksStartIsNotLost) {
  // It comes while the step numbers are taken: the ranks never start, the job goes back into the queue.
  const std::string srun = "case \"$1\" in --mpi=none) kill -USR1 $$;; *) while true; do :; done;; esac";
  EXPECT_EQ(play(script(train), srun, 1).output, "scontrol requeue 7\n");
}

TEST_F(BatchJobTest, EachStartTakesAStepNumberOfItsOwn) {
  const std::string srun = "echo srun \"$1\"";
  EXPECT_EQ(play(script(train), srun).output, "srun --kill-on-bad-exit=1\n");
  EXPECT_EQ(play(script(train), srun, 2).output, "srun --mpi=none\nsrun --mpi=none\nsrun --kill-on-bad-exit=1\n");
}

TEST_F(BatchJobTest, PassesTheWarningOnToTheRanks) {
  // The script hears USR1; the ranks save and leave with 75.
  const std::string ranks = "trap 'echo saved; exit 75' USR1; kill -USR1 $$; while true; do :; done";
  const ProgramResult warned = play(script(train), ranks);
  EXPECT_EQ(warned.output, "saved\nscontrol requeue 7\n");
}

TEST(ShellQuote, KeepsWordsWhole) {
  for (const std::string word : {"plain", "", "two words", "it's", "$HOME `x` \"y\" \\", "*", "a;b"}) {
    const ProgramResult echoed = run_program({"bash", "-c", "printf %s " + shell_quote(word)});
    EXPECT_EQ(echoed.output, word);
  }
}

TEST(RunProgram, GivesOutputErrorsAndExitCode) {
  const ProgramResult result = run_program({"bash", "-c", "echo out; echo err >&2; exit 3"});
  EXPECT_EQ(result.output, "out\n");
  EXPECT_EQ(result.errors, "err\n");
  EXPECT_EQ(result.exit_code, 3);
  EXPECT_EQ(run_program({"bash", "-c", "kill -KILL $$"}).exit_code, 137);
  EXPECT_THROW(run_program({"no-such-program-here"}), std::runtime_error);
}

}  // namespace
}  // namespace zonda::jobs
