// A job under watchdogs whose last rank goes wrong, for tests under mpirun: `faulty_ranks
// skip|hang|die|die-first|none`.
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <string_view>
#include <thread>
#include <vector>

#include "core/error.hpp"
#include "core/signals.hpp"
#include "parallel/faults/watched_world.hpp"
#include "parallel/mpi_session.hpp"

using namespace zonda::parallel;

int main(int argc, char** argv) {
  MpiSession mpi(argc, argv);
  zonda::catch_stop_signals();
  const std::string_view fault = argc > 1 ? argv[1] : "none";
  try {
    const WatchedWorld watched(mpi.world(), collective_timeout());
    const Communicator& world = watched.world();
    const bool faulty = world.rank() == (fault == "die-first" ? 0 : world.size() - 1);
    std::vector<double> values(100'000, 1);
    for (int step = 0; step < 3; ++step) world.all_reduce(std::span(values), Reduction::sum).wait();
    std::vector<std::byte> mine(8), all(8 * static_cast<std::size_t>(world.size()));
    if (faulty && fault == "hang") std::this_thread::sleep_for(std::chrono::hours(1));
    if (faulty && fault.starts_with("die")) {
      std::this_thread::sleep_for(std::chrono::milliseconds(300));
      kill(getpid(), SIGKILL);
    }
    if (!faulty || fault != "skip") world.all_gather(mine, all).wait();
    world.barrier();
    if (world.is_root()) std::puts("all steps done");
  } catch (const zonda::Error& error) {
    std::fprintf(stderr, "%s\n", error.what());
    mpi.abort(error.exit_code());
  }
  return 0;
}
