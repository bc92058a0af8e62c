// One training step (forward, loss, backward, AdamW) of a forecast network. Arguments: threads.
#include <benchmark/benchmark.h>

#include <array>
#include <vector>

#include "core/grid.hpp"
#include "core/philox.hpp"
#include "model/network/forecast_network.hpp"
#include "model/ops/backend.hpp"
#include "model/ops/loss.hpp"
#include "model/ops/optimiser.hpp"

namespace {

using namespace zonda;
using namespace zonda::model;

constexpr int kChannels = 16, kConditions = 6;

std::vector<float> noise(std::size_t n, const char* purpose) {
  const Philox random(1, purpose);
  std::vector<float> values(n);
  for (std::size_t i = 0; i < n; ++i) values[i] = static_cast<float>(random.normal(i));
  return values;
}

struct Step {
  Step(const NetworkConfig& config, int batch, int threads, Use use)
      : grid(Grid::gaussian(48, 96)),
        network(config, grid, kInputs, kChannels, kConditions, DType::f32, make_backend("cpu", threads)),
        x_values(noise(static_cast<std::size_t>(batch) * kInputs * grid.size(), "x")),
        condition_values(noise(static_cast<std::size_t>(batch) * kConditions, "condition")),
        target_values(noise(static_cast<std::size_t>(batch) * kChannels * grid.size(), "target")),
        y_values(target_values.size()),
        weights(kChannels, 1.0f),
        x(Tensor::of(x_values, {batch, kInputs, 48, 96})),
        condition(Tensor::of(condition_values, {batch, kConditions})),
        target(Tensor::of(target_values, {batch, kChannels, 48, 96})),
        y(Tensor::of(y_values, {batch, kChannels, 48, 96})) {
    network.initialise(1);
    network.plan(batch, use);
    if (use == Use::training) network.parameters().allocate_optimiser(false);
  }
  void run() {
    network.parameters().zero_gradients();
    network.forward(x, condition, y);
    weighted_loss(LossKind::squared, y, target, grid.row_weights(), weights, {}, y);
    network.backward(y, {});
    adamw_step(network.parameters(), {}, ++steps);
  }
  static constexpr int kInputs = 40;  // two states, static fields, forcings
  Grid grid;
  ForecastNetwork network;
  std::vector<float> x_values, condition_values, target_values, y_values, weights;
  Tensor x, condition, target, y;
  std::int64_t steps = 0;
};

/// The `test` preset (1.4 M parameters) on 48x96, batch 8.
void train_test_preset(benchmark::State& state) {
  Step step({}, 8, static_cast<int>(state.range(0)), Use::training);
  step.run();
  for (auto _ : state) step.run();
  const double work = 3 * 8 * step.network.flops_per_sample();
  state.counters["GFLOP/s"] = benchmark::Counter(work * 1e-9 * double(state.iterations()), benchmark::Counter::kIsRate);
  state.counters["parameters"] = double(step.network.parameter_count());
}
BENCHMARK(train_test_preset)->Arg(1)->Arg(2)->Unit(benchmark::kMillisecond)->UseRealTime();

void forward_test_preset(benchmark::State& state) {
  Step step({}, 1, static_cast<int>(state.range(0)), Use::inference);
  for (auto _ : state) step.network.forward(step.x, step.condition, step.y);
  state.counters["GFLOP/s"] = benchmark::Counter(step.network.flops_per_sample() * 1e-9 * double(state.iterations()),
                                                 benchmark::Counter::kIsRate);
}
BENCHMARK(forward_test_preset)->Arg(1)->Arg(2)->Unit(benchmark::kMillisecond)->UseRealTime();

}  // namespace
