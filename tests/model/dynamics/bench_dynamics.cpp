// One simulated day: time steps alone, one thread (--benchmark_filter=Day/30/8 is the quickstart's atmosphere).
#include <benchmark/benchmark.h>

#include "model/dynamics/initial_state.hpp"
#include "model/dynamics/mountains.hpp"
#include "model/dynamics/primitive_equations.hpp"

namespace zonda::model {
namespace {

void day(benchmark::State& state, bool moist) {
  CoreParameters parameters;
  parameters.truncation = int(state.range(0));
  parameters.levels = SigmaLevels(int(state.range(1)));
  parameters.time_step = double(state.range(2));
  parameters.threads = 1;
  parameters.forcing = HeldSuarez{};
  parameters.moist = moist;
  const SphericalTransform transform(parameters.truncation);
  const std::vector<Mountain> mountains{{45, 255, 2000, 15, 10}, {33, 85, 3000, 12, 18}};
  const auto ground = mountain_geopotential(transform, mountains);
  PrimitiveEquations atmosphere(parameters, ground);
  SpectralState initial = rest_state(transform, parameters.levels, ground, moist);
  add_noise(transform.index(), parameters.levels.count(), 1, 1, 0, initial);
  atmosphere.start(std::move(initial), parse_time("2000-01-01"));
  const int steps = int(86400 / parameters.time_step);
  for (int i = 0; i < 2 * steps; ++i) atmosphere.step();
  for (auto _ : state)
    for (int i = 0; i < steps; ++i) atmosphere.step();
}

void dry_day(benchmark::State& state) {
  day(state, false);
}
void moist_day(benchmark::State& state) {
  day(state, true);
}

BENCHMARK(dry_day)
    ->Name("Day")
    ->Args({21, 8, 2160})
    ->Args({30, 8, 1800})
    ->Args({42, 8, 1200})
    ->Args({42, 20, 1200})
    ->Args({85, 20, 600})
    ->Unit(benchmark::kMillisecond);
BENCHMARK(moist_day)->Name("MoistDay")->Args({30, 8, 1800})->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace zonda::model
