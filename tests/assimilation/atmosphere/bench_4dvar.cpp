// 4D-Var through the network of the `test` preset (128 wide, 6 blocks) in fp32 on 32x64 points with 19 channels:
// --benchmark_filter=analysis/hours:6. The rate counts analyses a minute. One thread a core.
#include <benchmark/benchmark.h>

#include <chrono>

#include "assimilation/atmosphere/increment_taper.hpp"
#include "assimilation/covariance/diagonal_covariance.hpp"
#include "assimilation/observations/selected_components.hpp"
#include "assimilation/variational/incremental.hpp"
#include "small_network.hpp"

namespace zonda::assimilation {
namespace {

model::ForecastLayout nineteen_channels() {
  model::ForecastLayout layout = small_layout(Grid::latlon(32, 64, false));
  layout.channels.clear();
  layout.normalisation = {};
  const auto add = [&](const char* variable, int hpa, double mean, double deviation) {
    layout.channels.push_back({variable, hpa});
    layout.normalisation.mean.push_back(mean);
    layout.normalisation.stddev.push_back(deviation);
  };
  for (const int hpa : {850, 700, 500, 250}) {
    add("z", hpa, 54000, 2000);
    add("t", hpa, 260, 12);
    add("u", hpa, 5, 9);
    add("v", hpa, 0, 8);
  }
  add("q", 850, 6e-3, 3e-3);
  add("2t", 0, 285, 14);
  add("msl", 0, 101000, 1000);
  for (const Duration step : layout.steps)
    for (const double deviation : layout.normalisation.stddev)
      layout.normalisation.tendency_stddev[step].push_back(0.3 * deviation);
  return layout;
}

/// Two outer loops of ten inner iterations; 3000 observations at each time slot.
void analysis(benchmark::State& bench) {
  const model::ForecastLayout layout = nineteen_channels();
  model::NetworkConfig config;
  config.preset = "test";
  const AtmosphereModel network =
      network_model(layout, maker(layout, config, model::DType::f32, 0.03), "bench", parse_time("2001-06-01"));
  const Vector units = deviations(network, layout), truth = network_state(network, layout);
  Vector background = truth, spread = units;
  scale(0.3, spread);
  const Vector error = random_vector(units.size(), 1);
  for (std::size_t i = 0; i < error.size(); ++i) background[i] += spread[i] * error[i];
  std::vector<TimeSlot> slots;
  Vector state = truth;
  const auto steps = static_cast<std::size_t>(bench.range(0) / 6);
  for (std::size_t n = 0; n <= steps; ++n) {
    if (n > 0) network.model->step(n - 1, state);
    std::vector<std::size_t> observed;
    for (std::size_t i = network.layout.slot_size; i < units.size(); i += network.layout.slot_size / 3000)
      observed.push_back(i);
    Observations o;
    o.values.resize(observed.size());
    for (const std::size_t i : observed) o.errors.push_back(0.1 * units[i]);
    o.instrument = std::make_shared<SelectedComponents>(units.size(), std::move(observed));
    o.instrument->apply(state, o.values);
    slots.push_back({n, std::move(o)});
  }
  const TaperedCovariance covariance(std::make_shared<DiagonalCovariance>(spread),
                                     std::make_shared<IncrementTaper>(network.layout, 16, 24));
  const Window window(network.model, slots);
  IncrementalSettings settings;
  settings.outer_iterations = 2;
  settings.inner.iterations = 10;
  VariationalAnalysis result;
  const auto begin = std::chrono::steady_clock::now();
  for (auto _ : bench) result = incremental_variational(window, background, covariance, settings);
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  bench.counters["analyses_a_minute"] = 60.0 * static_cast<double>(bench.iterations()) / seconds;
  bench.counters["cost_before"] = result.costs.front();
  bench.counters["cost_after"] = result.costs.back();
}
BENCHMARK(analysis)->Arg(6)->Arg(12)->ArgName("hours")->Unit(benchmark::kMillisecond)->UseRealTime();

}  // namespace
}  // namespace zonda::assimilation
