// Activation recomputation: the same bits for less memory.
#include <gtest/gtest.h>

#include <cstring>

#include "network_sample.hpp"

namespace zonda::model::testing {
namespace {

std::vector<float> step(const RecomputePolicy& policy, std::size_t* bytes = nullptr) {
  NetworkConfig config = smallest_network();
  Sample s(config, Grid::gaussian(16, 24), 2, DType::f32, Use::training);
  randomise(s.network.parameters());
  s.network.set_recompute(policy);
  const std::size_t planned = s.network.plan(2, Use::training);
  if (bytes) *bytes = planned;
  s.network.forward(s.x, s.condition, s.y);
  s.network.backward(s.w, s.dx);
  const Tensor g = s.network.parameters().gradients();
  std::vector<float> result(g.span<float>().begin(), g.span<float>().end());
  result.insert(result.end(), s.dx.span<float>().begin(), s.dx.span<float>().end());
  result.insert(result.end(), s.y.span<float>().begin(), s.y.span<float>().end());
  return result;
}

TEST(Recompute, ChangesNoBit) {
  std::size_t all = 0, mlps = 0, blocks = 0;
  const std::vector<float> kept = step({0, 0}, &all);
  for (const RecomputePolicy policy : {RecomputePolicy{0, 4}, RecomputePolicy{4, 0}, RecomputePolicy{1, 2}}) {
    const std::vector<float> again = step(policy);
    EXPECT_EQ(std::memcmp(kept.data(), again.data(), kept.size() * sizeof(float)), 0) << policy.to_string();
  }
  step({0, 4}, &mlps);
  step({4, 0}, &blocks);
  EXPECT_LT(mlps, all);
  EXPECT_LT(blocks, mlps);
}

TEST(Recompute, TakesTheCheapestPolicyThatFits) {
  const ForecastNetwork network(smallest_network(), Grid::gaussian(16, 24), 5, 3, 4);
  const auto needs = [&](const RecomputePolicy& policy) {
    return network.memory_with(policy, 2, Use::training).total();
  };
  const std::size_t everything = needs({0, 0});
  EXPECT_EQ(network.recompute_within(everything, 2), (RecomputePolicy{0, 0}));
  EXPECT_EQ(network.recompute_within(everything - 1, 2), (RecomputePolicy{0, 1}));
  EXPECT_EQ(network.recompute_within(needs({4, 0}), 2), (RecomputePolicy{4, 0}));
  EXPECT_EQ(network.recompute_within(needs({4, 0}) - 1, 2), std::nullopt);
}

TEST(Recompute, FollowsTheConfiguration) {
  NetworkConfig config = smallest_network();
  config.recompute = "mlp";
  const ForecastNetwork network(config, Grid::gaussian(16, 24), 5, 3, 4);
  EXPECT_EQ(network.recompute(), (RecomputePolicy{0, 4}));
  EXPECT_EQ(network.recompute().to_string(), "the MLPs of 4 blocks");
}

}  // namespace
}  // namespace zonda::model::testing
