// What a bundle costs to start, to switch and to keep: `edge_figures BUNDLE [SIBLING...]` prints JSON. Times are the
// shortest of some repeats; memory is the resident set of this process beyond what it was before the first model.
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <fstream>
#include <nlohmann/json.hpp>

#include "core/error.hpp"
#include "inference/edge/runtime/regional_model.hpp"

namespace {

using namespace zonda;
constexpr int repeats = 7;

template <class Work>
double shortest_milliseconds(Work&& work) {
  double shortest = 1e300;
  for (int i = 0; i < repeats; ++i) {
    const auto begin = std::chrono::steady_clock::now();
    work();
    const std::chrono::duration<double, std::milli> taken = std::chrono::steady_clock::now() - begin;
    shortest = std::min(shortest, taken.count());
  }
  return shortest;
}

double resident_bytes() {
  double pages = 0, resident = 0;
  std::ifstream("/proc/self/statm") >> pages >> resident;
  return resident * static_cast<double>(::sysconf(_SC_PAGESIZE));
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2) return 2;
  try {
    nlohmann::ordered_json figures;
    const double before = resident_bytes();
    {
      const auto begin = std::chrono::steady_clock::now();
      const auto model = edge::RegionalModel::open(argv[1]);
      model->self_test();
      const std::chrono::duration<double, std::milli> taken = std::chrono::steady_clock::now() - begin;
      figures["start_to_first_pass_ms"] = taken.count();
      figures["weight_bytes"] = model->weight_bytes();
      figures["activation_bytes"] = model->activation_bytes();
      figures["resident_bytes"] = resident_bytes() - before;
    }
    figures["cold_load_ms"] = shortest_milliseconds([&] { edge::RegionalModel::open(argv[1]); });
    const auto first = edge::RegionalModel::open(argv[1]);
    first->self_test();
    figures["pass_ms"] = shortest_milliseconds([&] { first->self_test(); });
    const double one = resident_bytes();
    std::vector<std::shared_ptr<edge::RegionalModel>> siblings;
    for (int i = 2; i < argc; ++i) {
      figures["switch_ms"].push_back(shortest_milliseconds([&] { first->sibling(argv[i]); }));
      siblings.push_back(first->sibling(argv[i]));
      siblings.back()->self_test();
      figures["bytes_mapped_anew"].push_back(siblings.back()->bytes_mapped_anew());
    }
    figures["resident_bytes_of_siblings"] = resident_bytes() - one;
    std::printf("%s\n", figures.dump(2).c_str());
    return 0;
  } catch (const Error& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return error.exit_code();
  }
}
