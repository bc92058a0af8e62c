// Files that appear whole or not at all, the status of a run, its provenance, and orderly stops.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "core/atomic_file.hpp"
#include "core/error.hpp"
#include "core/log.hpp"
#include "core/progress.hpp"
#include "core/provenance.hpp"
#include "core/signals.hpp"
#include "core/time.hpp"

namespace zonda {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

class Files : public testing::Test {
 protected:
  void SetUp() override {
    fs::remove_all(folder);
    fs::create_directories(folder);
  }
  void TearDown() override {
    set_status_file({});
    log::set_file({});
    fs::remove_all(folder);
  }
  std::vector<std::string> names() const {
    std::vector<std::string> found;
    for (const auto& entry : fs::directory_iterator(folder)) found.push_back(entry.path().filename());
    return found;
  }
  const fs::path folder =
      fs::path(testing::TempDir()) / ("zonda_files_" + std::to_string(::getpid()) + "_" +
                                      testing::UnitTest::GetInstance()->current_test_info()->name());
};

TEST_F(Files, appear_whole) {
  write_file(folder / "a.txt", "first");
  EXPECT_EQ(read_file(folder / "a.txt"), "first");
  write_file(folder / "a.txt", "second");
  EXPECT_EQ(read_file(folder / "a.txt"), "second");
  EXPECT_THAT(names(), testing::ElementsAre("a.txt"));
  write_file(folder / "new" / "deep" / "b", std::string(3, '\0'));
  EXPECT_EQ(fs::file_size(folder / "new" / "deep" / "b"), 3U);
}

TEST_F(Files, that_are_not_committed_leave_nothing) {
  write_file(folder / "a.txt", "first");
  try {
    AtomicFile file(folder / "a.txt");
    std::ofstream(file.temporary()) << "half";
    fail(ErrorKind::failure, "something went wrong");
  } catch (const Error&) {
  }
  EXPECT_EQ(read_file(folder / "a.txt"), "first");
  EXPECT_THAT(names(), testing::ElementsAre("a.txt"));
}

TEST_F(Files, of_a_killed_process_do_not_stay) {
  const fs::path target = folder / "a.txt";
  const pid_t child = ::fork();
  if (child == 0) {
    AtomicFile file(target);
    std::ofstream(file.temporary()) << "half";
    ::kill(::getpid(), SIGKILL);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  ASSERT_TRUE(WIFSIGNALED(status));
  EXPECT_FALSE(fs::exists(target));
  write_file(target, "whole");  // the next run
  EXPECT_EQ(read_file(target), "whole");
  EXPECT_THAT(names(), testing::ElementsAre("a.txt"));
}

TEST_F(Files, that_cannot_be_written_or_read_say_so) {
  write_file(folder / "file", "x");
  try {
    write_file(folder / "file" / "below", "x");
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::failure);
    EXPECT_THAT(error.what(), HasSubstr("file"));
  }
  for (const fs::path& path : {folder / "none", folder}) {
    try {
      read_file(path);
      FAIL() << path;
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::data);
      EXPECT_THAT(error.what(), HasSubstr(path.string()));
    }
  }
  fs::create_directories(folder / "busy" / "x");
  EXPECT_THROW(write_file(folder / "busy", "x"), Error);
}

TEST_F(Files, status_is_json_with_fixed_keys) {
  set_status_file(folder / "status.json");
  write_status("train", "running", 3, 10, "loss \"0.5\"");
  const auto status = nlohmann::json::parse(read_file(folder / "status.json"));
  EXPECT_EQ(status["stage"], "train");
  EXPECT_EQ(status["state"], "running");
  EXPECT_EQ(status["step"], 3);
  EXPECT_EQ(status["of"], 10);
  EXPECT_EQ(status["message"], "loss \"0.5\"");
  EXPECT_NO_THROW(parse_time(status["updated"].get<std::string>()));
  EXPECT_EQ(status.size(), 6U);
  set_status_file({});
  fs::remove(folder / "status.json");
  write_status("train", "running", 4, 10, "");
  EXPECT_FALSE(fs::exists(folder / "status.json"));
}

TEST_F(Files, progress_writes_status_and_log) {
  set_status_file(folder / "status.json");
  log::set_file(folder / "run.log");
  {
    Progress progress("ingest", 20, "day", 5);
    progress.update(6, "first");
    progress.update(7);
    progress.finish("all good");
    progress.finish("twice");
  }
  const auto status = nlohmann::json::parse(read_file(folder / "status.json"));
  EXPECT_EQ(status["stage"], "ingest");
  EXPECT_EQ(status["step"], 20);
  EXPECT_EQ(status["message"], "all good");
  log::set_speaking(false);
  {
    Progress silent("silent", 3);
    silent.finish();
  }
  log::info("not said");
  log::set_speaking(true);
  log::warning("said {}", 7);
  log::set_file({});
  const std::string text = read_file(folder / "run.log");
  EXPECT_THAT(text, HasSubstr("said 7"));
  EXPECT_THAT(text, testing::Not(HasSubstr("not said")));
  EXPECT_THAT(text, testing::Not(HasSubstr("silent")));
  EXPECT_EQ(nlohmann::json::parse(read_file(folder / "status.json"))["stage"], "ingest");
}

TEST_F(Files, progress_of_nothing_is_harmless) {
  Progress progress("none", 0);
  progress.update(0);
  progress.finish();
  SUCCEED();
}

TEST(Provenance, tells_who_and_what) {
  EXPECT_THAT(code_version(), testing::StartsWith("0."));
  EXPECT_FALSE(build_description().empty());
  ::setenv("SOURCE_DATE_EPOCH", "86400", 1);
  EXPECT_EQ(history_line("forecast"), "1970-01-02T00:00:00Z zonda " + code_version() + " forecast");
  ::unsetenv("SOURCE_DATE_EPOCH");
  ::setenv("SLURM_JOB_ID", "17", 1);
  const nlohmann::json record = provenance_record(4);
  ::unsetenv("SLURM_JOB_ID");
  EXPECT_EQ(record["ranks"], 4);
  EXPECT_EQ(record["version"], code_version());
  EXPECT_THAT(record["slurm"].dump(), HasSubstr("17"));
  EXPECT_GT(peak_resident_bytes(), std::size_t{1} << 20);
}

TEST(Signals, ask_for_a_stop_and_a_second_one_ends) {
  request_stop(0);
  EXPECT_FALSE(stop_requested());
  request_stop(SIGTERM);
  EXPECT_EQ(stop_requested(), SIGTERM);
  request_stop(0);
  const pid_t child = ::fork();
  if (child == 0) {
    catch_stop_signals();
    ::raise(SIGUSR1);
    if (stop_requested() != SIGUSR1) ::_exit(1);
    ::raise(SIGUSR1);
    ::_exit(2);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  ASSERT_TRUE(WIFEXITED(status));
  EXPECT_EQ(WEXITSTATUS(status), 128 + SIGUSR1);
}

}  // namespace
}  // namespace zonda
