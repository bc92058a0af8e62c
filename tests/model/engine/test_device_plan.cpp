#include "model/network/device_plan.hpp"

#include <gtest/gtest.h>

#include "core/error.hpp"
#include "network_sample.hpp"

namespace zonda::model::testing {
namespace {

TEST(DevicePlan, SharesAllButOneUnit) {
  const ForecastNetwork network(smallest_network(), Grid::gaussian(16, 24), 5, 3, 4);
  const DevicePlan roomy = plan_devices(network, "none", 2, std::size_t{1} << 34);
  EXPECT_EQ(roomy.devices, 1);
  EXPECT_EQ(roomy.memory.total(), network.memory_with({0, 0}, 2, Use::training).total());
  EXPECT_EQ(roomy.fields, std::size_t{2} * (5 + 2 * 3) * 16 * 24 * sizeof(float));
  EXPECT_EQ(roomy.divided, roomy.memory.total() + roomy.fields);
  // The largest unit in f32: twice its values, once its gradient.
  std::size_t block = 0;
  for (const Parameter& p : network.parameters().list())
    if (p.name.starts_with("block0.")) block += static_cast<std::size_t>(p.count);
  EXPECT_EQ(roomy.whole, 3 * sizeof(float) * block);

  // The fewest devices: that many hold it, one less does not.
  const std::size_t device = roomy.divided / 5;
  const DevicePlan tight = plan_devices(network, "none", 2, device);
  ASSERT_TRUE(tight.devices);
  const auto room = static_cast<std::size_t>(device_share * static_cast<double>(device));
  EXPECT_LE(tight.per_device(*tight.devices), room + 1);
  EXPECT_GT(tight.per_device(*tight.devices - 1), room);
  EXPECT_FALSE(plan_devices(network, "none", 2, roomy.whole).devices);
}

TEST(DevicePlan, RecomputingSavesActivationsAlone) {
  const ForecastNetwork network(smallest_network(), Grid::gaussian(16, 24), 5, 3, 4);
  const auto plan = [&](const char* recompute) { return plan_devices(network, recompute, 2, std::size_t{1} << 30); };
  EXPECT_GT(plan("none").memory.activations, plan("mlp").memory.activations);
  EXPECT_GT(plan("mlp").memory.activations, plan("block").memory.activations);
  EXPECT_EQ(plan("none").memory.gradients, plan("block").memory.gradients);
  EXPECT_THROW(plan("blocks"), Error);
}

TEST(NetworkConfig, RefusesWhatContradictsItself) {
  const auto message = [](auto&& change) -> std::string {
    NetworkConfig config;
    change(config);
    try {
      resolve(config);
    } catch (const Error& error) {
      return error.what();
    }
    return "no error";
  };
  const auto says = [](const std::string& text, const char* part) { return text.find(part) != std::string::npos; };
  EXPECT_PRED2(says, message([](NetworkConfig& c) { c.windows = {"5by20"}; }), "expected ROWSxCOLUMNS");
  EXPECT_PRED2(says, message([](NetworkConfig& c) {
                 c.windows = {"5x20"};
                 c.window_rows = 4;
               }),
               "either 'windows' or");
  EXPECT_PRED2(says, message([](NetworkConfig& c) { c.lora = LoraConfig{4, {3, 1}}; }), "must ascend");
  EXPECT_PRED2(says, message([](NetworkConfig& c) {
                 c.embedding = "levels";
                 c.width = 72;
                 c.heads = 6;
               }),
               "embedding by levels: width 18 over 1 heads");
  NetworkConfig config;
  config.preset = "ghr";
  EXPECT_EQ(resolve(config).lift, 3);
  EXPECT_EQ(resolve(config).layers(), 32);
  config.preset = "fengwu-ghr";
  EXPECT_EQ(resolve(config).windows.size(), 3U);
  EXPECT_EQ(resolve(config).global_every, 4);
  config.windows = {"6x6"};
  EXPECT_EQ(resolve(config).windows.size(), 1U);
}

}  // namespace
}  // namespace zonda::model::testing
