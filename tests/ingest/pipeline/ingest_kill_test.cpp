// kill -9 at random moments: run again, the archive is the same bytes, and nothing temporary stays.
#include <gtest/gtest.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>

#include <chrono>
#include <thread>

#include "core/checksum.hpp"
#include "core/philox.hpp"
#include "tests/ingest/archive/scratch_folder.hpp"

extern char** environ;

namespace zonda::ingest {
namespace {

namespace fs = std::filesystem;

pid_t start(const fs::path& folder) {
  std::string program = INGEST_WORKER, argument = folder.string();
  char* arguments[] = {program.data(), argument.data(), nullptr};
  pid_t id = 0;
  EXPECT_EQ(posix_spawn(&id, program.c_str(), nullptr, nullptr, arguments, environ), 0);
  return id;
}

int finish(pid_t id) {
  int status = 0;
  EXPECT_EQ(waitpid(id, &status, 0), id);
  return status;
}

TEST(IngestKilled, GoesOnToTheSameBytes) {
  const ScratchFolder folder("ingest_killed");
  const auto begin = std::chrono::steady_clock::now();
  ASSERT_EQ(finish(start(folder.path() / "whole")), 0);
  const auto whole = std::chrono::steady_clock::now() - begin;
  const std::string expected = sha256_file(folder.path() / "whole");
  const Philox random(5, "kill moments");
  int killed = 0;
  for (std::uint64_t moment = 0; moment < 20; ++moment) {
    const fs::path place = folder.path() / std::to_string(moment);
    const pid_t id = start(place);
    std::this_thread::sleep_for(whole * random.uniform(moment));
    ::kill(id, SIGKILL);
    killed += WIFSIGNALED(finish(id)) ? 1 : 0;
    ASSERT_EQ(finish(start(place)), 0) << "moment " << moment;
    EXPECT_EQ(sha256_file(place), expected) << "moment " << moment;
    for (const auto& entry : fs::recursive_directory_iterator(place)) {
      EXPECT_FALSE(entry.path().filename().string().starts_with('.')) << entry.path();
    }
    fs::remove_all(place);
  }
  EXPECT_GT(killed, 0);
}

}  // namespace
}  // namespace zonda::ingest
