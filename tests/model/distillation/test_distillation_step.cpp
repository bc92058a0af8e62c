#include "model/training/distillation/distillation_step.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "core/philox.hpp"
#include "model/forecast_state/layout_network.hpp"
#include "model/training/distillation/token_levels.hpp"
#include "tests/model/forecast_state/regional_layout.hpp"

namespace zonda::model {
namespace {

constexpr std::size_t batch = 2, teacher_width = 12;

std::vector<float> random_numbers(std::size_t n, std::uint64_t key, double size = 1) {
  const Philox philox(key, "distillation step");
  std::vector<float> values(n);
  for (std::size_t i = 0; i < n; ++i) values[i] = static_cast<float>(size * philox.normal(i));
  return values;
}

struct DistillationStepTest : testing::Test {
  ForecastLayout layout = regional_layout(2);
  ForecastStep step{layout};
  ForecastNetwork student = network_of_layout(
      [] {
        NetworkConfig config;
        config.preset = "tiny";
        config.width = 8;
        config.heads = 1;
        config.blocks = 2;
        return config;
      }(),
      layout);
  std::size_t tokens = layout.points() / 4;
  FeatureMaps maps{2, 8, teacher_width, std::vector<bool>(tokens, true)};
  std::vector<std::vector<float>> fields;  // what the samples view

  void SetUp() override {
    student.initialise(2);
    const Tensor values = student.parameters().values();
    const std::vector<float> more = random_numbers(static_cast<std::size_t>(values.count()), 77, 0.15);
    for (const Parameter& p : student.parameters().list())
      for (std::int64_t i = p.offset; i < p.offset + p.count; ++i)
        values.as<float>()[i] += more[static_cast<std::size_t>(i)];
    student.parameters().values_changed();
  }

  std::vector<DistillationSample> samples(std::size_t count) {
    fields.clear();
    fields.reserve(1000);
    const auto view = [&](std::size_t n, double size) -> std::span<const float> {
      fields.push_back(random_numbers(n, 100 + fields.size(), size));
      return fields.back();
    };
    const std::size_t state = layout.channels.size() * layout.points();
    std::vector<DistillationSample> list;
    for (std::size_t s = 0; s < batch; ++s) {
      DistillationSample sample{.time = parse_time("2001-03-01") + static_cast<int>(s) * layout.steps[1],
                                .step = layout.steps[s],
                                .truth = {},
                                .teacher = {},
                                .features = {},
                                .host_is_teacher = s == 0};
      for (std::size_t k = 0; k < count + 2; ++k) sample.truth.push_back(view(state, 0.3));
      for (std::size_t k = 0; k < count; ++k) {
        sample.teacher.push_back(view(state, 0.3));
        sample.features.push_back({view(tokens * teacher_width, 1), view(tokens * teacher_width, 1)});
      }
      list.push_back(std::move(sample));
    }
    return list;
  }

  /// The gradient along a random direction of student and maps against central differences.
  void check(const DistillLosses& losses, std::size_t count, double tolerance) {
    maps.parameters().zero_gradients();
    const std::vector<DistillationSample> batch_samples = samples(count);
    DistillationStep training(student, step, losses, std::vector<float>(layout.channels.size(), 1), &maps, batch,
                              count);
    training.gradient(batch_samples);
    double slope = 0, difference = 0;
    std::vector<std::pair<Tensor, std::vector<float>>> directions;
    for (ParameterStore* store : {&student.parameters(), &maps.parameters()}) {
      const Tensor gradients = store->gradients();
      std::vector<float> direction(static_cast<std::size_t>(gradients.count()));
      // Along the gradient: the slope stands out from the rounding.
      double size = 0;
      for (std::int64_t i = 0; i < gradients.count(); ++i)
        size += static_cast<double>(gradients.as<float>()[i]) * gradients.as<float>()[i];
      for (std::size_t i = 0; i < direction.size() && size > 0; ++i)
        direction[i] = static_cast<float>(gradients.as<float>()[i] / std::sqrt(size));
      slope += std::sqrt(size);
      directions.emplace_back(store->values(), std::move(direction));
    }
    const auto h = static_cast<float>(std::min(0x1p-7, 0.01 / slope));  // small against the curvature
    for (const float sign : {1.0F, -2.0F, 1.0F}) {
      for (const auto& [values, direction] : directions)
        for (std::size_t i = 0; i < direction.size(); ++i) values.as<float>()[i] += sign * h * direction[i];
      student.parameters().values_changed();
      const double loss = training.gradient(batch_samples).total;
      if (sign == 1.0F && difference == 0) difference = loss;
      if (sign == -2.0F) difference -= loss;
    }
    EXPECT_NEAR(slope, difference / (2.0 * h), tolerance * slope);
    EXPECT_GT(slope, 1e-4);
  }
};

TEST_F(DistillationStepTest, GradientOfASingleStep) {
  check({.truth = 1, .teacher = 0.5, .features = 0, .spectral = 0}, 1, 5e-3);
  check({.truth = 0, .teacher = 0, .features = 1, .spectral = 0}, 1, 5e-3);
  check({.truth = 0, .teacher = 0, .features = 0, .spectral = 1}, 1, 5e-3);
}

TEST_F(DistillationStepTest, GradientThroughARolloutWithItsBoundary) {
  check({.truth = 1, .teacher = 0.5, .features = 0.2, .spectral = 0.1}, 3, 5e-3);
}

TEST_F(DistillationStepTest, GradientOfATokenLevel) {
  const auto half = static_cast<std::int64_t>(tokens / 2);  // leaves no choice of tokens
  for (const TokenMerging& level : {TokenMerging{0, 2, half}, TokenMerging{1, 2, half}}) {
    student.set_merging(level);
    check({.truth = 1, .teacher = 0.5, .features = 0, .spectral = 0.1}, 1, 5e-3);
    check({.truth = 1, .teacher = 0.5, .features = 0, .spectral = 0.1}, 3, 5e-3);
  }
}

TEST_F(DistillationStepTest, ALevelAddsItsGradientAndLeavesThePassOfAllTokensAlone) {
  const std::vector<DistillationSample> list = samples(2);
  const std::vector<float> weights(layout.channels.size(), 1);
  const auto gradients = [&] {
    const Tensor g = student.parameters().gradients();
    return std::vector<float>(g.as<float>(), g.as<float>() + g.count());
  };
  const TokenMerging level{0, 2, static_cast<std::int64_t>(tokens / 2)};
  LevelTraining levels(student, step, {}, 0.5, weights, {level}, 1, "test", batch, 2),
      none(student, step, {}, 0.5, weights, {}, 1, "test", batch, 2);
  DistillationStep training(student, step, {}, weights, &maps, batch, 2);
  training.gradient(list);
  const std::vector<float> alone = gradients();
  EXPECT_FALSE(none.add_gradient(0, list).has_value());
  EXPECT_EQ(gradients(), alone);
  ASSERT_TRUE(levels.add_gradient(0, list).has_value());
  const std::vector<float> both = gradients();
  training.gradient(list);
  EXPECT_EQ(gradients(), alone);
  // The level's own: with its weight, and of features none.
  student.set_merging(level);
  DistillationStep of_level(student, step, {.truth = 0.5, .teacher = 0.25, .features = 0, .spectral = 0.005}, weights,
                            nullptr, batch, 2);
  of_level.gradient(list);
  const std::vector<float> own = gradients();
  for (std::size_t i = 0; i < own.size(); ++i)
    ASSERT_NEAR(both[i], alone[i] + own[i], 1e-5 * (1 + std::abs(alone[i]) + std::abs(own[i])));
  EXPECT_NE(both, alone);
}

TEST_F(DistillationStepTest, TheSameBatchGivesTheSameBits) {
  const std::vector<DistillationSample> batch_samples = samples(2);
  DistillationStep training(student, step, {}, std::vector<float>(layout.channels.size(), 1), &maps, batch, 2);
  const auto once = [&] {
    training.gradient(batch_samples);
    const Tensor g = student.parameters().gradients();
    return std::vector<float>(g.as<float>(), g.as<float>() + g.count());
  };
  const std::vector<float> first = once();
  EXPECT_EQ(once(), first);
}

TEST_F(DistillationStepTest, LossesAreNothingWhereTheStudentIsRight) {
  std::vector<DistillationSample> list = samples(1);
  ForecastNetwork still = network_of_layout(student.config(), layout);
  still.initialise(1);  // persists
  for (DistillationSample& sample : list) sample.truth[2] = sample.teacher[0] = sample.truth[1];
  // What persists is also bounded, and what does not persist is the normalised value zero.
  std::vector<std::vector<float>> bounded;
  bounded.reserve(list.size());
  for (DistillationSample& sample : list) {
    bounded.emplace_back(sample.truth[1].begin(), sample.truth[1].end());
    std::fill_n(bounded.back().begin() + static_cast<std::ptrdiff_t>(layout.points()), layout.points(), 0.0F);
    step.bounds().apply(bounded.back(), layout.points());
    sample.truth[1] = sample.truth[2] = sample.teacher[0] = bounded.back();
  }
  DistillationStep training(still, step, {.features = 0}, std::vector<float>(layout.channels.size(), 1), nullptr, batch,
                            1);
  const DistillationStep::Loss loss = training.gradient(list);
  EXPECT_NEAR(loss.truth, 0, 1e-9);
  EXPECT_NEAR(loss.teacher, 0, 1e-9);
  EXPECT_NEAR(loss.spectral, 0, 1e-9);
}

}  // namespace
}  // namespace zonda::model
