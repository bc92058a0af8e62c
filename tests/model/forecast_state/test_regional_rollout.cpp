#include "model/forecast_state/regional_rollout.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "core/error.hpp"
#include "core/philox.hpp"
#include "model/forecast_state/layout_network.hpp"
#include "tests/model/forecast_state/regional_layout.hpp"

namespace zonda::model {
namespace {

using namespace std::chrono_literals;

std::vector<float> random_numbers(std::size_t n, std::uint64_t key) {
  const Philox philox(7, "regional rollout");
  std::vector<float> values(n);
  for (std::size_t i = 0; i < n; ++i) values[i] = static_cast<float>(philox.normal(key * 100000 + i));
  return values;
}

struct RegionalRolloutTest : testing::Test {
  ForecastLayout layout = regional_layout(2);
  std::size_t state = layout.output_channels() * layout.points();
  int passes = 0;
  NetworkPass pass = [this](std::span<const float> u, std::span<const float> condition, std::span<float> y, Duration) {
    ++passes;
    for (std::size_t i = 0; i < y.size(); ++i) y[i] = 0.3F * u[i % u.size()] + condition[2];
  };
  RegionalRollout begun(Duration reach) {
    RegionalRollout rollout(layout, parse_time("2001-03-01"), pass);
    rollout.give_state(Duration{-6h}, random_numbers(state, 1));
    rollout.give_state(Duration{0}, random_numbers(state, 2));
    for (Duration lead{6h}; lead <= reach; lead += Duration{6h})
      rollout.give_boundary(lead,
                            random_numbers(rollout.step().strip_size(), 10 + static_cast<std::uint64_t>(lead / 6h)));
    return rollout;
  }
};

TEST_F(RegionalRolloutTest, TheEdgeIsTheHostsAtEachStep) {
  RegionalRollout rollout = begun(Duration{24h});
  EXPECT_EQ(rollout.reach(Duration{6h}), Duration{24h});
  for (int k = 1; k <= 4; ++k) {
    rollout.advance(Duration{6h});
    EXPECT_EQ(rollout.lead(), k * Duration{6h});
    std::vector<float> strip(rollout.step().strip_size());
    rollout.step().gather_strip(rollout.state(), strip);
    const std::vector<float> host = random_numbers(strip.size(), 10 + static_cast<std::uint64_t>(k));
    const BoundaryRing& ring = rollout.step().ring();
    std::size_t edge = 0;
    for (std::size_t i = 0; i < strip.size(); ++i)
      if (ring.distances()[i % ring.size()] == 0) {
        ASSERT_EQ(strip[i], host[i]) << k;
        ++edge;
      }
    EXPECT_EQ(edge, 2U * (2 * 8 + 2 * 10 - 4));
  }
}

TEST_F(RegionalRolloutTest, AStepIsTheNetworkThenBoundsThenRelaxation) {
  RegionalRollout rollout = begun(Duration{6h});
  rollout.advance(Duration{6h});
  const ForecastStep step(layout);
  const auto previous = random_numbers(state, 1), current = random_numbers(state, 2);
  std::vector<float> now(layout.points()), next(layout.points()), strip(step.strip_size());
  normalised_forcing(layout, parse_time("2001-03-01"), now);
  normalised_forcing(layout, parse_time("2001-03-01T06"), next);
  step.gather_strip(current, strip);
  const auto host = random_numbers(step.strip_size(), 11);
  std::vector<float> u(layout.input_channels() * layout.points()), y(state), x(state),
      condition(ForecastLayout::condition_size);
  step.assemble(previous, current, now, next, u, strip, host);
  step.condition(parse_time("2001-03-01"), Duration{6h}, Duration{0}, condition);
  pass(u, condition, y, Duration{0});
  step.advance(y, current, Duration{6h}, x);
  step.bounds().apply(x, layout.points());
  step.relax(host, x);
  EXPECT_EQ(std::vector<float>(rollout.state().begin(), rollout.state().end()), x);
  const float driest = static_cast<float>(-5e-3 / 4e-3);  // q = 0
  for (std::size_t i = 2 * layout.points(); i < state; ++i)
    if (step.ring().interior(i - 2 * layout.points())) {
      EXPECT_GE(x[i], driest);
    }
}

TEST_F(RegionalRolloutTest, WithoutTheHostsBoundaryItStopsAndNamesTheLead) {
  RegionalRollout rollout = begun(Duration{12h});
  rollout.advance(Duration{6h});
  rollout.advance(Duration{6h});
  const int before = passes;
  try {
    rollout.advance(Duration{6h});
    FAIL() << "went on without a boundary";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::data);
    EXPECT_NE(std::string(error.what()).find("boundary at lead " + to_string(Duration{18h}) + " is missing"),
              std::string::npos)
        << error.what();
  }
  EXPECT_EQ(passes, before);
  EXPECT_EQ(rollout.lead(), Duration{12h});
  rollout.give_boundary(Duration{18h}, random_numbers(rollout.step().strip_size(), 13));
  EXPECT_NO_THROW(rollout.advance(Duration{6h}));
}

TEST_F(RegionalRolloutTest, BrokenInputsAreRefused) {
  RegionalRollout rollout = begun(Duration{6h});
  EXPECT_THROW(rollout.give_boundary(Duration{12h}, std::vector<float>(3)), Error);
  EXPECT_THROW(rollout.give_state(Duration{0}, std::vector<float>(3)), Error);
  std::vector<float> strip = random_numbers(rollout.step().strip_size(), 3);
  strip[4] = std::numeric_limits<float>::infinity();
  rollout.give_boundary(Duration{6h}, strip);
  EXPECT_THROW(rollout.advance(Duration{6h}), Error);
  EXPECT_THROW(rollout.advance(Duration{12h}), Error);  // no state at -12h
  ForecastLayout global = layout;
  global.boundary.reset();
  EXPECT_THROW(RegionalRollout(global, Time{}, pass), Error);
}

TEST_F(RegionalRolloutTest, RunsAForecastNetwork) {
  NetworkConfig config;
  config.preset = "tiny";
  config.width = 16;
  config.heads = 2;
  config.blocks = 2;
  ForecastNetwork network = network_of_layout(config, layout);
  network.initialise(3);
  pass = pass_of(network);
  RegionalRollout rollout = begun(Duration{12h});
  rollout.advance(Duration{6h});
  rollout.advance(Duration{6h});
  // An untrained network persists: what is inside stays, within its bounds.
  std::vector<float> expected = random_numbers(state, 2);
  const ForecastStep step(layout);
  step.bounds().apply(expected, layout.points());
  for (std::size_t cell = 0; cell < layout.points(); ++cell)
    if (step.ring().interior(cell)) {
      ASSERT_NEAR(rollout.state()[cell], expected[cell], 1e-6);
    }
}

TEST(HostStrip, IsNormalisedChannelByChannel) {
  const ForecastLayout layout = regional_layout(2);
  const ForecastStep step(layout);
  const std::size_t cells = step.ring().size();
  std::vector<float> strip(step.strip_size(), 57000);
  std::fill(strip.begin() + static_cast<std::ptrdiff_t>(cells), strip.end(), 9e-3F);
  normalise_strip(step, strip);
  EXPECT_FLOAT_EQ(strip[0], 1);
  EXPECT_FLOAT_EQ(strip[cells], 1);
  strip[cells] = std::numeric_limits<float>::quiet_NaN();
  EXPECT_THROW(normalise_strip(step, strip), Error);
}

}  // namespace
}  // namespace zonda::model
