// Forecasts of a trained network with its products in int8 and bf16 are as good as in fp32.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>

#include "inference/rollout/forecast.hpp"
#include "ingest/sources/source.hpp"
#include "model/forecast_state/forecast_model.hpp"
#include "model/training/train.hpp"
#include "parallel/communicator.hpp"
#include "tests/model/training/small_training.hpp"
#include "tests/model/training/turning_waves.hpp"

namespace zonda::inference {
namespace {

TEST(ForecastPrecision, QuantisedProductsCostLessThanAHundredthOfTheDeviation) {
  constexpr Duration h6{6 * 3600};
  const TemporaryFolder folder;
  const TurningWaves waves{.times = 160, .redraw_every = 20};
  waves.write(folder / "archive");
  const parallel::Communicator self = parallel::Communicator::self();
  model::TrainConfig training = small_training(120);
  training.network.width = 32;
  training.steps_between = {h6};
  training.learning_rate = 4e-3;
  training.warm_up = 20;
  training.ema_decay = 0.9;
  training.validation.every = 0;
  training.checkpoint.every = 1000;
  const auto model = model::run_train(training, self, folder / "archive", folder / "run", false).model;

  ForecastConfig config;
  config.start = waves.first + 101 * h6;
  config.end = waves.first + 115 * h6;
  config.every = 2 * h6;
  config.lead = config.output_step = 2 * h6;
  const auto errors = [&](const std::string& precision) {
    config.precision = precision;
    std::vector<double> squares(2), stddev(2);
    std::size_t count = 0;
    for (const auto& file : run_forecast(config, self, folder / "archive", model, folder / precision).files) {
      const auto source = ingest::open_source(file);
      for (const ingest::FieldKey& key : source->fields()) {
        const std::size_t c = key.channel == waves.channels[0] ? 0 : 1, points = waves.grid.size();
        const std::vector<float> truth = waves.fields(static_cast<std::size_t>((key.valid_time - waves.first) / h6));
        std::vector<float> field(points);
        source->read(key, field);
        for (std::size_t i = 0; i < points; ++i) {
          const double mean = c == 0 ? 54000 : 280, value = truth[c * points + i];
          squares[c] += (field[i] - value) * (field[i] - value);
          stddev[c] += (value - mean) * (value - mean);
          count += c == 0;
        }
      }
    }
    for (double& s : squares) s = std::sqrt(s / static_cast<double>(count));
    for (std::size_t c = 0; c < 2; ++c) squares.push_back(std::sqrt(stddev[c] / static_cast<double>(count)));
    return squares;  // errors, then deviations
  };
  const std::vector<double> exact = errors("fp32"), model_own = errors("model");
  EXPECT_EQ(exact, model_own);
  for (const char* precision : {"int8", "bf16"}) {
    const std::vector<double> found = errors(precision);
    for (std::size_t c = 0; c < 2; ++c) {
      EXPECT_NE(found[c], exact[c]) << precision;
      EXPECT_LE(std::abs(found[c] - exact[c]), 0.01 * exact[2 + c]) << precision << ", " << waves.channels[c].name();
      EXPECT_LT(exact[c], 0.7 * exact[2 + c]);  // it has learnt something
    }
  }
  // The plan is what the network takes: in int8 the quantised weights on top, and no hidden layer before its GELU.
  const auto takes = [&](const char* precision) {
    const int batch = std::min(config.batch, 8);  // forecasts
    return model::load_model(model, {nullptr, precision, {}})->network.memory(batch, model::Use::inference, false);
  };
  const model::MemoryPlan fp32 = takes("fp32"), int8 = takes("int8");
  EXPECT_GT(int8.copies, fp32.copies);
  EXPECT_LT(int8.activations, fp32.activations);
  EXPECT_EQ(int8.parameters, fp32.parameters);
  for (const char* precision : {"fp32", "int8"}) {
    config.precision = precision;
    EXPECT_EQ(plan_forecast(config, folder / "archive", model, 1).network_bytes, takes(precision).total()) << precision;
  }
}

}  // namespace
}  // namespace zonda::inference
