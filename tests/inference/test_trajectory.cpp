#include <gtest/gtest.h>

#include <cmath>

#include "core/error.hpp"
#include "core/philox.hpp"
#include "inference/rollout/forecast_config.hpp"
#include "inference/rollout/physical_bounds.hpp"
#include "inference/rollout/trajectory.hpp"
#include "model/spectral/spectral_taper.hpp"
#include "tests/inference/untrained_model.hpp"

namespace zonda::inference {
namespace {

constexpr Duration h6{6 * 3600}, h12{12 * 3600}, h24{24 * 3600};

TEST(StepPlan, NamesStrategiesAndSteps) {
  const std::vector<Duration> steps{h24, h6, h12};
  EXPECT_EQ(plan_steps("mean", steps, h24 * 10, h24).steps, (std::vector<Duration>{h6, h12, h24}));
  EXPECT_EQ(plan_steps("12h", steps, h24 * 10, h24).steps, std::vector<Duration>{h12});
  // Steps longer than the lead are of no use.
  EXPECT_EQ(plan_steps("largest-step", steps, h12, h6).steps, (std::vector<Duration>{h6, h12}));
  for (const char* wrong : {"8h", "largest", ""}) EXPECT_THROW(plan_steps(wrong, steps, h24, h24), Error) << wrong;
  EXPECT_THROW(plan_steps("12h", steps, h24, h6), Error);  // output between the steps
  EXPECT_THROW(plan_steps("mean", steps, h24, Duration(5 * 3600)), Error);
}

TEST(InitialTimes, ListRangeOrTheLast) {
  std::vector<Time> available;
  for (int i = 0; i < 9; ++i) available.push_back(parse_time("2001-01-01") + i * h6);
  ForecastConfig config;
  EXPECT_EQ(initial_times(config, available, h24), std::vector<Time>{available.back()});
  config.start = available[4];
  config.end = available[8];
  config.every = h12;
  EXPECT_EQ(initial_times(config, available, h24), (std::vector<Time>{available[4], available[6], available[8]}));
  ForecastConfig list;
  list.times = {available[6], available[5], available[6]};
  EXPECT_EQ(initial_times(list, available, h24), (std::vector<Time>{available[5], available[6]}));
}

TEST(PhysicalBounds, HumidityCloudAndRangeCheck) {
  State state(Grid::latlon(2, 4, false), {{"q", 500}, {"tcc", 0}, {"t", 500}}, parse_time("2001-01-01"));
  for (float& v : state.field(0)) v = -1e-4F;
  for (float& v : state.field(1)) v = 1.005F;
  for (float& v : state.field(2)) v = 250;
  apply_physical_bounds(state);
  EXPECT_EQ(state.field(0)[3], 0);
  EXPECT_EQ(state.field(1)[3], 1);
  EXPECT_NO_THROW(require_physical_range(state, "x"));
  for (const float broken : {NAN, 500.0F}) {
    state.field(2)[5] = broken;
    try {
      require_physical_range(state, "forecast");
      FAIL();
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::numerical);
      EXPECT_NE(std::string(error.what()).find("forecast: t500 at 2001-01-01T00:00:00Z"), std::string::npos)
          << error.what();
    }
  }
}

struct TrajectoryTest : testing::Test {
  std::unique_ptr<model::ForecastModel> network = untrained_model({h6, h12, h24});
  model::ForecastStep step{network->layout};
  std::size_t size = network->layout.output_channels() * network->layout.points();
  Time start = parse_time("2001-03-05T06");

  std::vector<float> given(Duration lead, std::size_t sample) const {
    const Philox random(9, "state");
    std::vector<float> values(size);
    for (std::size_t i = 0; i < size; ++i)
      values[i] =
          static_cast<float>(random.normal((sample * 50 + static_cast<std::size_t>((lead + h24 * 2) / h6)) * size + i));
    return values;
  }
  /// Forecasts by lead in units of 6 h of samples [first, first + n).
  std::vector<std::vector<float>> run(const std::string& strategy, std::size_t first, std::size_t n, int leads = 8) {
    std::vector<TrajectoryStart> initial;
    for (std::size_t s = first; s < first + n; ++s) initial.push_back({start + static_cast<int>(s) * h24});
    Trajectories t(*network, step,
                   plan_steps(strategy, network->layout.steps, leads * h6, strategy == "24h" ? h24 : h6), initial);
    for (const Duration lead : t.leads_needed()) {
      std::vector<float> fields;
      for (std::size_t s = first; s < first + n; ++s) {
        const auto of_sample = given(lead, s);
        fields.insert(fields.end(), of_sample.begin(), of_sample.end());
      }
      t.give(lead, fields);
    }
    std::vector<std::vector<float>> result(static_cast<std::size_t>(leads) + 1);
    while (t.lead() < leads * h6) {
      t.advance();
      t.forecast(result[static_cast<std::size_t>(t.lead() / h6)]);
    }
    return result;
  }
  /// One step by hand.
  std::vector<float> made(const std::vector<float>& previous, const std::vector<float>& current, Duration from,
                          Duration d) {
    const model::ForecastLayout& l = network->layout;
    std::vector<float> now(l.forcings.size() * l.points()), next(now.size()), u(l.input_channels() * l.points());
    std::vector<float> c(model::ForecastLayout::condition_size), y(size), result(size);
    model::normalised_forcing(l, start + from, now);
    model::normalised_forcing(l, start + from + d, next);
    step.assemble(previous, current, now, next, u);
    step.condition(start + from, d, from, c);
    const auto rows = static_cast<std::int64_t>(l.grid.nlat()), columns = static_cast<std::int64_t>(l.grid.nlon());
    network->network.plan(1, model::Use::inference);
    network->network.forward(model::Tensor::of(u, {1, static_cast<std::int64_t>(l.input_channels()), rows, columns}),
                             model::Tensor::of(c, {1, static_cast<std::int64_t>(c.size())}),
                             model::Tensor::of(y, {1, static_cast<std::int64_t>(l.output_channels()), rows, columns}));
    const auto states = [&](std::vector<float>& values) {
      return model::Tensor::of(values, {1, static_cast<std::int64_t>(l.output_channels()), rows, columns});
    };
    std::vector<float> from_state = current;
    model::Arena arena;
    model::Context ctx(network->network.backend(), arena, model::DType::f32);
    step.advance(ctx, states(y), {states(from_state), 0}, d, states(result));
    return result;
  }
};

TEST_F(TrajectoryTest, ConsecutiveStepsDiffer) {
  for (const char* strategy : {"mean", "largest-step", "6h"}) {
    const auto forecasts = run(strategy, 0, 1);
    std::vector<float> before = given(Duration(0), 0);
    for (std::size_t lead = 1; lead <= 8; ++lead) {
      ASSERT_EQ(forecasts[lead].size(), size);
      EXPECT_NE(forecasts[lead], before) << strategy << " lead " << lead;
      for (const float v : forecasts[lead]) ASSERT_TRUE(std::isfinite(v));
      before = forecasts[lead];
    }
  }
}

TEST_F(TrajectoryTest, StatesThatFurtherStepsBeginFromKeepTheirBounds) {
  network->layout.channels[1] = {"q", 850};
  network->layout.normalisation.mean[1] = 0;
  const model::ForecastStep humid(network->layout);
  Trajectories t(*network, humid, plan_steps("6h", network->layout.steps, h24, h6), {{start}}),
      unbounded(*network, humid, plan_steps("6h", network->layout.steps, h24, h6), {{start}}, {.bounds = false});
  for (const Duration lead : t.leads_needed()) {
    t.give(lead, std::vector<float>(size));
    unbounded.give(lead, std::vector<float>(size));
  }
  std::vector<float> state;
  for (int lead = 0; lead < 4; ++lead) {
    unbounded.advance();
    unbounded.forecast(state);
    EXPECT_LT(*std::min_element(state.begin() + static_cast<std::ptrdiff_t>(size / 2), state.end()), 0);
    t.advance();
    t.forecast(state);
    const auto middle = state.begin() + static_cast<std::ptrdiff_t>(size / 2);
    EXPECT_LT(*std::min_element(state.begin(), middle), 0);
    EXPECT_EQ(*std::min_element(middle, state.end()), 0);
    EXPECT_GT(*std::max_element(middle, state.end()), 0);
  }
}

TEST_F(TrajectoryTest, WhatStepsAddIsTapered) {
  const model::SpectralTaper taper(network->layout.grid, 3, 6), sharp(network->layout.grid, 5, 6);
  const auto forecasts = [&](const model::SpectralTaper* chosen) {
    Trajectories t(*network, step, plan_steps("6h", network->layout.steps, h24, h6), {{start}}, {.taper = chosen});
    for (const Duration lead : t.leads_needed()) t.give(lead, given(lead, 0));
    std::vector<std::vector<float>> states(4);
    for (std::vector<float>& state : states) {
      t.advance();
      t.forecast(state);
    }
    return states;
  };
  const auto largest = [](const std::vector<float>& values) {
    float most = 0;
    for (const float value : values) most = std::max(most, std::abs(value));
    return most;
  };
  const auto beyond = [&](std::vector<float> added) {  // of the wavenumbers that the taper leaves
    const std::vector<float> before = added;
    sharp.apply(added);
    for (std::size_t i = 0; i < added.size(); ++i) added[i] -= before[i];
    return largest(added);
  };
  const std::vector<float> initial = given(Duration(0), 0);
  const auto tapered = forecasts(&taper), free = forecasts(nullptr);
  for (std::size_t lead = 0; lead < 4; ++lead) {
    std::vector<float> added = tapered[lead], added_freely = free[lead];
    for (std::size_t i = 0; i < size; ++i) {
      added[i] -= initial[i];
      added_freely[i] -= initial[i];
    }
    EXPECT_LT(beyond(added), 2e-6F) << lead;
    EXPECT_GT(beyond(added_freely), 1e-2F) << lead;
    EXPECT_GT(largest(added), 0.3F * largest(added_freely)) << lead;
  }
}

TEST_F(TrajectoryTest, OneStepIsOnePassOfTheNetwork) {
  const auto by_hand = made(given(-h24, 0), given(Duration(0), 0), Duration(0), h24);
  EXPECT_EQ(run("24h", 0, 1)[4], by_hand);
  EXPECT_EQ(run("largest-step", 0, 1)[4], by_hand);
  // The second one starts from the first and the initial state.
  EXPECT_EQ(run("24h", 0, 1)[8], made(given(Duration(0), 0), by_hand, h24, h24));
}

TEST_F(TrajectoryTest, LargestStepReachesEachLeadWithTheFewestSteps) {
  const auto forecasts = run("largest-step", 0, 1);
  // 18 h = 12 h + 6 h, from x(6 h) and x(12 h); 36 h = 24 h + 12 h, from x(12 h) and x(24 h).
  EXPECT_EQ(forecasts[3], made(forecasts[1], forecasts[2], h12, h6));
  EXPECT_EQ(forecasts[6], made(forecasts[2], forecasts[4], h24, h12));
}

TEST_F(TrajectoryTest, TheMeanIsThatOfTheRolloutsWhoseStepDividesTheLead) {
  const auto mean = run("mean", 0, 1), h6s = run("6h", 0, 1), h24s = run("24h", 0, 1);
  EXPECT_EQ(mean[1], h6s[1]);
  EXPECT_EQ(mean[3], h6s[3]);
  // 12 h by its own rollout.
  std::vector<float> h12s = given(Duration(0), 0), before = given(-h12, 0);
  for (int k = 0; k < 2; ++k) {
    std::vector<float> next = made(before, h12s, k * h12, h12);
    before = h12s;
    h12s = next;
  }
  for (std::size_t i = 0; i < size; ++i) ASSERT_NEAR(mean[4][i], (h6s[4][i] + h12s[i] + h24s[4][i]) / 3, 1e-5);
}

TEST_F(TrajectoryTest, BatchesDoNotChangeAForecast) {
  const auto both = run("mean", 0, 2);
  for (std::size_t s = 0; s < 2; ++s) {
    const auto alone = run("mean", s, 1);
    for (std::size_t lead = 1; lead <= 8; ++lead)
      EXPECT_TRUE(std::equal(alone[lead].begin(), alone[lead].end(),
                             both[lead].begin() + static_cast<std::ptrdiff_t>(s * size)))
          << "sample " << s << " lead " << lead;
  }
}

}  // namespace
}  // namespace zonda::inference
