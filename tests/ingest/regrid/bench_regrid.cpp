// Speed of regridding: weights, and fields per second, 0.25 degree to 1 degree.
#include <benchmark/benchmark.h>

#include <vector>

#include "core/philox.hpp"
#include "ingest/regrid/regridder.hpp"

namespace {

using namespace zonda;
using ingest::Regridder;
using ingest::RegridMethod;

const Grid& quarter_degree() {
  static const Grid grid = Grid::latlon(721, 1440, true);
  return grid;
}

const Grid& one_degree() {
  static const Grid grid = Grid::latlon(181, 360, true);
  return grid;
}

std::vector<float> noise(std::size_t n) {
  const Philox random(1, "bench");
  std::vector<float> values(n);
  for (std::size_t k = 0; k < n; ++k) values[k] = static_cast<float>(random.uniform(k));
  return values;
}

void weights(benchmark::State& state) {
  for (auto _ : state) {
    benchmark::DoNotOptimize(Regridder(quarter_degree(), one_degree(), static_cast<RegridMethod>(state.range(0))));
  }
}

/// Fields as they come, one after the other, out of cache.
void fields(benchmark::State& state) {
  const Regridder regridder(quarter_degree(), one_degree(), static_cast<RegridMethod>(state.range(0)));
  const std::size_t count = 10;
  const std::vector<float> in = noise(count * quarter_degree().size());
  std::vector<float> out(count * one_degree().size());
  for (auto _ : state) {
    regridder.apply(in, out, static_cast<int>(state.range(1)));
    benchmark::ClobberMemory();
  }
  state.SetItemsProcessed(state.iterations() * static_cast<std::int64_t>(count));
  state.SetBytesProcessed(state.iterations() * static_cast<std::int64_t>(in.size() * sizeof(float)));
}

void wind(benchmark::State& state) {
  const Regridder regridder(quarter_degree(), one_degree(), static_cast<RegridMethod>(state.range(0)));
  const std::vector<float> u = noise(quarter_degree().size());
  std::vector<float> u_out(one_degree().size()), v_out(one_degree().size());
  for (auto _ : state) {
    regridder.apply_wind(u, u, u_out, v_out);
    benchmark::ClobberMemory();
  }
  state.SetItemsProcessed(state.iterations());
}

constexpr auto bilinear = static_cast<int>(RegridMethod::bilinear);
constexpr auto conservative = static_cast<int>(RegridMethod::conservative);
constexpr auto conservative2 = static_cast<int>(RegridMethod::conservative2);

BENCHMARK(weights)->Arg(bilinear)->Arg(conservative)->Arg(conservative2)->Unit(benchmark::kMicrosecond);
BENCHMARK(fields)
    ->ArgsProduct({{bilinear, conservative, conservative2}, {1, 2}})
    ->ArgNames({"method", "threads"})
    ->UseRealTime()
    ->Unit(benchmark::kMillisecond);
BENCHMARK(wind)->Arg(bilinear)->Arg(conservative)->Unit(benchmark::kMillisecond);

}  // namespace
