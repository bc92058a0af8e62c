// What a layout says about its network's channels: their levels, and what their values may be.
#include <gtest/gtest.h>

#include <cmath>

#include "model/forecast_state/layout_network.hpp"
#include "model/forecast_state/state_bounds.hpp"

namespace zonda::model {
namespace {

ForecastLayout layout_with(std::vector<Channel> channels) {
  ForecastLayout layout{.grid = Grid::latlon(4, 8, false),
                        .channels = std::move(channels),
                        .static_channels = {{"orog", 0}},
                        .static_fields = std::vector<float>(32),
                        .forcings = {"insolation"},
                        .steps = {},
                        .target = Target::tendency,
                        .normalisation = {},
                        .trained_lead = Duration{0}};
  layout.normalisation.mean.assign(layout.channels.size(), 0.25);
  layout.normalisation.stddev.assign(layout.channels.size(), 0.5);
  return layout;
}

TEST(LayoutNetwork, LevelsOfTheInputChannels) {
  // tp is predicted and not fed back: no input. Two states, a static field, the forcing now and then.
  const ForecastLayout layout = layout_with({{"2t", 0}, {"z", 850}, {"z", 500}, {"t", 850}, {"tp", 0}});
  EXPECT_EQ(input_levels(layout), (std::vector<int>{0, 2, 1, 2, 0, 2, 1, 2, 0, 0, 0}));
  EXPECT_EQ(input_levels(layout).size(), layout.input_channels());
  NetworkConfig config;
  config.preset = "tiny";
  config.embedding = "levels";
  const ForecastNetwork network = network_of_layout(config, layout);
  EXPECT_GE(network.parameters().find("embedding.level2.weight"), 0);
  EXPECT_LT(network.parameters().find("embedding.level3.weight"), 0);
  // Of level 2 at 850 hPa: z and t, twice, in patches of 2x2.
  EXPECT_EQ(network.parameters().at(network.parameters().find("embedding.level2.weight")).shape[0], 4 * 4);
}

TEST(StateBounds, KeepHumidityAndCloudWithinWhatTheyMean) {
  const ForecastLayout layout = layout_with({{"t", 850}, {"q", 850}, {"tcc", 0}});
  const StateBounds bounds(layout);
  std::vector<float> state(3 * 32);
  for (std::size_t i = 0; i < state.size(); ++i) state[i] = static_cast<float>(3 * std::sin(double(i)));
  std::vector<float> bounded = state;
  bounds.apply(bounded);
  for (std::size_t i = 0; i < 32; ++i) {
    EXPECT_EQ(bounded[i], state[i]);
    EXPECT_EQ(bounded[32 + i], std::max(state[32 + i], -0.5F));                  // q >= 0
    EXPECT_EQ(bounded[64 + i], std::min(std::max(state[64 + i], -0.5F), 1.5F));  // 0 <= tcc <= 1
  }
  std::vector<float> again = bounded;
  bounds.apply(again);
  EXPECT_EQ(again, bounded);
  state[40] = NAN;
  bounds.apply(state);
  EXPECT_TRUE(std::isnan(state[40]));
}

TEST(StateBounds, TheAdjointIsTheDerivative) {
  const ForecastLayout layout = layout_with({{"t", 850}, {"q", 850}, {"tcc", 0}});
  const StateBounds bounds(layout);
  std::vector<float> state(3 * 32), gradient(3 * 32, 1.0F);
  for (std::size_t i = 0; i < state.size(); ++i) state[i] = static_cast<float>(3 * std::sin(double(i)));
  const auto bounded = [&](float h) {
    std::vector<float> moved = state;
    for (float& value : moved) value += h;
    bounds.apply(moved);
    return moved;
  };
  const std::vector<float> applied = bounded(0);
  bounds.adjoint(applied, gradient);
  constexpr float h = 0x1p-12F;
  const std::vector<float> above = bounded(h), below = bounded(-h);
  int closed = 0;
  for (std::size_t i = 0; i < state.size(); ++i) {
    EXPECT_NEAR(gradient[i], (above[i] - below[i]) / (2 * h), 1e-3F) << i;
    closed += gradient[i] == 0;
  }
  EXPECT_GT(closed, 10);
  EXPECT_LT(closed, 64);
}

}  // namespace
}  // namespace zonda::model
