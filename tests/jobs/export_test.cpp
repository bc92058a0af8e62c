#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>

#include "core/atomic_file.hpp"
#include "jobs/program.hpp"
#include "jobs/workflow_export.hpp"

namespace zonda::jobs {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

/// A program on the path, or the one that the variable names.
std::string find_program(const std::string& name, const char* variable) {
  if (const char* path = std::getenv(variable)) return path;
  const ProgramResult found = run_program({"bash", "-c", "command -v " + name});
  return found.ok() ? found.output.substr(0, found.output.find('\n')) : "";
}

struct ExportTest : testing::Test {
  fs::path folder = fs::temp_directory_path() / ("zonda-export-" + std::to_string(::getpid()));
  Site site{{"train", "forecast"}};
  JobFolders folders{"my-case", "/cluster", "/cluster/runs/my-case/jobs"};
  std::vector<BatchJob> jobs;
  void SetUp() override {
    site.program = "/opt/zonda";
    site.partition = "main";
    site.restarts = 3;
    site.sbatch = {"--comment=\"50% of a node\"", "--exclusive"};
    jobs = {job("train", {}, 1), job("forecast", {"train"}, 3), job("verify", {"forecast"}, 1)};
  }
  void TearDown() override { fs::remove_all(folder); }
  BatchJob job(const std::string& name, const std::vector<std::string>& after, std::size_t pieces) const {
    Stage stage{name, after, "f", {}, {}, pieces};
    return make_job(site, stage, {.memory_bytes_per_rank = 1 << 20}, {"run", "case.yaml", "--stage", name});
  }
};

TEST_F(ExportTest, EcflowHasFamiliesTriggersAndScripts) {
  const auto files = write_ecflow(site, jobs, folders, folder);
  ASSERT_EQ(files.size(), 6U);
  for (const fs::path& file : files) EXPECT_TRUE(fs::exists(file)) << file;
  const std::string suite = read_file(folder / "my_case.def");
  EXPECT_THAT(suite, HasSubstr("suite my_case\n"));
  EXPECT_THAT(suite, HasSubstr("  family forecast\n    trigger train == complete\n    family share_0\n"));
  EXPECT_THAT(suite, HasSubstr("edit SHARE '2'\n      task forecast\n"));
  EXPECT_THAT(suite, HasSubstr("  task verify\n    trigger forecast == complete\n"));
  EXPECT_THAT(suite, HasSubstr("endsuite\n"));
  const std::string task = read_file(folder / "my_case" / "forecast.ecf");
  EXPECT_THAT(task, HasSubstr("#SBATCH --partition=main\n"));
  EXPECT_THAT(task, HasSubstr("50%% of a node"));
  EXPECT_THAT(task, HasSubstr("--share \"%SHARE%/3\""));
  EXPECT_LT(task.find("%include <head.h>"), task.find("%include <tail.h>"));
}

TEST_F(ExportTest, EcflowAcceptsTheDefinition) {
  const std::string client = find_program("ecflow_client", "ZONDA_ECFLOW_CLIENT");
  if (client.empty()) GTEST_SKIP() << "ecflow_client is not installed";
  write_ecflow(site, jobs, folders, folder);
  const ProgramResult checked = run_program({client, "--load=" + (folder / "my_case.def").string(), "check_only"});
  EXPECT_TRUE(checked.ok()) << checked.output << checked.errors;
  write_file(folder / "wrong.def", "suite s\n  task a\n    trigger b ==\nendsuite\n");
  EXPECT_FALSE(run_program({client, "--load=" + (folder / "wrong.def").string(), "check_only"}).ok());
}

TEST_F(ExportTest, CylcHasGraphAndDirectives) {
  site.cylc_platform = "cluster";
  const auto files = write_cylc(site, jobs, folders, folder);
  ASSERT_EQ(files.size(), 1U);
  const std::string flow = read_file(files[0]);
  EXPECT_THAT(flow, HasSubstr("forecast_share = 0..2\n"));
  EXPECT_THAT(flow, HasSubstr("train => forecast<forecast_share>\n"));
  EXPECT_THAT(flow, HasSubstr("forecast<forecast_share> => verify\n"));
  EXPECT_THAT(flow, HasSubstr("platform = cluster\n"));
  EXPECT_THAT(flow, HasSubstr("--partition = \"main\"\n"));
  EXPECT_THAT(flow, HasSubstr("--exclusive ="));
  EXPECT_THAT(flow, HasSubstr("--share \"$CYLC_TASK_PARAM_forecast_share/3\""));
}

TEST_F(ExportTest, CylcAcceptsTheWorkflow) {
  const std::string cylc = find_program("cylc", "ZONDA_CYLC");
  if (cylc.empty()) GTEST_SKIP() << "cylc is not installed; ZONDA_CYLC names it where it is not on the path";
  write_cylc(site, jobs, folders, folder);
  const ProgramResult checked = run_program({cylc, "validate", folder.string()});
  EXPECT_TRUE(checked.ok()) << checked.output << checked.errors;
  write_file(folder / "flow.cylc", read_file(folder / "flow.cylc") + "    [[nowhere]]\n        no such item = 1\n");
  EXPECT_FALSE(run_program({cylc, "validate", folder.string()}).ok());
}

}  // namespace
}  // namespace zonda::jobs
