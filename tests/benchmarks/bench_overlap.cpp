// What of a step's exchanges work hides. Of each exchange of some kilobytes is measured what work its rank does, in
// time of the processor, between beginning it and waiting for it; if exchanges took a given time, the rest of that
// would be in sight. Neither other ranks nor other programs disturb it. Exchanges of the communication stream are
// beside the rank's work and not counted. Ranks are threads.
//   bench_overlap [REPEATS]
// One processor thread a rank: OMP_NUM_THREADS=1.
#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <thread>

#include "core/log.hpp"
#include "parallel/forwarding_transport.hpp"
#include "tests/model/training/small_training.hpp"
#include "tests/model/training/turning_waves.hpp"

namespace {

using namespace zonda;
namespace fs = std::filesystem;

constexpr std::array<double, 4> durations{0.5e-3, 1e-3, 2e-3, 4e-3};  // of an exchange, s

/// Of one rank's own thread, for each duration.
struct Sight {
  std::thread::id rank = std::this_thread::get_id();
  double exchanges = 0;
  std::array<double, durations.size()> waited{};  ///< s
  bool sees_this() const { return std::this_thread::get_id() == rank; }
  /// On the clocks of ranks that would have waited.
  std::array<double, durations.size()> now() const {
    std::array<double, durations.size()> clocks = waited;
    for (double& clock : clocks) clock += parallel::processor_seconds_worked();
    return clocks;
  }
};

/// Small exchanges (norms, losses, flags) are left as they are.
class WatchedTransport : public parallel::ForwardingTransport {
 public:
  WatchedTransport(std::shared_ptr<parallel::Transport> inner, std::shared_ptr<Sight> sight)
      : ForwardingTransport(std::move(inner)), sight_(std::move(sight)) {}
  std::shared_ptr<parallel::Transport> split(int color, int key) override {
    return std::make_shared<WatchedTransport>(inner()->split(color, key), sight_);
  }
  parallel::Event observe(const parallel::Operation& operation,
                          const std::function<parallel::Event()>& start) override {
    constexpr std::uint64_t small = 4096;
    if (operation.bytes < small || std::string_view(operation.name) == "send" || !sight_->sees_this())
      return inner()->observe(operation, start);
    ++sight_->exchanges;
    const auto began = sight_->now();
    return parallel::Event(
        [event = inner()->observe(operation, start), began, sight = sight_, seen = false](bool block) mutable {
          if (!block) return false;  // over when somebody waits for it
          const auto now = sight->now();
          for (std::size_t i = 0; i < durations.size() && !seen; ++i)
            sight->waited[i] += std::max(0.0, began[i] + durations[i] - now[i]);
          seen = true;
          return event.poll(true);
        });
  }

 private:
  std::shared_ptr<Sight> sight_;
};

struct Setting {
  int ranks;
  std::string mesh;
  int batch, micro_batch, zero;
};

/// Of the rank that waits most; the last is the exchanges' number.
using Steps = std::array<double, durations.size() + 1>;

Steps run(const Setting& setting, int steps, const fs::path& folder) {
  model::TrainConfig config = small_training(steps);
  config.network.preset = "tiny";
  config.network.width = 128;
  config.network.heads = 4;
  config.network.blocks = 4;
  config.batch = setting.batch;
  config.micro_batch = setting.micro_batch;
  config.mesh = setting.mesh;
  config.zero = setting.zero;
  config.chunks = 4;
  config.memory = 1e12;  // nothing is computed again
  config.validation.every = 0;
  config.validation.samples = 1;
  config.checkpoint.every = 1'000'000;
  Steps taken;
  parallel::run_on_threads(setting.ranks, [&](const parallel::Communicator& threads) {
    const auto sight = std::make_shared<Sight>();
    const parallel::Communicator world(std::make_shared<WatchedTransport>(threads.transport(), sight));
    run_train(config, world, folder / "archive", folder / "run", false);
    Steps most{};
    std::copy(sight->waited.begin(), sight->waited.end(), most.begin());
    most.back() = sight->exchanges;
    threads.all_reduce(std::span(most), parallel::Reduction::max).wait();
    if (threads.is_root()) taken = most;
  });
  fs::remove_all(folder / "run");
  return taken;
}

/// Of one step: the difference of two runs.
Steps step_of(const Setting& setting, const fs::path& folder) {
  constexpr int few = 1, many = 4;
  const Steps a = run(setting, few, folder), b = run(setting, many, folder);
  Steps step{};
  for (std::size_t i = 0; i < step.size(); ++i) step[i] = (b[i] - a[i]) / (many - few);
  return step;
}

}  // namespace

int main(int argc, char** argv) {
  const int repeats = argc > 1 ? std::atoi(argv[1]) : 3;
  log::set_speaking(false);
  const fs::path folder = fs::temp_directory_path() / ("zonda-bench-overlap-" + std::to_string(::getpid()));
  TurningWaves{.grid = Grid::latlon(32, 64, false), .times = 60}.write(folder / "archive");
  std::printf("%-5s %-12s %4s %8s %10s   %s\n", "ranks", "mesh", "zero", "samples", "exchanges",
              "of exchanges of so many ms, in sight");
  for (const Setting& setting : {Setting{2, "spatial=2", 2, 2, 1},
                                 {2, "spatial=2", 1, 1, 1},
                                 {4, "spatial=4", 2, 2, 1},
                                 {2, "", 2, 1, 1},
                                 {4, "", 4, 1, 1},
                                 {2, "", 2, 1, 3},
                                 {2, "pipeline=2", 4, 1, 1}}) {
    Steps least = step_of(setting, folder);
    for (int i = 1; i < repeats; ++i) {
      const Steps again = step_of(setting, folder);
      for (std::size_t k = 0; k < least.size(); ++k) least[k] = std::min(least[k], again[k]);
    }
    std::printf("%-5d %-12s %4d %8d %10.0f  ", setting.ranks, setting.mesh.empty() ? "data" : setting.mesh.c_str(),
                setting.zero, setting.micro_batch, least.back());
    for (std::size_t i = 0; i < durations.size(); ++i)
      std::printf(" %4.1f: %4.1f ms, %3.0f %% ", 1e3 * durations[i], 1e3 * least[i],
                  1e2 * least[i] / (durations[i] * least.back()));
    std::printf("\n");
    std::fflush(stdout);
  }
  fs::remove_all(folder);
  return 0;
}
