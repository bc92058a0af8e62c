#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "core/error.hpp"
#include "core/philox.hpp"
#include "ingest/archive/archive_reader.hpp"
#include "model/forecast_state/forecast_layout.hpp"
#include "model/ops/backend.hpp"
#include "model/training/archive_layout.hpp"
#include "model/training/train_config.hpp"
#include "tests/model/training/turning_waves.hpp"

namespace zonda::model {
namespace {

const std::vector<Duration> steps{Duration(21600), Duration(86400)};
const std::vector<std::string> forcings{"insolation", "cos_local_time"};

std::vector<float> random_numbers(std::size_t n, const char* purpose) {
  const Philox philox(3, purpose);
  std::vector<float> values(n);
  for (std::size_t i = 0; i < n; ++i) values[i] = static_cast<float>(philox.normal(i));
  return values;
}

double dot(std::span<const float> a, std::span<const float> b) {
  double sum = 0;
  for (std::size_t i = 0; i < a.size(); ++i) sum += static_cast<double>(a[i]) * b[i];
  return sum;
}

struct ForecastStateTest : testing::Test {
  TemporaryFolder folder;
  TurningWaves waves{.channels = {{"z", 500}, {"tp", 0}, {"t", 850}}, .times = 12};
  void SetUp() override { waves.write(folder / "archive"); }
  ForecastLayout layout(Target target = Target::tendency) const {
    return layout_of_archive(ingest::ArchiveReader(folder / "archive"), steps, forcings, target);
  }
};

TEST_F(ForecastStateTest, NormalisationIsUndone) {
  const ForecastLayout l = layout();
  const std::vector<float> original = waves.fields(5);
  std::vector<float> values = original;
  EXPECT_EQ(l.normalisation.normalise(values), -1);
  for (std::size_t c = 0; c < 3; ++c)
    for (std::size_t i = 0; i < l.points(); ++i) ASSERT_LT(std::abs(values[c * l.points() + i]), 20) << c;
  l.normalisation.restore(values);
  for (std::size_t i = 0; i < values.size(); ++i)
    ASSERT_NEAR(values[i], original[i], 2e-7 * std::abs(original[i]) + 1e-9) << i;
}

TEST_F(ForecastStateTest, ABrokenValueIsFound) {
  const ForecastLayout l = layout();
  for (const float broken : {NAN, INFINITY}) {
    std::vector<float> values = waves.fields(0);
    values[2 * l.points() + 7] = broken;
    EXPECT_EQ(l.normalisation.normalise(values), 2);
  }
}

TEST_F(ForecastStateTest, DiagnosticChannelsAreNotFed) {
  const ForecastLayout l = layout();
  EXPECT_EQ(l.prognostic_channels(), 2U);
  EXPECT_EQ(l.input_channels(), 2 * 2 + 1 + 2 * 2U);
  EXPECT_EQ(l.output_channels(), 3U);
}

TEST_F(ForecastStateTest, TargetIsTheInverseOfAdvance) {
  for (const Target target : {Target::tendency, Target::state}) {
    const ForecastLayout l = layout(target);
    const ForecastStep step(l);
    const std::size_t n = l.output_channels() * l.points();
    const std::vector<float> current = random_numbers(n, "current"), next = random_numbers(n, "next");
    std::vector<float> y(n), reached(n);
    step.target(current, next, steps[0], y);
    step.advance(y, current, steps[0], reached);
    for (std::size_t i = 0; i < n; ++i) ASSERT_NEAR(reached[i], next[i], 2e-6);
    // A diagnostic channel is its normalised value, whatever the target of the others.
    for (std::size_t i = l.points(); i < 2 * l.points(); ++i) ASSERT_EQ(y[i], next[i]);
  }
}

TEST_F(ForecastStateTest, BackendsMapChannelsAsTheHostDoes) {
  for (const Target target : {Target::tendency, Target::state}) {
    const ForecastLayout l = layout(target);
    const ForecastStep step(l);
    const std::size_t n = l.output_channels() * l.points(), m = l.input_channels() * l.points();
    const std::size_t f = l.forcings.size() * l.points();
    auto current = random_numbers(n, "current"), previous = random_numbers(n, "previous"), y = random_numbers(n, "y");
    auto now = random_numbers(f, "now"), next = random_numbers(f, "next");
    std::vector<float> statics(step.statics().begin(), step.statics().end());
    const auto image = [&](std::vector<float>& values) {
      return Tensor::of(values,
                        Shape{1, static_cast<std::int64_t>(values.size() / l.points()),
                              static_cast<std::int64_t>(l.grid.nlat()), static_cast<std::int64_t>(l.grid.nlon())});
    };
    const auto backend = make_backend("cpu", 2);
    Arena arena;
    Context ctx(*backend, arena, DType::f32);
    std::vector<float> u(m), expected(m), reached(n), advanced(n);
    backend->map_channels(ctx, image(previous), step.input_terms(InputPart::previous), image(u), false);
    backend->map_channels(ctx, image(current), step.input_terms(InputPart::current), image(u), true);
    backend->map_channels(ctx, image(statics), step.input_terms(InputPart::statics), image(u), true);
    backend->map_channels(ctx, image(now), step.input_terms(InputPart::forcing_now), image(u), true);
    backend->map_channels(ctx, image(next), step.input_terms(InputPart::forcing_next), image(u), true);
    step.assemble(previous, current, now, next, expected);
    EXPECT_EQ(u, expected);
    backend->map_channels(ctx, image(current), step.carried(), image(reached), false);
    backend->map_channels(ctx, image(y), step.increments(steps[1]), image(reached), true);
    step.advance(y, current, steps[1], advanced);
    for (std::size_t i = 0; i < n; ++i) ASSERT_NEAR(reached[i], advanced[i], 1e-6);
  }
}

TEST_F(ForecastStateTest, AdjointMapsPassTheDotProductTest) {
  const ForecastLayout l = layout();
  const ForecastStep step(l);
  const std::size_t n = l.output_channels() * l.points(), m = l.input_channels() * l.points();
  const auto apply = [&](const ForecastStep::Terms& terms, const std::vector<float>& x, std::size_t size) {
    std::vector<float> y(size);
    for (const ChannelTerm& term : terms)
      for (std::size_t i = 0; i < l.points(); ++i)
        y[static_cast<std::size_t>(term.to) * l.points() + i] +=
            term.factor * x[static_cast<std::size_t>(term.from) * l.points() + i];
    return y;
  };
  for (const auto& [terms, from, to] : {std::tuple{step.input_terms(InputPart::previous), n, m},
                                        {step.input_terms(InputPart::current), n, m},
                                        {step.increments(steps[1]), n, n},
                                        {step.carried(), n, n},
                                        {step.tendencies(steps[1]), n, n},
                                        {step.departures(steps[1]), n, n}}) {
    const auto dx = random_numbers(from, "dx"), bar = random_numbers(to, "bar");
    const double there = dot(apply(terms, dx, to), bar), back = dot(dx, apply(ForecastStep::adjoint(terms), bar, from));
    EXPECT_NEAR(there, back, 1e-6 * (1 + std::abs(there)) * 10);
  }
}

TEST_F(ForecastStateTest, ConditionKnowsStepSeasonHourAndTurns) {
  ForecastLayout l = layout();
  l.trained_lead = Duration(86400);
  const ForecastStep step(l);
  const auto of = [&](Time time, Duration d, Duration lead, double turned = 0) {
    std::vector<float> c(ForecastLayout::condition_size);
    step.condition(time, d, lead, c, turned);
    return c;
  };
  const Time time = parse_time("2001-03-01T06");
  EXPECT_FLOAT_EQ(of(time, Duration(86400), Duration(0))[0], 1);
  EXPECT_FLOAT_EQ(of(time, Duration(86400), Duration(0))[1], 2);
  EXPECT_NE(of(time, steps[0], Duration(0)), of(time, steps[1], Duration(0)));
  EXPECT_NE(of(time, steps[0], Duration(0)), of(time + Duration(21600), steps[0], Duration(0)));
  // Leads beyond those of training count as the longest of training.
  EXPECT_NE(of(time, steps[0], Duration(0)), of(time, steps[0], Duration(86400)));
  EXPECT_EQ(of(time, steps[0], Duration(86400)), of(time, steps[0], Duration(10 * 86400)));
  // Fields turned by 90 degrees east are those of six hours earlier, as far as the sun is concerned.
  const auto turned = of(time, steps[0], Duration(0), 90), earlier = of(time - Duration(21600), steps[0], Duration(0));
  EXPECT_NEAR(turned[5], earlier[5], 1e-6);
  EXPECT_NEAR(turned[6], earlier[6], 1e-6);
}

TEST_F(ForecastStateTest, ForcingsAreOfOrderOne) {
  const ForecastLayout l = layout();
  std::vector<float> values(2 * l.points());
  normalised_forcing(l, parse_time("2001-06-21"), values);
  float least = 0, most = 0;
  for (const float v : values) least = std::min(least, v), most = std::max(most, v);
  EXPECT_GT(most, 1);
  EXPECT_LT(most, 3);
  EXPECT_LT(least, -0.5);
  EXPECT_GE(least, -1);
}

TEST_F(ForecastStateTest, LayoutSurvivesItsFile) {
  ForecastLayout l = layout();
  l.trained_lead = Duration(7200);
  ForecastLayout read = ForecastLayout::from_json(nlohmann::json::parse(l.to_json().dump()));
  read.static_fields = l.static_fields;
  EXPECT_EQ(read.to_json(), l.to_json());
  EXPECT_TRUE(read.grid == l.grid);
  EXPECT_EQ(read.normalisation.stddev, l.normalisation.stddev);
  read.static_fields[3] += 1;
  EXPECT_NE(read.static_hash(), l.static_hash());
}

/// What training steps on: no field is held whole, and no bit differs.
TEST_F(ForecastStateTest, StaticFieldsAreHeldByRows) {
  TrainConfig config;
  config.steps_between = steps;
  config.forcings = forcings;
  const ForecastLayout whole = layout(),
                       by_rows = layout_of_training(config, ingest::ArchiveReader(folder / "archive"));
  ASSERT_FALSE(whole.static_fields.empty());
  EXPECT_TRUE(by_rows.static_fields.empty());
  EXPECT_EQ(by_rows.to_json(), whole.to_json());
  const ForecastStep expected(whole);
  const std::size_t columns = whole.grid.nlon(), rows = whole.grid.nlat();
  for (const parallel::Range range : {parallel::Range{0, rows}, {0, 3}, {3, rows}}) {
    const ForecastStep step(by_rows, range);
    ASSERT_EQ(step.statics().size(), whole.static_channels.size() * range.size() * columns);
    for (std::size_t s = 0; s < whole.static_channels.size(); ++s)
      for (std::size_t i = 0; i < range.size() * columns; ++i)
        ASSERT_EQ(step.statics()[s * range.size() * columns + i],
                  expected.statics()[s * whole.points() + range.begin * columns + i]);
  }
  const StaticFields broken(whole.static_channels, rows, columns,
                            [](std::size_t, parallel::Range, std::span<float> v) { std::ranges::fill(v, 1.0F); });
  EXPECT_NE(broken.hash(), whole.static_hash());
  EXPECT_THROW(StaticFields(whole.static_channels, rows, columns,
                            [](std::size_t, parallel::Range, std::span<float> v) { std::ranges::fill(v, NAN); }),
               Error);
}

TEST_F(ForecastStateTest, MissingTendencyStatisticsAreNamed) {
  const ingest::ArchiveReader archive(folder / "archive");
  try {
    layout_of_archive(archive, {Duration(5 * 21600)}, forcings, Target::tendency);
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::data);
    EXPECT_NE(std::string(error.what()).find("30h"), std::string::npos) << error.what();
    EXPECT_NE(std::string(error.what()).find("6h, 12h, 1d"), std::string::npos) << error.what();
  }
  EXPECT_THROW(layout_of_archive(archive, {Duration(3600)}, forcings, Target::tendency), Error);
}

}  // namespace
}  // namespace zonda::model
