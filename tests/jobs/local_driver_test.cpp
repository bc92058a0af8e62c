#include "jobs/local_driver.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <unistd.h>

#include <filesystem>
#include <nlohmann/json.hpp>

#include "core/atomic_file.hpp"
#include "core/error.hpp"
#include "core/progress.hpp"
#include "jobs/stage_records.hpp"

namespace zonda::jobs {
namespace {

namespace fs = std::filesystem;

class LocalDriver : public testing::Test {
 protected:
  void SetUp() override {
    directory = fs::temp_directory_path() / ("zonda-driver-" + std::to_string(::getpid()));
    fs::remove_all(directory);
    fs::create_directories(directory);
  }
  void TearDown() override {
    set_status_file({});
    fs::remove_all(directory);
  }
  Workflow workflow(const std::string& train_fingerprint = "t1", bool verify_fails = false) {
    Workflow w;
    w.add({"ingest", {}, "i1", [this] { ran.emplace_back("ingest"); }, {}});
    w.add({"train", {"ingest"}, train_fingerprint, [this] { ran.emplace_back("train"); }, {}});
    w.add({"verify",
           {"train"},
           "v1",
           [this, verify_fails] {
             ran.emplace_back("verify");
             if (verify_fails) fail(ErrorKind::data, "no truth");
           },
           {}});
    return w;
  }
  fs::path directory;
  std::vector<std::string> ran;
};

TEST_F(LocalDriver, RunsEachStageOnceAndSkipsWhatIsDone) {
  run_locally(workflow(), {directory});
  EXPECT_THAT(ran, testing::ElementsAre("ingest", "train", "verify"));
  ran.clear();
  run_locally(workflow(), {directory});
  EXPECT_TRUE(ran.empty());
}

TEST_F(LocalDriver, RunsAgainFromTheFirstChangedStageOn) {
  run_locally(workflow(), {directory});
  ran.clear();
  run_locally(workflow("t2"), {directory});
  EXPECT_THAT(ran, testing::ElementsAre("train", "verify"));
}

TEST_F(LocalDriver, WithoutResumeRunsEverything) {
  run_locally(workflow(), {directory});
  ran.clear();
  run_locally(workflow(), {directory, true, false});
  EXPECT_THAT(ran, testing::ElementsAre("ingest", "train", "verify"));
}

TEST_F(LocalDriver, WhatAnotherTryMayMendLeavesNoExitCode) {
  Workflow once;
  once.add({"train", {}, "t", [] { fail(ErrorKind::temporary, "rank 2 is silent"); }, {}});
  EXPECT_THROW(run_locally(once, {directory}), Error);
  EXPECT_FALSE(fs::exists(exit_code_file(directory, "train", {})));
  EXPECT_THROW(run_locally(once, {.run_directory = directory, .is_root = false}), Error);
  EXPECT_FALSE(fs::exists(directory / "stages"));
}

TEST_F(LocalDriver, AFailedStageIsRecordedAndRunsAgain) {
  set_status_file(directory / "status.json");
  EXPECT_THROW(run_locally(workflow("t1", true), {directory}), Error);
  const auto status = nlohmann::json::parse(read_file(directory / "status.json"));
  EXPECT_EQ(status["stage"], "verify");
  EXPECT_EQ(status["state"], "failed");
  EXPECT_EQ(status["message"], "no truth");
  EXPECT_EQ(read_file(exit_code_file(directory, "verify", {})), "3\n");
  ran.clear();
  run_locally(workflow(), {directory});
  EXPECT_THAT(ran, testing::ElementsAre("verify"));
  EXPECT_EQ(nlohmann::json::parse(read_file(directory / "status.json"))["state"], "done");
}

TEST_F(LocalDriver, RecordsTimeAndMemory) {
  run_locally(workflow(), {directory});
  const auto records = nlohmann::json::parse(read_file(directory / "stages.json"));
  for (const char* name : {"ingest", "train", "verify"}) {
    EXPECT_GE(records[name]["seconds"].get<double>(), 0);
    EXPECT_GT(records[name]["peak_memory_bytes"].get<std::size_t>(), 1'000'000u);
  }
}

TEST_F(LocalDriver, AStageWhoseResultIsGoneRunsAgain) {
  Workflow w;
  w.add({"ingest", {}, "i1", [this] { write_file(directory / "archive.json", "{}"); }, {directory / "archive.json"}});
  run_locally(w, {directory});
  EXPECT_THAT(finished_stages(w, directory), testing::ElementsAre("ingest"));
  fs::remove(directory / "archive.json");
  run_locally(w, {directory});
  EXPECT_TRUE(fs::exists(directory / "archive.json"));
}

TEST_F(LocalDriver, OneStageAloneNeedsThoseBeforeIt) {
  EXPECT_THROW(run_locally(workflow(), {.run_directory = directory, .only = "train"}), Error);
  run_locally(workflow(), {.run_directory = directory, .only = "ingest"});
  run_locally(workflow(), {.run_directory = directory, .only = "train"});
  run_locally(workflow(), {.run_directory = directory, .only = "train"});
  EXPECT_THAT(ran, testing::ElementsAre("ingest", "train"));
  EXPECT_THROW(run_locally(workflow(), {.run_directory = directory, .only = "trian"}), Error);
}

TEST_F(LocalDriver, AStageIsDoneWhenAllItsSharesAre) {
  run_locally(workflow(), {.run_directory = directory, .only = "ingest"});
  run_locally(workflow(), {.run_directory = directory, .only = "train", .share = {1, 2}});
  EXPECT_THAT(finished_stages(workflow(), directory), testing::ElementsAre("ingest"));
  EXPECT_THROW(run_locally(workflow(), {.run_directory = directory, .only = "verify"}), Error);
  run_locally(workflow(), {.run_directory = directory, .only = "train", .share = {0, 2}});
  EXPECT_THAT(finished_stages(workflow(), directory), testing::ElementsAre("ingest", "train"));
  EXPECT_THAT(finished_stages(workflow("t2"), directory), testing::ElementsAre("ingest"));
  run_locally(workflow(), {.run_directory = directory, .only = "verify"});
  const auto records = nlohmann::json::parse(read_file(directory / "stages.json"));
  EXPECT_EQ(records.size(), 3U) << "the shares' record is among them";
}

TEST_F(LocalDriver, RefusesADamagedRecord) {
  write_file(directory / "stages.json", "[1, 2");
  EXPECT_THROW(run_locally(workflow(), {directory}), Error);
}

}  // namespace
}  // namespace zonda::jobs
