#include "jobs/run_status.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <nlohmann/json.hpp>

#include "core/atomic_file.hpp"
#include "core/error.hpp"
#include "jobs/stage_records.hpp"

namespace zonda::jobs {
namespace {

namespace fs = std::filesystem;

TEST(Queue, ReadsSqueue) {
  const auto jobs = parse_queue(
      "12|RUNNING|None|n[1-2]|3|\n13|COMPLETED|None|n1|0|\n13|RUNNING|None|n2|1|\n13|PENDING|Resources||0|\n"
      "14|PENDING|Dependency||0|\n");
  ASSERT_EQ(jobs.size(), 3U);
  EXPECT_EQ(jobs.at(12).nodes, "n[1-2]");
  EXPECT_TRUE(jobs.at(12).alive());
  EXPECT_EQ(jobs.at(12).restarts, 3);
  EXPECT_EQ(jobs.at(13).restarts, 1);
  EXPECT_THAT(jobs.at(13).states,
              testing::UnorderedElementsAre(testing::Pair("COMPLETED", 1), testing::Pair("RUNNING", 1),
                                            testing::Pair("PENDING", 1)));
  EXPECT_EQ(jobs.at(14).reason, "Dependency");
  EXPECT_FALSE(parse_queue("15|FAILED|NonZeroExitCode|n1\n").at(15).alive());
}

struct RunStatusTest : testing::Test {
  fs::path run = fs::temp_directory_path() / ("zonda-run-status-" + std::to_string(::getpid()));
  Submission submission{"2026-01-01T00:00:00Z",
                        {{"ingest", "i", 11, {}, 1, "ingest.sh"},
                         {"train", "t", 12, {"ingest"}, 1, "train.sh"},
                         {"forecast", "f", 13, {"train"}, 3, "forecast.sh"}}};
  void SetUp() override {
    fs::remove_all(run);
    fs::create_directories(run);
    write_file(run / "config.yaml", "");
  }
  void TearDown() override { fs::remove_all(run); }
  StageStatus stage(const std::string& name, const std::string& queue) {
    for (const StageStatus& status : judge_run(run, submission, parse_queue(queue)).stages)
      if (status.stage == name) return status;
    ADD_FAILURE() << "no stage " << name;
    return {};
  }
};

TEST_F(RunStatusTest, RecordsSayWhatIsDone) {
  StageRecords(run).add("ingest", {"i", 1, 1}, {});
  EXPECT_EQ(stage("ingest", "").state, "done");
  StageRecords(run).add("ingest", {"other", 1, 1}, {});
  EXPECT_EQ(stage("ingest", "").state, "lost") << "done with another configuration";
}

TEST_F(RunStatusTest, TheQueueSaysTheRest) {
  EXPECT_EQ(stage("train", "12|PENDING|Dependency|\n").state, "waiting");
  EXPECT_EQ(stage("train", "12|PENDING|Dependency|\n").message, "Dependency");
  EXPECT_EQ(stage("train", "12|CANCELLED|None|\n").state, "cancelled");
  EXPECT_EQ(stage("train", "12|TIMEOUT|TimeLimit|n1\n").state, "failed");
  EXPECT_EQ(stage("train", "12|TIMEOUT|TimeLimit|n1\n").message, "TimeLimit, see jobs/train-12.out");
  EXPECT_EQ(stage("forecast", "13|FAILED|NonZeroExitCode|n1\n").message, "NonZeroExitCode, see jobs/forecast-13_*.out");
  EXPECT_EQ(stage("train", "12|CANCELLED|Dependency||0|\n").message, "a stage before it did not end well");
  EXPECT_EQ(stage("train", "12|COMPLETED|None|n1\n").state, "failed") << "no record of it";
  EXPECT_EQ(stage("train", "").state, "lost");
}

TEST_F(RunStatusTest, ARunningStageShowsItsProgress) {
  write_file(run / "status.json", R"({"stage":"train","state":"running","step":40,"of":200,"message":"loss 0.5"})");
  const StageStatus train = stage("train", "12|RUNNING|None|n[1-2]\n");
  EXPECT_EQ(train.state, "running");
  EXPECT_EQ(train.step, 40);
  EXPECT_EQ(train.of, 200);
  EXPECT_EQ(train.message, "loss 0.5");
  const RunStatus all = judge_run(run, submission, parse_queue("12|RUNNING|None|n[1-2]\n"));
  EXPECT_THAT(to_table(all), testing::HasSubstr("40/200"));
  EXPECT_EQ(to_json(all)["stages"][1]["step"], 40);
}

TEST_F(RunStatusTest, AFailedStageSaysWhyInItsOwnWords) {
  const std::string failed = "12|FAILED|NonZeroExitCode|n1|0|\n";
  write_file(run / "status.json", R"({"stage":"train","state":"running","step":40,"of":200,"message":"loss 0.5"})");
  EXPECT_EQ(stage("train", failed).message, "NonZeroExitCode, see jobs/train-12.out") << "it was killed at work";
  write_file(run / "status.json", R"({"stage":"train","state":"failed","step":0,"of":0,"message":"no archive"})");
  EXPECT_EQ(stage("train", failed).message, "no archive");
}

TEST_F(RunStatusTest, AFailedStageShowsItsExitCode) {
  const std::string failed = "12|FAILED|NonZeroExitCode|n1|0|\n13|FAILED|NonZeroExitCode|n1|0|\n";
  EXPECT_FALSE(stage("train", failed).exit_code);
  record_exit_code(run, "train", {}, 3);
  record_exit_code(run, "forecast", {0, 3}, 4);
  EXPECT_EQ(stage("train", failed).exit_code, 3);
  EXPECT_EQ(stage("forecast", failed).exit_code, 4);
  EXPECT_FALSE(stage("train", "12|RUNNING|None|n1\n").exit_code) << "of an earlier try";
  const RunStatus all = judge_run(run, submission, parse_queue(failed));
  EXPECT_THAT(to_table(all), testing::HasSubstr("exit code 3: NonZeroExitCode, see jobs/train-12.out"));
  EXPECT_EQ(to_json(all).at("stages").at(1).at("exit_code"), 3);
  EXPECT_FALSE(to_json(all).at("stages").at(0).contains("exit_code"));
  record_exit_code(run, "train", {}, static_cast<int>(ErrorKind::temporary));  // another try met something else
  EXPECT_FALSE(stage("train", failed).exit_code);
}

TEST_F(RunStatusTest, CountsRestarts) {
  EXPECT_EQ(stage("train", "12|PENDING|BeginTime||2|\n").restarts, 2);
  const RunStatus all = judge_run(run, submission, parse_queue("12|PENDING|BeginTime||2|\n"));
  EXPECT_THAT(to_table(all), testing::HasSubstr("BeginTime, restarted 2 times\n"));
  EXPECT_EQ(to_json(all)["stages"][1]["restarts"], 2);
  EXPECT_FALSE(to_json(all)["stages"][0].contains("restarts"));
}

TEST_F(RunStatusTest, CountsTheSharesOfAnArray) {
  const StageRecords records(run);
  records.add_share("forecast", {0, 3}, {"f", 1, 1});
  records.add_share("forecast", {2, 3}, {"f", 1, 1});
  const std::string queue = "13|COMPLETED|None|n1\n13|COMPLETED|None|n1\n13|RUNNING|None|n2\n";
  EXPECT_EQ(stage("forecast", queue).state, "running");
  EXPECT_EQ(stage("forecast", queue).shares_done, 2U);
  EXPECT_EQ(stage("forecast", queue).job_state, "2 COMPLETED, 1 RUNNING");
  records.add_share("forecast", {1, 3}, {"f", 1, 1});
  EXPECT_EQ(stage("forecast", queue).state, "done");
}

TEST_F(RunStatusTest, WithoutJobsTheRecordsSpeak) {
  submission = {};
  StageRecords(run).add("ingest", {"i", 1, 1}, {});
  write_file(run / "status.json", R"({"stage":"train","state":"interrupted","step":4,"of":9,"message":"stopped"})");
  EXPECT_EQ(stage("ingest", "").state, "done");
  EXPECT_EQ(stage("train", "").state, "interrupted");
}

TEST_F(RunStatusTest, RefusesWhatIsNoRunDirectory) {
  fs::remove(run / "config.yaml");
  EXPECT_THROW(judge_run(run, submission, {}), Error);
  EXPECT_TRUE(read_submission(run).jobs.empty());
  fs::create_directories(run / "jobs");
  write_file(run / "jobs/jobs.json", "[1");
  EXPECT_THROW(read_submission(run), Error);
}

}  // namespace
}  // namespace zonda::jobs
