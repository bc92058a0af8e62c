// One network pass of a bundle, for outside judges: `edge_step BUNDLE OUTPUT [THREADS [REPEATS]]` runs the golden
// sample, writes its output (f32) and prints the shortest time.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <fstream>

#include "core/error.hpp"
#include "inference/edge/runtime/regional_model.hpp"

int main(int argc, char** argv) {
  using namespace zonda;
  if (argc < 3) return 2;
  const int threads = argc > 3 ? std::atoi(argv[3]) : 0, repeats = argc > 4 ? std::atoi(argv[4]) : 1;
  try {
    const auto model = edge::RegionalModel::open(argv[1], {.threads = threads});
    const auto bundle = inference::Bundle::open(argv[1], inference::Verify::lengths);
    const auto input = bundle.numbers("golden/input"), condition = bundle.numbers("golden/condition");
    std::vector<float> output(bundle.numbers("golden/output").size());
    double shortest = 1e9;
    for (int i = 0; i < repeats; ++i) {
      const auto begin = std::chrono::steady_clock::now();
      model->pass(input, condition, output);
      const std::chrono::duration<double, std::milli> taken = std::chrono::steady_clock::now() - begin;
      shortest = std::min(shortest, taken.count());
    }
    std::ofstream(argv[2], std::ios::binary)
        .write(reinterpret_cast<const char*>(output.data()),
               static_cast<std::streamsize>(output.size() * sizeof(float)));
    std::printf("{\"milliseconds\": %.4f, \"self_test\": %.3g}\n", shortest, model->self_test().largest);
    return 0;
  } catch (const Error& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return error.exit_code();
  }
}
