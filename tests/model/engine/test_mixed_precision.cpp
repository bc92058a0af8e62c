// The network with a bf16 trunk against the same network in f64.
#include <gtest/gtest.h>

#include <cmath>

#include "model/ops/optimiser.hpp"
#include "network_sample.hpp"

namespace zonda::model::testing {
namespace {

NetworkConfig in_bf16() {
  NetworkConfig config = smallest_network();
  config.precision = "bf16";
  return config;
}

double relative_error(const Tensor& a, const Tensor& b) {
  double difference = 0, size = 0;
  for (std::int64_t i = 0; i < a.count(); ++i) {
    difference += std::pow(get(a, i) - get(b, i), 2);
    size += std::pow(get(b, i), 2);
  }
  return std::sqrt(difference / size);
}

TEST(MixedPrecision, StaysNearTheExactNetwork) {
  const Grid grid = Grid::gaussian(16, 24);
  Sample exact(smallest_network(), grid, 2, DType::f64, Use::training),
      mixed(in_bf16(), grid, 2, DType::f32, Use::training);
  for (Sample* s : {&exact, &mixed}) {
    randomise(s->network.parameters());
    s->network.forward(s->x, s->condition, s->y);
    s->network.backward(s->w, s->dx);
  }
  // bf16 keeps 8 bits: a relative error of 2^-9 for each rounding; but it is not the f32 network either.
  EXPECT_LT(relative_error(mixed.y, exact.y), 1e-2);
  EXPECT_GT(relative_error(mixed.y, exact.y), 1e-6);
  EXPECT_LT(relative_error(mixed.dx, exact.dx), 2e-2);
  EXPECT_LT(relative_error(mixed.network.parameters().gradients(), exact.network.parameters().gradients()), 2e-2);
}

TEST(MixedPrecision, TakesLessMemory) {
  NetworkConfig config;
  const Grid grid = Grid::gaussian(48, 96);
  const ForecastNetwork full(config, grid, 40, 16, 7);
  config.precision = "bf16";
  const ForecastNetwork mixed(config, grid, 40, 16, 7);
  EXPECT_LT(double(mixed.memory(2, Use::training).activations),
            0.65 * double(full.memory(2, Use::training).activations));
  EXPECT_EQ(mixed.memory(2, Use::training).copies, mixed.memory(2, Use::training).parameters / 2);
  EXPECT_EQ(full.memory(2, Use::training).copies, 0u);
}

TEST(MixedPrecision, ReadsTheWeightsOfTheLastUpdate) {
  Sample s(in_bf16(), Grid::gaussian(16, 24), 2, DType::f32, Use::training);
  randomise(s.network.parameters());
  s.network.parameters().allocate_optimiser(true);
  s.network.forward(s.x, s.condition, s.y);
  s.network.backward(s.w, {});
  const std::vector<float> before(s.y.span<float>().begin(), s.y.span<float>().end());
  adamw_step(s.network.parameters(), {.learning_rate = 0.1}, 1);
  s.network.forward(s.x, s.condition, s.y);
  EXPECT_NE(std::memcmp(before.data(), s.y.data, s.y.bytes()), 0);
  s.network.parameters().swap_average();  // the average holds the weights from before the update
  s.network.forward(s.x, s.condition, s.y);
  EXPECT_EQ(std::memcmp(before.data(), s.y.data, s.y.bytes()), 0);
}

TEST(MixedPrecision, LeavesTheTangentModelExact) {
  const Grid grid = Grid::gaussian(16, 24);
  Sample full(smallest_network(), grid, 2, DType::f32, Use::tangent),
      mixed(in_bf16(), grid, 2, DType::f32, Use::tangent);
  for (Sample* s : {&full, &mixed}) {
    randomise(s->network.parameters());
    s->network.forward(s->x, s->condition, s->y);
    s->network.backward(s->w, s->dx, false);
  }
  EXPECT_EQ(std::memcmp(full.dx.data, mixed.dx.data, full.dx.bytes()), 0);
}

}  // namespace
}  // namespace zonda::model::testing
