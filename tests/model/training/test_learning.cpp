// A network learns: below persistence on waves that turn, also over several steps.
#include <gtest/gtest.h>

#include <limits>
#include <nlohmann/json.hpp>
#include <sstream>

#include "core/error.hpp"
#include "core/philox.hpp"
#include "ingest/archive/archive_reader.hpp"
#include "model/training/archive_layout.hpp"
#include "model/training/training_step.hpp"
#include "parallel/communicator.hpp"
#include "tests/model/training/small_training.hpp"
#include "tests/model/training/turning_waves.hpp"

namespace zonda::model {
namespace {

TEST(Learning, TurningWavesAreForecastBetterThanPersistence) {
  const TemporaryFolder folder;
  TurningWaves waves{.times = 320, .redraw_every = 20};
  waves.write(folder / "archive");
  TrainConfig config = small_training(250);
  config.network.width = 32;
  config.steps_between = {Duration(21600)};
  config.learning_rate = 4e-3;
  config.warm_up = 20;
  config.ema_decay = 0.95;
  config.validation.every = 0;
  config.validation.samples = 20;
  config.validation.lead = Duration(43200);
  config.checkpoint.every = 1000;
  run_train(config, parallel::Communicator::self(), folder / "archive", folder / "run", false);
  std::istringstream in(read_file(folder / "run" / "metrics.jsonl"));
  nlohmann::json last;
  for (std::string line; std::getline(in, line);) last = nlohmann::json::parse(line);
  for (const char* channel : {"z500", "t850"}) {
    const double rmse = last.at("validation").at("rmse").at(channel),
                 persistence = last.at("validation").at("persistence").at(channel);
    EXPECT_LT(rmse, 0.5 * persistence) << channel;
    RecordProperty(channel, std::to_string(rmse / persistence));
  }
}

/// The gradient of a rollout on these channels against central differences along random directions.
void expect_gradient_of_differences(const std::vector<Channel>& channels, Target target, int count, double tolerance,
                                    int chunks = 1) {
  const TemporaryFolder folder;
  TurningWaves waves{.channels = channels, .times = 20};
  waves.write(folder / "archive");
  const ingest::ArchiveReader archive(folder / "archive");
  const TrainConfig config = small_training();
  const ForecastLayout layout = layout_of_archive(archive, config.steps_between, config.forcings, target);
  const ForecastStep step(layout);
  ForecastNetwork network(config.network, layout.grid, static_cast<int>(layout.input_channels()),
                          static_cast<int>(layout.output_channels()), static_cast<int>(ForecastLayout::condition_size),
                          DType::f32, nullptr, {}, {parallel::Communicator::self(), chunks});
  network.initialise(3);
  ParameterStore& store = network.parameters();
  // Away from the start, where the last layers are zero and most gradients with them.
  const Philox noise(5, "weights");
  for (std::int64_t i = 0; i < store.extent(); ++i)
    store.values().as<float>()[i] += static_cast<float>(0.05 * noise.normal(static_cast<std::uint64_t>(i)));
  const parallel::Communicator self = parallel::Communicator::self();
  StepOptions options;
  options.channel_weights.assign(channels.size(), 1);
  options.channel_weights[1] = 0.5;
  options.augmentation.roll_longitude = true;
  TrainingStep training(network, step, self, options, 4, 2, {.count = count, .falling = count > 2});
  FieldCache cache(archive, layout, 1 << 30);
  Batch batch;
  batch.count = count;
  batch.examples = {{4, Duration(21600)}, {5, Duration(43200)}, {9, Duration(21600)}, {8, Duration(43200)}};
  load_batch(archive, layout, cache, batch);
  training.gradient(batch, 0, archive.times(), 1);
  const auto whole = store.gradients().span<float>();
  const std::vector<float> gradient(whole.begin(), whole.end());
  for (int trial = 0; trial < 3; ++trial) {
    // Half along the gradient, half at random, so that the signal stands out of fp32's noise.
    const Philox direction(static_cast<std::uint64_t>(trial), "direction");
    double norm = 0, random_norm = 0;
    std::vector<double> d(gradient.size());
    for (const float g : gradient) norm += static_cast<double>(g) * g;
    for (std::size_t i = 0; i < d.size(); ++i) random_norm += direction.normal(i) * direction.normal(i);
    double expected = 0;
    for (std::size_t i = 0; i < d.size(); ++i) {
      d[i] = gradient[i] / std::sqrt(norm) + 0.5 * direction.normal(i) / std::sqrt(random_norm);
      expected += d[i] * gradient[i];
    }
    const double h = 2e-3;
    const auto loss_at = [&](double along) {
      std::vector<float> kept(store.values().span<float>().begin(), store.values().span<float>().end());
      for (const Parameter& parameter : store.list())
        for (std::int64_t i = parameter.offset; i < parameter.offset + parameter.count; ++i)
          store.values().as<float>()[i] += static_cast<float>(along * d[static_cast<std::size_t>(i)]);
      const double loss = training.gradient(batch, 0, archive.times(), 1);
      std::copy(kept.begin(), kept.end(), store.values().as<float>());
      return loss;
    };
    const double found = (loss_at(h) - loss_at(-h)) / (2 * h);
    EXPECT_NEAR(found, expected, tolerance * std::abs(expected) + 1e-4) << "rollout of " << count << " steps";
  }
}

TEST(RolloutGradient, AgreesWithDifferences) {
  for (const Target target : {Target::tendency, Target::state})
    for (const int count : {1, 3})
      expect_gradient_of_differences({{"z", 500}, {"tp", 0}, {"t", 850}}, target, count, 0.02);
}

TEST(RolloutGradient, OfChunksOfLatitudeAgreesWithDifferences) {
  expect_gradient_of_differences({{"z", 500}, {"t", 850}}, Target::tendency, 2, 0.02, 4);
}

// The waves of humidity are half below zero, so that half the states of a rollout are at their bound.
TEST(RolloutGradient, StopsWhereAStateIsAtItsBound) {
  for (const Target target : {Target::tendency, Target::state})
    expect_gradient_of_differences({{"q", 500}, {"q", 850}}, target, 3, 2e-3);
}

TEST(RolloutGradient, ALossThatIsNotFiniteNamesStepAndTimes) {
  const TemporaryFolder folder;
  TurningWaves{.times = 20}.write(folder / "archive");
  const ingest::ArchiveReader archive(folder / "archive");
  const TrainConfig config = small_training();
  const ForecastLayout layout = layout_of_archive(archive, config.steps_between, config.forcings, Target::tendency);
  const ForecastStep step(layout);
  ForecastNetwork network(config.network, layout.grid, static_cast<int>(layout.input_channels()),
                          static_cast<int>(layout.output_channels()), static_cast<int>(ForecastLayout::condition_size));
  network.initialise(3);
  for (float& value : network.parameters().values().span<float>()) value = std::numeric_limits<float>::quiet_NaN();
  const parallel::Communicator self = parallel::Communicator::self();
  StepOptions options;
  options.channel_weights = {1, 1};
  TrainingStep training(network, step, self, options, 1, 1, {});
  FieldCache cache(archive, layout, 1 << 30);
  Batch batch;
  batch.examples = {{4, Duration(21600)}};
  load_batch(archive, layout, cache, batch);
  try {
    training.gradient(batch, 0, archive.times(), 17);
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::numerical);
    EXPECT_NE(
        std::string(error.what()).find("the loss of step 17 is not finite (batch times 2001-03-02T00:00:00Z + 6h)"),
        std::string::npos)
        << error.what();
  }
}

}  // namespace
}  // namespace zonda::model
