// Canonical sums against MPI's own, for floats on the ranks of mpirun: `bench_reductions [repeats]`. The least of the
// repeats, each taken as the time of the slowest rank. Above 1: the canonical one takes longer.
#include <algorithm>
#include <array>
#include <chrono>
#include <cstdio>
#include <functional>
#include <string>
#include <vector>

#include "core/error.hpp"
#include "parallel/canonical.hpp"
#include "parallel/mpi_session.hpp"
#include "parallel/partition.hpp"

using namespace zonda::parallel;

namespace {

double time_of_slowest(const Communicator& c, const std::function<void()>& body) {
  c.barrier();
  const auto begin = std::chrono::steady_clock::now();
  body();
  double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  c.all_reduce(std::span(&seconds, 1), Reduction::max).wait();
  return seconds;
}

/// The least time of each; in turn, so that whatever else the machine does disturbs all of them alike.
std::array<double, 3> least_times(const Communicator& c, int repeats,
                                  const std::array<std::function<void()>, 3>& bodies) {
  std::array<double, 3> least{1e30, 1e30, 1e30};
  for (int repeat = 0; repeat <= repeats; ++repeat)
    for (std::size_t b = 0; b < bodies.size(); ++b) {
      const double seconds = time_of_slowest(c, bodies[b]);
      if (repeat > 0) least[b] = std::min(least[b], seconds);  // the first one fills the caches
    }
  return least;
}

}  // namespace

int main(int argc, char** argv) {
  MpiSession mpi(argc, argv);
  const Communicator& c = mpi.world();
  const int repeats = argc > 1 ? std::stoi(argv[1]) : 7;
  const auto ranks = static_cast<std::size_t>(c.size()), rank = static_cast<std::size_t>(c.rank());
  try {
    if (c.is_root())
      std::printf("%-16s %8s %6s %14s %14s %14s %8s\n", "operation", "MB", "ranks", "canonical ms", "rank order ms",
                  "MPI ms", "ratio");
    for (const std::size_t megabytes : {1, 8, 64}) {
      const std::size_t n = megabytes * 1'000'000 / sizeof(float);
      std::vector<float> mine(n, 1.5F), total(n), part(partition(n, ranks, rank).size());
      const auto row = [&](const char* name, const std::function<void()>& canonical,
                           const std::function<void(Order)>& plain) {
        const auto [ordered, by_rank, fast] =
            least_times(c, repeats, {canonical, [&] { plain(Order::by_rank); }, [&] { plain(Order::any); }});
        if (c.is_root())
          std::printf("%-16s %8zu %6zu %14.2f %14.2f %14.2f %8.2f\n", name, megabytes, ranks, 1e3 * ordered,
                      1e3 * by_rank, 1e3 * fast, ordered / fast);
      };
      // One term a rank, as MPI sums them.
      row(
          "all_reduce", [&] { canonical_all_reduce(c, ranks, n, std::span<const float>(mine), std::span(total)); },
          [&](Order order) { c.all_reduce(std::span(total), Reduction::sum, order).wait(); });
      row(
          "reduce_scatter",
          [&] { canonical_reduce_scatter(c, ranks, n, std::span<const float>(mine), std::span(part)); },
          [&](Order order) { c.reduce_scatter(std::span<const float>(mine), std::span(part), order).wait(); });
    }
  } catch (const zonda::Error& error) {
    std::fprintf(stderr, "%s\n", error.what());
    mpi.abort(error.exit_code());
  }
  return 0;
}
