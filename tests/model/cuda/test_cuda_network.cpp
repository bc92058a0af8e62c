// The whole network on the CUDA backend: a training step equals the CPU's, a recorded step its first run.
#include <gtest/gtest.h>

#include <cmath>

#include "core/error.hpp"
#include "core/grid.hpp"
#include "emulated_backend.hpp"
#include "model/network/forecast_network.hpp"
#include "model/ops/cuda/device_query.hpp"
#include "operation_bench.hpp"

namespace zonda::model::testing {
namespace {

using Numbers = std::vector<float>;

Numbers fetch(const Tensor& t, Memory& memory) {
  Numbers numbers(static_cast<std::size_t>(t.count()));
  memory.copy_out(numbers.data(), t.data, t.bytes());
  return numbers;
}

/// Largest difference relative to the largest number.
double difference(const Numbers& a, const Numbers& b) {
  double error = 0, size = 1e-30;
  for (std::size_t i = 0; i < a.size(); ++i) {
    if (std::isnan(a[i]) || std::isnan(b[i])) return INFINITY;
    error = std::max(error, std::abs(double(a[i]) - double(b[i])));
    size = std::max(size, std::abs(double(b[i])));
  }
  return error / size;
}

NetworkConfig tiny(const std::string& precision, int width, int heads) {
  NetworkConfig config;
  config.preset = "tiny";
  config.width = width;
  config.heads = heads;
  config.window_rows = 2;
  config.window_columns = 3;
  config.mlp_ratio = 2;
  config.precision = precision;
  return config;
}

struct Step {
  double loss = 0, norm = 0;
  Numbers prediction, gradients, input_gradient, parameters, average;
  bool operator==(const Step&) const = default;
};

/// Network, optimiser and one batch in the backend's memory.
class Training {
 public:
  Training(const NetworkConfig& config, const std::shared_ptr<Backend>& backend)
      : backend_(*backend),
        grid_(Grid::gaussian(8, 12)),
        network_(config, grid_, inputs, outputs, conditions, DType::f32, backend),
        numbers_(DType::f32, backend->memory()),
        x_(numbers_.add({batch, inputs, 8, 12}, "x")),
        condition_(numbers_.add({batch, conditions}, "condition")),
        target_(numbers_.add({batch, outputs, 8, 12}, "target")),
        y_(numbers_.zeros({batch, outputs, 8, 12})),
        dy_(numbers_.zeros({batch, outputs, 8, 12})),
        dx_(numbers_.zeros({batch, inputs, 8, 12})) {
    ParameterStore& store = network_.parameters();
    store.allocate_values();
    for (const Parameter& p : store.list()) {  // away from the start: gates open, the head not zero
      const Philox random(11, p.name);
      Numbers values(static_cast<std::size_t>(p.count));
      for (std::size_t i = 0; i < values.size(); ++i)
        values[i] = static_cast<float>(double(p.initial_value) + 0.1 * random.normal(i));
      store.memory().copy_in(store.value(store.find(p.name)).data, values.data(), values.size() * sizeof(float));
    }
    store.values_changed();
    store.allocate_gradients();
    store.allocate_optimiser(true);
    network_.plan(batch, Use::training);
  }

  void forward() { network_.forward(x_, condition_, y_); }
  void backward() { network_.backward(dy_, dx_); }
  double loss() {
    Arena none(backend_.memory());
    Context ctx(backend_, none, DType::f32);
    return backend_.loss(ctx, {LossKind::squared, grid_.row_weights(), channel_weight_, sample_weight_}, y_, target_,
                         dy_, 1);
  }
  Step step() {
    ParameterStore& store = network_.parameters();
    store.zero_gradients();
    forward();
    Step s;
    s.loss = loss();
    backward();
    s.norm = gradient_norm(store, &backend_);
    s.gradients = fetch(store.gradients(), store.memory());
    scale_gradients(store, 0.5, &backend_);
    adamw_step(store, {}, 1, 0, -1, &backend_);
    average_update(store, 0.9, &backend_);
    s.prediction = fetch(y_, store.memory());
    s.input_gradient = fetch(dx_, store.memory());
    s.parameters = fetch(store.values(), store.memory());
    s.average = fetch(store.average(), store.memory());
    return s;
  }
  Numbers prediction() { return fetch(y_, backend_.memory()); }

 private:
  static constexpr int batch = 2, inputs = 5, outputs = 3, conditions = 4;
  Backend& backend_;
  Grid grid_;
  ForecastNetwork network_;
  Operands numbers_;
  Tensor x_, condition_, target_, y_, dy_, dx_;
  std::vector<float> channel_weight_{1, 0.5, 2}, sample_weight_{1, 0.7f};
};

void expect_near(const Step& found, const Step& expected, double tolerance) {
  EXPECT_NEAR(found.loss, expected.loss, tolerance * expected.loss);
  EXPECT_NEAR(found.norm, expected.norm, tolerance * expected.norm);
  EXPECT_LE(difference(found.prediction, expected.prediction), tolerance);
  EXPECT_LE(difference(found.gradients, expected.gradients), tolerance);
  EXPECT_LE(difference(found.input_gradient, expected.input_gradient), tolerance);
}

TEST(CudaNetwork, ATrainingStepEqualsTheCpus) {
  const NetworkConfig config = tiny("fp32", 32, 2);
  const Step cpu = Training(config, make_backend("cpu", 1)).step(),
             cuda = Training(config, emulated_cuda_backend()).step();
  expect_near(cuda, cpu, 1e-5);
  // Where a gradient is nearly zero AdamW's first step turns on its sign: a step is at most the learning rate.
  EXPECT_LE(difference(cuda.parameters, cpu.parameters), 1e-3);
  EXPECT_LE(difference(cuda.average, cpu.average), 1e-4);
}

TEST(CudaNetwork, ATrainingStepInMixedPrecisionEqualsTheCpusToItsRounding) {
  const NetworkConfig config = tiny("bf16", 64, 1);  // head size 64: tensor cores
  const Step exact = Training(tiny("fp32", 64, 1), make_backend("cpu", 1)).step(),
             cpu = Training(config, make_backend("cpu", 1)).step(),
             cuda = Training(config, emulated_cuda_backend()).step();
  EXPECT_LE(difference(cuda.prediction, exact.prediction), 1.5 * difference(cpu.prediction, exact.prediction) + 1e-3);
  EXPECT_LE(difference(cuda.gradients, exact.gradients), 1.5 * difference(cpu.gradients, exact.gradients) + 1e-3);
  EXPECT_LE(difference(cuda.input_gradient, exact.input_gradient),
            1.5 * difference(cpu.input_gradient, exact.input_gradient) + 1e-3);
  EXPECT_NEAR(cuda.loss, cpu.loss, 1e-2 * cpu.loss);
}

TEST(CudaNetwork, ARecordedStepRepeatsItsNumbers) {
  const auto backend = emulated_cuda_backend();
  Training training(tiny("bf16", 64, 1), backend);
  training.forward();
  const Numbers expected = training.prediction();
  int runs = 0;
  for (int i = 0; i < 4; ++i) {
    backend->repeat(7, [&] {
      ++runs;
      training.forward();
    });
    EXPECT_EQ(training.prediction(), expected) << "run " << i;
  }
  EXPECT_EQ(runs, 2);  // once as it is, once recorded
}

TEST(CudaNetwork, AStepThatCannotBeRecordedRunsAsItIs) {
  const auto backend = emulated_cuda_backend();
  Operands operands(DType::f32, backend->memory());
  const Tensor x = operands.zeros({100});
  Arena none(backend->memory());
  Context ctx(*backend, none, DType::f32);
  const std::uint64_t key = Backend::new_key();
  for (int i = 1; i <= 4; ++i) {
    backend->repeat(key, [&] {
      ctx->fill(ctx, x, i);
      const Buffer within(64, backend->memory());  // CUDA refuses this while it records
    });
    EXPECT_EQ(fetch(x, backend->memory())[7], static_cast<float>(i));
  }
}

TEST(CudaNetwork, AForgottenStepIsRecordedAgain) {
  const auto backend = emulated_cuda_backend();
  Operands operands(DType::f32, backend->memory());
  const Tensor x = operands.zeros({100});
  Arena none(backend->memory());
  Context ctx(*backend, none, DType::f32);
  const std::uint64_t key = Backend::new_key();
  int runs = 0;
  const auto repeat = [&](double value) {
    backend->repeat(key, [&] {
      ++runs;
      ctx->fill(ctx, x, value);
    });
    return fetch(x, backend->memory())[0];
  };
  EXPECT_EQ(repeat(1), 1);
  EXPECT_EQ(repeat(1), 1);
  EXPECT_EQ(repeat(2), 1);  // recorded: the key's numbers are the same each time
  backend->forget(key);
  EXPECT_EQ(repeat(2), 2);
  EXPECT_EQ(runs, 3);
}

TEST(CudaNetwork, AFailureWhileRecordingLeavesTheBackendWhole) {
  const auto backend = emulated_cuda_backend();
  Training training(tiny("fp32", 32, 2), backend);
  training.forward();
  const Numbers expected = training.prediction();
  backend->repeat(1, [&] { training.forward(); });
  EXPECT_THROW(backend->repeat(1, [] { fail(ErrorKind::numerical, "on purpose"); }), Error);
  training.forward();
  EXPECT_EQ(training.prediction(), expected);
}

TEST(CudaNetwork, ATrainingStepOnADeviceEqualsTheCpus) {
  if (cuda_devices().empty()) GTEST_SKIP() << "no CUDA device";
  const NetworkConfig config = tiny("fp32", 64, 1);
  const Step cpu = Training(config, make_backend("cpu", 1)).step(),
             cuda = Training(config, make_backend("cuda")).step();
  expect_near(cuda, cpu, 1e-5);
  EXPECT_EQ(cuda, Training(config, make_backend("cuda")).step());
}

}  // namespace
}  // namespace zonda::model::testing
