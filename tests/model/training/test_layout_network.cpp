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

/// Bounds of t850, q850 and tcc applied to two samples by the CPU's backend.
struct StateBoundsTest : testing::Test {
  const ForecastLayout layout = layout_with({{"t", 850}, {"q", 850}, {"tcc", 0}});
  const StateBounds bounds{layout.channels, layout.normalisation};
  const std::shared_ptr<Backend> backend = make_backend("cpu", 2);
  std::vector<float> state = std::vector<float>(2 * 3 * 32);

  void SetUp() override {
    for (std::size_t i = 0; i < state.size(); ++i) state[i] = static_cast<float>(3 * std::sin(double(i)));
  }
  template <class Apply>
  void with_context(Apply&& apply) const {
    Arena arena;
    Context ctx(*backend, arena, DType::f32);
    apply(ctx);
  }
  Tensor image(std::vector<float>& values) const { return Tensor::of(values, {2, 3, 4, 8}); }
  std::vector<float> bounded(std::vector<float> values) const {
    with_context([&](Context& ctx) { bounds.apply(ctx, image(values)); });
    return values;
  }
};

TEST_F(StateBoundsTest, KeepHumidityAndCloudWithinWhatTheyMean) {
  const std::vector<float> kept = bounded(state);
  for (std::size_t sample = 0; sample < 2; ++sample)
    for (std::size_t i = 96 * sample; i < 96 * sample + 32; ++i) {
      EXPECT_EQ(kept[i], state[i]);
      EXPECT_EQ(kept[32 + i], std::max(state[32 + i], -0.5F));                  // q >= 0
      EXPECT_EQ(kept[64 + i], std::min(std::max(state[64 + i], -0.5F), 1.5F));  // 0 <= tcc <= 1
    }
  EXPECT_EQ(bounded(kept), kept);
  state[40] = NAN;
  EXPECT_TRUE(std::isnan(bounded(state)[40]));
}

TEST_F(StateBoundsTest, TheAdjointIsTheDerivative) {
  std::vector<float> applied = bounded(state), gradient(state.size(), 1.0F);
  with_context([&](Context& ctx) { bounds.adjoint(ctx, image(applied), image(gradient)); });
  const auto moved = [&](float h) {
    std::vector<float> values = state;
    for (float& value : values) value += h;
    return bounded(values);
  };
  constexpr float h = 0x1p-12F;
  const std::vector<float> above = moved(h), below = moved(-h);
  int closed = 0;
  for (std::size_t i = 0; i < state.size(); ++i) {
    EXPECT_NEAR(gradient[i], (above[i] - below[i]) / (2 * h), 1e-3F) << i;
    closed += gradient[i] == 0;
  }
  EXPECT_GT(closed, 20);
  EXPECT_LT(closed, 128);
}

}  // namespace
}  // namespace zonda::model
