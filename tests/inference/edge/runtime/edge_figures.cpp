// What a bundle costs to start, to switch and to keep: `edge_figures BUNDLE [SIBLING...]` prints JSON. Times are the
// shortest of some repeats; memory is what this process holds beyond what it held before the first model: pages of the
// mapped weights, heap and activations, and pages of code that were read in since.
#include <malloc.h>

#include <algorithm>
#include <cctype>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>

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

/// Resident bytes of this process by what they are (smaps).
struct Resident {
  double weights = 0, bundle = 0, heap = 0, code = 0;
  double all() const { return weights + bundle + heap + code; }
};

Resident resident() {
  ::malloc_trim(0);  // as a station does after it has opened a model
  Resident found;
  double* part = &found.heap;
  std::ifstream maps("/proc/self/smaps");
  for (std::string line; std::getline(maps, line);) {
    if (line.starts_with("Rss:")) *part += 1024 * std::strtod(line.c_str() + 4, nullptr);
    if (line.find('-') == std::string::npos || line.find(':') == std::string::npos || std::isupper(line.front()))
      continue;
    const std::size_t at = line.find('/');
    if (at == std::string::npos)
      part = &found.heap;
    else if (line.ends_with("/weights.bin"))
      part = &found.weights;
    else if (line.ends_with(".bin"))
      part = &found.bundle;
    else
      part = &found.code;
  }
  return found;
}

nlohmann::ordered_json difference(const Resident& now, const Resident& before) {
  return {{"weights_mapped", now.weights - before.weights},
          {"other_files_of_bundles", now.bundle - before.bundle},
          {"heap_and_activations", now.heap - before.heap},
          {"program_and_libraries", now.code - before.code},
          {"all", now.all() - before.all()}};
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2) return 2;
  try {
    nlohmann::ordered_json figures;
    const Resident before = resident();
    {
      const auto begin = std::chrono::steady_clock::now();
      const auto model = edge::RegionalModel::open(argv[1]);
      model->self_test();
      const std::chrono::duration<double, std::milli> taken = std::chrono::steady_clock::now() - begin;
      figures["start_to_first_pass_ms"] = taken.count();
      figures["weight_bytes"] = model->weight_bytes();
      figures["activation_bytes"] = model->activation_bytes();
      const Resident now = resident();
      figures["resident_bytes"] = difference(now, before);
      figures["resident_of_the_model_over_weights_and_activations"] =
          (now.all() - now.code - (before.all() - before.code)) /
          static_cast<double>(model->weight_bytes() + model->activation_bytes());
      figures["program_before_bytes"] = before.all();
    }
    figures["cold_load_ms"] = shortest_milliseconds([&] { edge::RegionalModel::open(argv[1]); });
    const auto first = edge::RegionalModel::open(argv[1]);
    first->self_test();
    figures["pass_ms"] = shortest_milliseconds([&] { first->self_test(); });
    const Resident one = resident();
    std::vector<std::shared_ptr<edge::RegionalModel>> siblings;
    for (int i = 2; i < argc; ++i) {
      // As a station does: the manifest is read, and what is new verified, when the files have arrived.
      figures["prepare_ms"].push_back(shortest_milliseconds([&] { first->prepare(argv[i]); }));
      const inference::Bundle bundle = first->prepare(argv[i]);
      figures["switch_ms"].push_back(shortest_milliseconds([&] { first->sibling(bundle); }));
      figures["sibling_of_a_folder_ms"].push_back(shortest_milliseconds([&] { first->sibling(argv[i]); }));
      siblings.push_back(first->sibling(argv[i]));
      siblings.back()->self_test();
      figures["bytes_mapped_anew"].push_back(siblings.back()->bytes_mapped_anew());
    }
    figures["resident_bytes_of_siblings"] = difference(resident(), one);
    std::printf("%s\n", figures.dump(2).c_str());
    return 0;
  } catch (const Error& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return error.exit_code();
  }
}
