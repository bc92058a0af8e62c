// A distillation killed at any moment, and run again, ends with the same bytes as one that was left alone.
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <csignal>

#include "core/philox.hpp"
#include "tests/model/distillation/small_distillation.hpp"

namespace zonda {
namespace {

TEST(DistillKill, KilledAtAnyMoment) {
  const TemporaryFolder folder;
  write_waves(folder / "archive");
  const std::string teacher = train_teacher(folder / "archive", folder / ".", 5), archive = folder / "archive";
  const auto start = [&](const char* where) {
    const std::string directory = folder / where;
    const pid_t child = fork();
    if (child == 0) {
      if (!std::freopen("/dev/null", "w", stderr)) _exit(99);
      execl(ZONDA_DISTILL_ONCE, ZONDA_DISTILL_ONCE, teacher.c_str(), archive.c_str(), directory.c_str(), nullptr);
      _exit(98);
    }
    return child;
  };
  const auto end_of = [](pid_t child) {
    int status = 0;
    waitpid(child, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  };
  const auto begin = std::chrono::steady_clock::now();
  ASSERT_EQ(end_of(start("whole")), 0);
  const double whole = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  const Philox random(4, "moments");
  for (std::uint64_t i = 0; i < 4; ++i) {
    const pid_t child = start("killed");
    usleep(static_cast<useconds_t>(0.8e6 * whole * random.uniform(i)));
    kill(child, SIGKILL);
    const int code = end_of(child);
    EXPECT_TRUE(code == 0 || code == 128 + SIGKILL) << code;
  }
  ASSERT_EQ(end_of(start("killed")), 0);
  EXPECT_EQ(difference(files_of(folder / "whole"), files_of(folder / "killed")), "");
  for (const auto& entry : std::filesystem::recursive_directory_iterator(folder / "killed"))
    EXPECT_NE(entry.path().extension(), ".tmp") << entry.path();
}

}  // namespace
}  // namespace zonda
