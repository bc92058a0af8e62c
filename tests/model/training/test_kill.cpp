// A training run killed at any moment, and run again, ends with the same bytes as one that was left alone.
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>

#include "core/error.hpp"
#include "core/philox.hpp"
#include "model/training/checkpoint.hpp"
#include "tests/model/training/small_training.hpp"
#include "tests/model/training/turning_waves.hpp"

namespace zonda {
namespace {

namespace fs = std::filesystem;

struct KillTest : testing::Test {
  TemporaryFolder folder;
  void SetUp() override { TurningWaves{.times = 60}.write(folder / "archive"); }

  /// `largest`: bytes that no file may grow beyond, as if the disk were full then; 0: none.
  pid_t start(const std::string& where, rlim_t largest = 0) const {
    const std::string archive = folder / "archive", directory = folder / where;
    const pid_t child = fork();
    if (child == 0) {
      if (const rlimit limit{largest, largest}; largest > 0 && setrlimit(RLIMIT_FSIZE, &limit) != 0) _exit(97);
      std::signal(SIGXFSZ, SIG_IGN);
      if (!std::freopen("/dev/null", "w", stderr)) _exit(99);
      execl(ZONDA_TRAIN_ONCE, ZONDA_TRAIN_ONCE, archive.c_str(), directory.c_str(), nullptr);
      _exit(98);
    }
    return child;
  }
  static int wait_for(pid_t child) {
    int status = 0;
    waitpid(child, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  }
  /// Kills the run `kills` times at moments drawn from its duration, then lets it end.
  void compare(int signal, int kills, std::uint64_t seed) {
    const auto begin = std::chrono::steady_clock::now();
    ASSERT_EQ(wait_for(start("whole")), 0);
    const double whole = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
    const Philox random(seed, "moments");
    int killed = 0;
    for (int i = 0; i < kills || (killed == 0 && i < 20); ++i) {
      const pid_t child = start("killed");
      usleep(static_cast<useconds_t>(0.8e6 * whole * random.uniform(static_cast<std::uint64_t>(i))));
      kill(child, signal);
      const int code = wait_for(child);
      killed += code == 0 ? 0 : 1;
      // 0: it had ended already; else the signal itself, or the orderly stop with its code.
      EXPECT_TRUE(code == 0 || code == 128 + signal) << code;
      if (killed == 0) fs::remove_all(folder / "killed");  // it ended before the signal came: once more
    }
    EXPECT_GT(killed, 0);
    ASSERT_EQ(wait_for(start("killed")), 0);
    auto a = files_of(folder / "whole"), b = files_of(folder / "killed");
    if (signal !=
        SIGKILL) {  // an orderly stop writes a checkpoint of its own, which may have taken another one's place
      const auto older = [](const auto& file) {
        return file.first.starts_with("step-") && !file.first.starts_with("step-36");
      };
      std::erase_if(a, older);
      std::erase_if(b, older);
    }
    EXPECT_EQ(difference(a, b), "");
    for (const auto& entry : fs::recursive_directory_iterator(folder / "killed"))
      EXPECT_NE(entry.path().extension(), ".tmp") << entry.path();
  }
  static int count(int usual) {
    const char* text = std::getenv("ZONDA_KILLS");
    return text ? std::atoi(text) : usual;
  }
};

TEST_F(KillTest, KilledAtAnyMoment) {
  compare(SIGKILL, count(4), 1);
}
TEST_F(KillTest, StoppedByTerm) {
  compare(SIGTERM, count(2), 2);
}
TEST_F(KillTest, StoppedByUser1) {
  compare(SIGUSR1, count(2), 3);
}

TEST_F(KillTest, AFullDiskLeavesTheLastGoodCheckpoint) {
  ASSERT_EQ(wait_for(start("whole")), 0);
  int code = 0;
  for (int i = 0; i < 20 && code == 0; ++i) {
    fs::remove_all(folder / "full");
    const pid_t child = start("full");
    while (model::list_checkpoints(folder / "full").empty()) usleep(1000);
    kill(child, SIGTERM);
    code = wait_for(child);
  }
  ASSERT_EQ(code, 128 + SIGTERM);
  const std::vector<std::int64_t> before = model::list_checkpoints(folder / "full");
  const std::string latest = read_file(folder / "full" / "LATEST");
  // A checkpoint has several hundred kB, metrics and event files have less. All but the last may fail.
  EXPECT_EQ(wait_for(start("full", 50'000)), static_cast<int>(ErrorKind::failure));
  EXPECT_EQ(model::list_checkpoints(folder / "full"), before);
  EXPECT_EQ(read_file(folder / "full" / "LATEST"), latest);
  EXPECT_FALSE(fs::exists(folder / "full" / "model"));
  for (const auto& entry : fs::recursive_directory_iterator(folder / "full"))
    EXPECT_NE(entry.path().extension(), ".tmp") << entry.path();
  ASSERT_EQ(wait_for(start("full")), 0);
  EXPECT_EQ(read_file(folder / "full" / "metrics.jsonl"), read_file(folder / "whole" / "metrics.jsonl"));
  EXPECT_EQ(read_file(folder / "full" / "model" / "rank-0.bin"), read_file(folder / "whole" / "model" / "rank-0.bin"));
}

}  // namespace
}  // namespace zonda
