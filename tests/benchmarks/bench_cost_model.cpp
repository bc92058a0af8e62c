// The cost model beside the trainer. What a system file needs is measured on this machine: the rate of training on one
// rank, and messages between two; then steps of training on all ranks are predicted from it and taken. Under mpirun the
// ranks are processes, else threads, of which 1, 2, 4 and 8 are tried. With `--system` the file alone is printed.
// OMP_NUM_THREADS=1.
#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <string_view>
#include <thread>

#include "core/log.hpp"
#include "ingest/archive/archive_reader.hpp"
#include "model/training/archive_layout.hpp"
#include "model/training/cost_model.hpp"
#include "parallel/counting.hpp"
#include "parallel/mpi_session.hpp"
#include "tests/model/training/small_training.hpp"
#include "tests/model/training/turning_waves.hpp"

namespace {

using namespace zonda;
namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point begin) {
  return std::chrono::duration<double>(Clock::now() - begin).count();
}

struct Setting {
  std::string mesh;
  int batch = 2, zero = 1;
};

model::TrainConfig training(const Setting& setting, int steps) {
  model::TrainConfig config = small_training(steps);
  config.network.preset = "tiny";
  config.network.width = 128;
  config.network.heads = 4;
  config.network.blocks = 6;
  config.batch = setting.batch;
  config.micro_batch = 2;
  config.mesh = setting.mesh;
  config.zero = setting.zero;
  config.chunks = 8;
  config.memory = 1e12;  // nothing is computed again
  config.validation.every = 0;
  config.validation.samples = 1;
  config.checkpoint.every = 1'000'000;
  return config;
}

model::StepCost predicted(const Setting& setting, int ranks, const fs::path& folder, const model::System& system) {
  const model::TrainConfig config = training(setting, 1);
  return model::cost_of_step(config.network,
                             model::layout_of_training(config, ingest::ArchiveReader(folder / "archive")),
                             {.mesh = parallel::parse_mesh(setting.mesh, ranks),
                              .batch = setting.batch,
                              .micro_batch = config.micro_batch,
                              .zero = setting.zero,
                              .chunks = config.chunks},
                             system);
}

double kilobytes(std::string_view key) {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);)
    if (line.starts_with(key)) return std::stod(line.substr(key.size() + 1));
  return 0;
}

struct Taken {
  double wall = 0, work = 0;  ///< seconds a step; work: of a processor, of the rank with most
  double bytes = 0, messages = 0;
  double memory = 0;  ///< bytes that the process grew by, of the rank with most
};

/// One run; what a step takes is the difference of two.
Taken run(const Setting& setting, int steps, const parallel::Communicator& ranks, const fs::path& folder) {
  const auto traffic = std::make_shared<parallel::Traffic>();
  const double memory = kilobytes("VmRSS"), worked = parallel::processor_seconds_worked();
  std::ofstream("/proc/self/clear_refs") << 5;  // the peak begins anew
  const auto begin = Clock::now();
  run_train(training(setting, steps), parallel::counted(ranks, traffic), folder / "archive", folder / "run", false);
  std::array<double, 5> most{seconds_since(begin), parallel::processor_seconds_worked() - worked,
                             static_cast<double>(traffic->bytes()), static_cast<double>(traffic->messages()),
                             1e3 * (kilobytes("VmHWM") - memory)};
  ranks.all_reduce(std::span(most), parallel::Reduction::max).wait();
  if (ranks.is_root()) fs::remove_all(folder / "run");
  ranks.barrier();
  return {most[0], most[1], most[2], most[3], most[4]};
}

Taken taken(const Setting& setting, const parallel::Communicator& ranks, const fs::path& folder) {
  constexpr int few = 2, many = 10, repeats = 2;
  Taken best{.wall = 1e9, .work = 1e9};
  for (int i = 0; i < repeats; ++i) {
    const Taken a = run(setting, few, ranks, folder), b = run(setting, many, ranks, folder);
    const double n = many - few;
    best.wall = std::min(best.wall, (b.wall - a.wall) / n);
    best.work = std::min(best.work, (b.work - a.work) / n);
    best.bytes = (b.bytes - a.bytes) / n;
    best.messages = (b.messages - a.messages) / n;
    best.memory = std::max(best.memory, i == 0 ? a.memory : 0);
  }
  return best;
}

/// Between the first two ranks: half of there and back, the least of many.
double message_seconds(const parallel::Communicator& ranks, std::size_t bytes) {
  double least = 1e9;
  std::vector<std::byte> data(bytes);
  for (int i = 0; i < 50; ++i) {
    const auto begin = Clock::now();
    for (const int sender : {0, 1}) {
      if (ranks.rank() == sender) ranks.send(data, 1 - sender, 1).wait();
      if (ranks.rank() == 1 - sender) ranks.receive(data, sender, 1).wait();
    }
    least = std::min(least, seconds_since(begin) / 2);
  }
  return least;
}

model::System measured_system(const parallel::Communicator& world, const fs::path& folder) {
  model::System system;
  system.name = "this machine";
  system.source = "bench_cost_model";
  const auto cores = static_cast<int>(std::thread::hardware_concurrency());
  system.ranks_per_node = std::max(cores, world.size());
  system.memory = static_cast<double>(::sysconf(_SC_PHYS_PAGES)) * static_cast<double>(::sysconf(_SC_PAGE_SIZE)) /
                  system.ranks_per_node;
  const parallel::Communicator alone = world.split(world.rank(), 0);
  double rate = 0;
  if (world.is_root()) {
    model::System unit;
    unit.fp32 = unit.bf16 = 1;
    rate = predicted({}, 1, folder, unit).flops / taken({}, alone, folder).work;
  }
  world.broadcast(std::as_writable_bytes(std::span(&rate, 1)), 0).wait();
  system.fp32 = system.bf16 = rate;
  std::array<double, 2> link{0, 1};
  const auto measure = [&](const parallel::Communicator& ranks) {
    constexpr std::size_t large = std::size_t{4} << 20;
    const double latency = message_seconds(ranks, 8), longer = message_seconds(ranks, large);
    if (ranks.is_root()) link = {latency, longer > latency ? static_cast<double>(large) / (longer - latency) : 1e12};
  };
  if (world.size() > 1) {
    measure(world);
    world.broadcast(std::as_writable_bytes(std::span(link)), 0).wait();
  } else {
    parallel::run_on_threads(2, measure);
  }
  system.within_node = system.between_nodes = {link[1], link[0]};
  return system;
}

void print_system(const model::System& s) {
  std::printf("name: %s\nsource: %s\nranks_per_node: %d\nmemory: %.3g\nbf16: %.3g\nfp32: %.3g\n", s.name.c_str(),
              s.source.c_str(), s.ranks_per_node, s.memory, s.bf16, s.fp32);
  for (const char* which : {"within_node", "between_nodes"})
    std::printf("%s: {bandwidth: %.3g, latency: %.3g}\n", which, s.within_node.bandwidth, s.within_node.latency);
}

void compare(const parallel::Communicator& ranks, const fs::path& folder, const model::System& system) {
  const int n = ranks.size();
  std::vector<Setting> settings{{"", 2 * n}};
  if (n > 1) settings.push_back({"spatial=" + std::to_string(n), 2});
  if (n > 1) settings.push_back({"", 2 * n, 3});
  if (n > 2) settings.push_back({"data=" + std::to_string(n / 2) + ",spatial=2", n});
  for (const Setting& setting : settings) {
    const model::StepCost cost = predicted(setting, n, folder, system);
    const Taken step = taken(setting, ranks, folder);
    if (!ranks.is_root()) continue;
    const double crowd = std::max(1.0, static_cast<double>(n) / std::thread::hardware_concurrency());
    double bytes = 0, messages = 0;
    for (const model::Exchange& exchange : cost.exchanges) {
      bytes += static_cast<double>(exchange.bytes);
      messages += static_cast<double>(exchange.messages);
    }
    std::printf("%5d %-20s %4d | %8.1f %8.1f | %8.1f %8.1f | %8.3f %8.3f | %6.0f %6.0f | %7.1f %7.1f\n", n,
                setting.mesh.empty() ? "data" : setting.mesh.c_str(), setting.zero, 1e3 * cost.compute_seconds,
                1e3 * step.work, 1e3 * crowd * cost.seconds(), 1e3 * step.wall, 1e-6 * bytes, 1e-6 * step.bytes,
                messages, step.messages, 1e-6 * static_cast<double>(cost.memory_bytes()), 1e-6 * step.memory);
    std::fflush(stdout);
  }
}

}  // namespace

int main(int argc, char** argv) {
  parallel::MpiSession session(argc, argv);
  const parallel::Communicator& world = session.world();
  const bool system_alone = argc > 1 && std::string_view(argv[1]) == "--system";
  log::set_speaking(false);
  std::string name = (fs::temp_directory_path() / ("zonda-bench-cost-" + std::to_string(::getpid()))).string();
  name.resize(256, '\0');
  world.broadcast(std::as_writable_bytes(std::span(name)), 0).wait();
  const fs::path folder(name.c_str());
  if (world.is_root()) TurningWaves{.grid = Grid::latlon(32, 64, false), .times = 60}.write(folder / "archive");
  world.barrier();
  const model::System system = measured_system(world, folder);
  if (world.is_root()) print_system(system);
  if (!system_alone) {
    if (world.is_root())
      std::printf(
          "\npredicted, then measured: work of a rank (processor ms), a step (ms), MB and messages a rank sends, MB"
          " it holds\n%5s %-20s %4s | %17s | %17s | %17s | %13s | %15s\n",
          "ranks", world.size() > 1 ? "mesh (processes)" : "mesh (threads)", "zero", "work", "step", "MB sent",
          "messages", "MB held");
    if (world.size() > 1)
      compare(world, folder, system);
    else
      for (const int ranks : {1, 2, 4, 8})
        parallel::run_on_threads(ranks, [&](const parallel::Communicator& c) { compare(c, folder, system); });
  }
  world.barrier();
  if (world.is_root()) fs::remove_all(folder);
  return 0;
}
