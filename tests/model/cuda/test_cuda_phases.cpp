// The training step of each phase on the CUDA backend: the preset `test` gives the CPU's losses and gradients, and the
// same bits whether its passes are recorded or not.
#include <gtest/gtest.h>

#include <cmath>

#include "cuda_runtime.h"
#include "emulated_backend.hpp"
#include "ingest/archive/archive_reader.hpp"
#include "model/forecast_state/layout_network.hpp"
#include "model/ops/cuda/device_query.hpp"
#include "model/ops/optimiser.hpp"
#include "model/training/archive_layout.hpp"
#include "model/training/training_step.hpp"
#include "parallel/communicator.hpp"
#include "tests/model/training/small_training.hpp"
#include "tests/model/training/turning_waves.hpp"

namespace zonda::model::testing {
namespace {

struct Phase {
  std::string name;
  Unrolling unrolling;
  int members = 1;
  bool adapters = false;
};

NetworkConfig network_of(const Phase& phase, const std::string& precision) {
  NetworkConfig config;
  config.preset = "test";
  config.blocks = 2;  // one of each kind
  config.precision = precision;
  if (phase.adapters) config.lora = LoraConfig{.rank = 2, .edges = {0.3}};
  if (phase.members > 1) config.noise = 4;
  return config;
}

struct Trace {
  std::vector<double> losses;
  std::vector<float> gradient, values;  // of the first step, after the last
  std::int64_t graphs = 0;              // launched
  bool operator==(const Trace&) const = default;
};

Trace train(const Phase& phase, const std::shared_ptr<Backend>& backend, const std::string& precision, int steps) {
  const TemporaryFolder folder;
  TurningWaves{.times = 20}.write(folder / "archive");
  const ingest::ArchiveReader archive(folder / "archive");
  const TrainConfig config = small_training();
  const ForecastLayout layout =
      layout_of_archive(archive, {Duration(6 * 3600), Duration(12 * 3600)}, config.forcings, Target::tendency);
  const ForecastStep forecast_step(layout);
  ForecastNetwork network = network_of_layout(network_of(phase, precision), layout, backend);
  network.initialise(3);
  ParameterStore& store = network.parameters();
  std::vector<float> values(static_cast<std::size_t>(store.extent()));
  store.memory().copy_out(values.data(), store.values().data, store.values().bytes());
  const Philox random(5, "weights");  // away from the start, where the last layers are zero
  for (const Parameter& p : store.list())
    for (std::int64_t i = p.offset; i < p.offset + p.count; ++i)
      values[static_cast<std::size_t>(i)] += static_cast<float>(0.05 * random.normal(static_cast<std::uint64_t>(i)));
  store.memory().copy_in(store.values().data, values.data(), store.values().bytes());
  store.values_changed();
  store.allocate_optimiser(false);
  network.set_adapters(phase.adapters);
  if (phase.adapters) network.freeze_base();

  StepOptions options;
  options.members = phase.members;
  options.channel_weights = {1, 0.5};
  options.augmentation.roll_longitude = true;
  const parallel::Communicator self = parallel::Communicator::self();
  TrainingStep training(network, forecast_step, self, options, 2, 1, phase.unrolling);
  FieldCache cache(archive, layout, 1 << 30);
  Batch batch;
  batch.count = phase.unrolling.count;
  const std::int64_t launched = emulator::graphs_launched();
  Trace trace;
  for (int step = 1; step <= steps; ++step) {
    batch.examples = {{static_cast<std::size_t>(3 + step), Duration(6 * 3600)},
                      {static_cast<std::size_t>(9 - step), Duration(step % 2 ? 12 * 3600 : 6 * 3600)}};
    load_batch(archive, layout, cache, batch);
    StepVariant variant;
    if (!phase.unrolling.through) variant.lead_steps = step % 2;
    trace.losses.push_back(
        training.gradient(batch, static_cast<std::uint64_t>(2 * step), archive.times(), step, variant));
    if (step == 1) {
      trace.gradient.resize(values.size());
      store.memory().copy_out(trace.gradient.data(), store.gradients().data, store.gradients().bytes());
    }
    adamw_step(store, {.learning_rate = 1e-4}, step, 0, -1, backend.get());
  }
  trace.graphs = emulator::graphs_launched() - launched;
  store.memory().copy_out(values.data(), store.values().data, store.values().bytes());
  trace.values = values;
  return trace;
}

/// Largest difference relative to the largest number.
double difference(const std::vector<float>& a, const std::vector<float>& b) {
  double error = 0, size = 1e-30;
  for (std::size_t i = 0; i < a.size(); ++i) {
    if (!std::isfinite(a[i]) || !std::isfinite(b[i])) return INFINITY;
    error = std::max(error, std::abs(double(a[i]) - double(b[i])));
    size = std::max(size, std::abs(double(b[i])));
  }
  return error / size;
}

void expect_near(const Trace& found, const Trace& expected) {
  for (std::size_t i = 0; i < expected.losses.size(); ++i)
    EXPECT_NEAR(found.losses[i], expected.losses[i], 1e-5 * std::abs(expected.losses[i])) << "step " << i + 1;
  EXPECT_LE(difference(found.gradient, expected.gradient), 1e-5);
}

class CudaPhase : public ::testing::TestWithParam<Phase> {};
INSTANTIATE_TEST_SUITE_P(All, CudaPhase,
                         ::testing::Values(Phase{"single", {}}, Phase{"rollout", {.count = 2, .falling = true}},
                                           Phase{"adapters", {.count = 2, .through = false}, 1, true},
                                           Phase{"crps", {}, 2}),
                         [](const auto& each) { return each.param.name; });

TEST_P(CudaPhase, EqualsTheCpu) {
  const Trace cpu = train(GetParam(), make_backend("cpu", 1), "fp32", 2);
  expect_near(train(GetParam(), emulated_cuda_backend(), "fp32", 2), cpu);
  if (!cuda_devices().empty()) expect_near(train(GetParam(), make_backend("cuda"), "fp32", 2), cpu);
}

TEST_P(CudaPhase, HasTheSameBitsRecorded) {
  const Trace recorded = train(GetParam(), emulated_cuda_backend(), "bf16", 3);
  emulator::refuse_captures(true);
  Trace as_it_is = train(GetParam(), emulated_cuda_backend(), "bf16", 3);
  emulator::refuse_captures(false);
  EXPECT_GT(recorded.graphs, 0);
  EXPECT_EQ(as_it_is.graphs, 0);
  as_it_is.graphs = recorded.graphs;
  EXPECT_EQ(recorded, as_it_is);
}

}  // namespace
}  // namespace zonda::model::testing
