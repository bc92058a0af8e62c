// What ranks cost: weak scaling, canonical against fast sums, how long a checkpoint holds steps up, and how long stages
// of a pipeline wait for each other. Under mpirun the ranks are processes, else threads, of which 1, 2 and 4 are tried.
// One processor thread a rank: OMP_NUM_THREADS=1.
#include <fmt/core.h>

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <memory>
#include <mutex>

#include "core/log.hpp"
#include "model/training/pipeline_schedule.hpp"
#include "parallel/mpi_session.hpp"
#include "tests/model/training/small_training.hpp"
#include "tests/model/training/turning_waves.hpp"

namespace {

using namespace zonda;
namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;

struct Setting {
  std::string mesh, reduction = "canonical";
  int batch = 2, steps = 30;
};

struct Cost {
  double step = 0;     ///< wall clock, s
  double work = 0;     ///< of a processor, s a step, the rank that has most
  double exposed = 0;  ///< share of the wall clock in which ranks wait for one another
  double stall = 0;    ///< of the longest checkpoint, s
  double idle = 1;     ///< share of its last step in which rank 0 waits
};

/// Collective over `ranks`; `folder` is the same on all.
Cost train(const Setting& setting, const parallel::Communicator& ranks, const fs::path& folder) {
  model::TrainConfig config = small_training(setting.steps);
  config.network.preset = "tiny";
  config.network.width = 128;
  config.network.heads = 4;
  config.network.blocks = 6;
  config.batch = setting.batch;
  config.micro_batch = 2;
  config.mesh = setting.mesh;
  config.reduction = setting.reduction;
  config.chunks = 4;
  config.validation.every = 0;
  config.validation.samples = 1;
  config.checkpoint.every = 10;
  const double waited = parallel::seconds_waited(), worked = parallel::processor_seconds_worked();
  const auto begin = Clock::now();
  const fs::path run = folder / "run";
  run_train(config, ranks, folder / "archive", run, false);
  const double seconds = std::chrono::duration<double>(Clock::now() - begin).count();
  Cost cost{.work = (parallel::processor_seconds_worked() - worked) / setting.steps,
            .exposed = (parallel::seconds_waited() - waited) / seconds};
  ranks.all_reduce(std::span(&cost.work, 1), parallel::Reduction::max).wait();
  ranks.all_reduce(std::span(&cost.exposed, 1), parallel::Reduction::max).wait();
  if (ranks.is_root()) {
    std::ifstream lines(run / "timing.jsonl");
    for (std::string line; std::getline(lines, line);)
      if (const auto json = nlohmann::json::parse(line); json.contains("stalled"))
        cost.stall = std::max(cost.stall, json.at("stalled").get<double>());
      else {
        cost.step = 1 / json.at("steps_per_second").get<double>();
        if (!json.contains("work_in_step")) continue;
        const double waiting = json.at("waited_in_step").get<double>(),
                     working = json.at("work_in_step").at(0).get<double>();
        cost.idle = waiting / (waiting + working);
      }
  }
  ranks.barrier();
  if (ranks.is_root()) fs::remove_all(run);
  ranks.barrier();
  return cost;
}

Cost least(const Setting& setting, const parallel::Communicator& ranks, const fs::path& folder, int repeats) {
  Cost best = train(setting, ranks, folder);
  for (int i = 1; i < repeats; ++i) {
    const Cost again = train(setting, ranks, folder);
    best.step = std::min(best.step, again.step);
    best.work = std::min(best.work, again.work);
    best.exposed = std::min(best.exposed, again.exposed);
    best.stall = std::min(best.stall, again.stall);
    best.idle = std::min(best.idle, again.idle);
  }
  return best;
}

void print_costs(const parallel::Communicator& ranks, const fs::path& folder) {
  constexpr int repeats = 3;
  const int n = ranks.size();
  const auto say = [&](const char* what, const Cost& cost) {
    if (ranks.is_root())
      std::printf("%-9d %-34s %9.1f %14.1f %12.0f %% %12.1f\n", n, what, 1e3 * cost.step, 1e3 * cost.work,
                  1e2 * cost.exposed, 1e3 * cost.stall);
  };
  const Cost data = least({.mesh = "", .batch = 2 * n}, ranks, folder, repeats);
  say("data, two samples each", data);
  if (n == 1) return;
  const Cost fast = least({.mesh = "", .reduction = "fast", .batch = 2 * n}, ranks, folder, repeats);
  say("the same, fast sums", fast);
  if (ranks.is_root()) std::printf("%-9d %-34s %9.3f\n", n, "canonical / fast, a step", data.step / fast.step);
  if (n > 4) return;
  say("slabs of two samples", least({.mesh = "spatial=" + std::to_string(n)}, ranks, folder, repeats));
  for (const int micro_batches : {2, 8}) {
    const Cost stages = least({.mesh = "pipeline=" + std::to_string(n), .batch = 2 * micro_batches, .steps = 4}, ranks,
                              folder, repeats);
    say(fmt::format("stages, {} micro-batches", micro_batches).c_str(), stages);
    if (ranks.is_root())
      std::printf(
          "%-9d %-34s %9.0f %% %12.0f %%\n", n, "idle, and as all stages work alike", 1e2 * stages.idle,
          1e2 * model::bubble_of_pipeline(static_cast<std::size_t>(n), static_cast<std::size_t>(micro_batches)));
  }
}

}  // namespace

int main(int argc, char** argv) {
  parallel::MpiSession session(argc, argv);
  const parallel::Communicator& world = session.world();
  log::set_speaking(false);
  std::string name = (fs::temp_directory_path() / ("zonda-bench-ranks-" + std::to_string(::getpid()))).string();
  name.resize(256, '\0');
  world.broadcast(std::as_writable_bytes(std::span(name)), 0).wait();
  const fs::path folder(name.c_str());
  if (world.is_root()) {
    TurningWaves waves{.grid = Grid::latlon(32, 64, false), .times = 60};
    waves.write(folder / "archive");
    std::printf("%-9s %-34s %9s %14s %14s %12s\n", "ranks", world.size() > 1 ? "processes" : "threads", "ms a step",
                "processor ms", "exposed", "stall ms");
  }
  world.barrier();
  if (world.size() > 1) {
    print_costs(world, folder);
  } else {
    for (const int ranks : {1, 2, 4})
      parallel::run_on_threads(ranks, [&](const parallel::Communicator& threads) { print_costs(threads, folder); });
  }
  world.barrier();
  if (world.is_root()) fs::remove_all(folder);
  return 0;
}
