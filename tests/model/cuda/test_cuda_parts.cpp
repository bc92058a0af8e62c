// Each part that presets are made of, on the CUDA backend: forward and backward equal the CPU's.
#include <gtest/gtest.h>

#include <cmath>

#include "core/grid.hpp"
#include "emulated_backend.hpp"
#include "model/network/forecast_network.hpp"
#include "operation_bench.hpp"

namespace zonda::model::testing {
namespace {

using Numbers = std::vector<float>;

NetworkConfig network_with(const std::string& part) {
  NetworkConfig config;
  config.preset = "tiny";
  config.blocks = 2;
  config.width = 32;
  config.heads = 2;
  config.windows = {"2x3"};
  config.mlp_ratio = 2;
  if (part == "levels") config.embedding = "levels";
  if (part == "everything") config.global_every = 2;
  if (part == "lift") config.lift = LiftConfig{2, 2};
  if (part == "lora") config.lora = LoraConfig{4, {1.0}};
  if (part == "noise") config.noise = 4;
  return config;
}

struct Pass {
  Numbers prediction, input_gradient, gradients;
};

Pass pass(const std::string& part, const std::shared_ptr<Backend>& backend) {
  constexpr int batch = 2, inputs = 5, outputs = 3, conditions = 4, rows = 8, columns = 12;
  ForecastNetwork network(network_with(part), Grid::gaussian(rows, columns), inputs, outputs, conditions, DType::f32,
                          backend, {0, 1, 1, 0, 2});
  Operands numbers(DType::f32, backend->memory());
  const Tensor x = numbers.add({batch, inputs, rows, columns}, "x"),
               condition = numbers.add({batch, conditions}, "condition"),
               dy = numbers.add({batch, outputs, rows, columns}, "dy"),
               y = numbers.zeros({batch, outputs, rows, columns}), dx = numbers.zeros({batch, inputs, rows, columns}),
               noise = part == "noise" ? numbers.add({batch, 4}, "noise") : Tensor{};
  ParameterStore& store = network.parameters();
  store.allocate_values();
  for (const Parameter& p : store.list()) {
    const Philox random(11, p.name);
    Numbers values(static_cast<std::size_t>(p.count));
    for (std::size_t i = 0; i < values.size(); ++i)
      values[i] = static_cast<float>(double(p.initial_value) + 0.1 * random.normal(i));
    store.memory().copy_in(store.value(store.find(p.name)).data, values.data(), values.size() * sizeof(float));
  }
  store.values_changed();
  store.zero_gradients();
  network.plan(batch, Use::training);
  const std::vector<double> leads{0.25, 3};
  network.set_leads(leads);
  network.forward(x, condition, y, noise);
  network.backward(dy, dx);
  const auto fetch = [&](const Tensor& t) {
    Numbers values(static_cast<std::size_t>(t.count()));
    backend->memory().copy_out(values.data(), t.data, t.bytes());
    return values;
  };
  return {fetch(y), fetch(dx), fetch(store.gradients())};
}

/// Largest difference relative to the largest number.
double difference(const Numbers& a, const Numbers& b) {
  double error = 0, size = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    if (!std::isfinite(a[i]) || !std::isfinite(b[i])) return INFINITY;
    error = std::max(error, std::abs(double(a[i]) - double(b[i])));
    size = std::max(size, std::abs(double(b[i])));
  }
  return error / size;
}

class CudaNetworkWith : public ::testing::TestWithParam<std::string> {};
INSTANTIATE_TEST_SUITE_P(Parts, CudaNetworkWith, ::testing::Values("levels", "everything", "lift", "lora", "noise"),
                         [](const auto& each) { return each.param; });

TEST_P(CudaNetworkWith, ForwardAndBackwardEqualTheCpus) {
  const Pass cpu = pass(GetParam(), make_backend("cpu", 1)), cuda = pass(GetParam(), emulated_cuda_backend());
  EXPECT_LE(difference(cuda.prediction, cpu.prediction), 1e-5);
  EXPECT_LE(difference(cuda.input_gradient, cpu.input_gradient), 1e-5);
  EXPECT_LE(difference(cuda.gradients, cpu.gradients), 1e-5);
}

}  // namespace
}  // namespace zonda::model::testing
