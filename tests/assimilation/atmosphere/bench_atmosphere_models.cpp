// One step of 6 h of each model of the atmosphere, on one thread.
#include <benchmark/benchmark.h>

#include "assimilation/atmosphere/dynamical_core.hpp"

namespace zonda::assimilation {
namespace {

void core_step(benchmark::State& bench) {
  model::SimulateConfig config;
  config.truncation = int(bench.range(0));
  config.levels = int(bench.range(1));
  config.moisture = bench.range(2) != 0;
  config.spinup_days = 5;
  const Duration step = std::chrono::hours(6);
  const AtmosphereModel core = make_dynamical_core(config, config.start, step);
  const Vector initial = initial_core_state(config, config.start, step);
  for (auto _ : bench) {
    Vector state = initial;
    core.model->step(0, state);
    benchmark::DoNotOptimize(state.data());
  }
}
BENCHMARK(core_step)
    ->Args({21, 8, 0})
    ->Args({30, 8, 0})
    ->Args({30, 8, 1})
    ->ArgNames({"T", "L", "moist"})
    ->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace zonda::assimilation
