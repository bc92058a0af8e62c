// Training whose samples are shared by slabs of latitude gives the bytes of training alone: losses, validation,
// weights.
#include <gtest/gtest.h>

#include <limits>
#include <nlohmann/json.hpp>

#include "core/error.hpp"
#include "core/philox.hpp"
#include "model/forecast_state/forecast_model.hpp"
#include "parallel/communicator.hpp"
#include "tests/model/training/small_training.hpp"
#include "tests/model/training/turning_waves.hpp"

namespace zonda::model {
namespace {

namespace fs = std::filesystem;

struct SharedBy {
  int ranks;
  const char* mesh;
  int zero = 1;
};

struct SlabTraining : testing::Test {
  TemporaryFolder folder;
  // Half of humidity's waves are below zero, where states are bounded.
  TurningWaves waves{.grid = Grid::latlon(17, 16, true), .channels = {{"z", 500}, {"q", 850}, {"tp", 0}}, .times = 40};
  void SetUp() override { waves.write(folder / "archive"); }

  static TrainConfig with_chunks(TrainConfig config) {
    config.network.windows = {"2x4"};
    config.forcings = {"insolation", "cos_local_time"};
    config.roll_longitude = true;
    config.input_noise = 0.01;
    config.chunks = 8;
    return config;
  }
  std::map<std::string, std::string> train(TrainConfig config, const SharedBy& by, const std::string& where) {
    config.mesh = by.mesh;
    config.zero = by.zero;
    parallel::run_on_threads(by.ranks, [&](const parallel::Communicator& communicator) {
      run_train(config, communicator, folder / "archive", folder / where, false);
    });
    return files_of(folder / where);
  }
  /// What each of four slabs is told.
  std::vector<std::string> errors_of(TrainConfig config, const std::string& archive, ErrorKind kind) {
    config.mesh = "spatial=4";
    std::vector<std::string> messages(4);
    parallel::run_on_threads(4, [&](const parallel::Communicator& communicator) {
      try {
        run_train(config, communicator, folder / archive, folder / "run", false);
        ADD_FAILURE() << "no error on rank " << communicator.rank();
      } catch (const Error& error) {
        EXPECT_EQ(error.kind(), kind) << error.what();
        messages[static_cast<std::size_t>(communicator.rank())] = error.what();
      }
    });
    return messages;
  }
  /// The first step's line of the metrics.
  nlohmann::json first_step(const std::string& where) const {
    const std::string text = read_file(folder / where / "metrics.jsonl");
    return nlohmann::json::parse(text.substr(0, text.find('\n')));
  }
  void compare(const TrainConfig& config, std::initializer_list<SharedBy> meshes) {
    const auto alone = train(config, {1, ""}, "alone");
    for (const SharedBy& by : meshes) {
      EXPECT_EQ(difference(alone, train(config, by, "shared")), "") << by.mesh << ", zero " << by.zero;
      fs::remove_all(folder / "shared");
    }
  }
};

TEST_F(SlabTraining, OfTwentyStepsInAllPhasesIsTheSameOnAnySlabs) {
  TrainConfig config = with_chunks(training_in_phases(9));
  config.batch = 2;
  compare(config, {{2, "spatial=2"}, {4, "spatial=4"}, {8, "spatial=8"}, {4, "data=2,spatial=2"}});
}

TEST_F(SlabTraining, ChunksChangeNothingButTheOrderOfSums) {
  TrainConfig config = with_chunks(small_training(1));
  train(config, {1, ""}, "eight");
  config.chunks = 1;
  train(config, {1, ""}, "one");
  const nlohmann::json eight = first_step("eight"), one = first_step("one");
  EXPECT_NEAR(eight.at("loss").get<double>(), one.at("loss").get<double>(), 1e-13);
  const double norm = one.at("grad_norm");
  EXPECT_NEAR(eight.at("grad_norm").get<double>(), norm, 1e-6 * norm);
  EXPECT_NE(eight.at("grad_norm"), one.at("grad_norm"));
}

TEST_F(SlabTraining, AFaultInOneSlabsRowsEndsAllRanks) {
  waves.write(folder / "damaged", [&](std::size_t, std::vector<float>& fields) {
    fields[16 * waves.grid.nlon()] = std::numeric_limits<float>::quiet_NaN();  // the southernmost row
  });
  for (const std::string& message : errors_of(with_chunks(small_training(1)), "damaged", ErrorKind::data))
    EXPECT_NE(message.find("z500 at "), std::string::npos) << message;
}

TEST_F(SlabTraining, ALossThatIsNotFiniteEndsAllRanksAlike) {
  TrainConfig config = with_chunks(small_training(4));
  config.learning_rate = 1e35;
  config.warm_up = 1;
  const std::vector<std::string> messages = errors_of(config, "archive", ErrorKind::numerical);
  for (const std::string& message : messages) EXPECT_EQ(message, messages.front());
  EXPECT_NE(messages.front().find("is not finite"), std::string::npos) << messages.front();
}

TEST_F(SlabTraining, AModelForecastsOnSlabs) {
  train(with_chunks(small_training(4)), {1, ""}, "run");
  const Philox random(2, "input");
  /// [channel, row, lon] of these slabs' rows.
  const auto forecast = [&](const parallel::Communicator& slabs, parallel::Range& rows) {
    const auto model = load_model(folder / "run" / "model", {.sharding = {slabs, slabs.size()}});
    ForecastNetwork& network = model->network;
    rows = network.slab().image_rows();
    const auto height = static_cast<std::int64_t>(rows.size()), nlon = static_cast<std::int64_t>(waves.grid.nlon());
    const Shape in{1, network.input_channels(), height, nlon}, out{1, network.output_channels(), height, nlon};
    std::vector<float> x, y(static_cast<std::size_t>(out.count())), condition(ForecastLayout::condition_size, 0.5F);
    for (std::size_t c = 0; c < static_cast<std::size_t>(network.input_channels()); ++c)
      for (std::size_t i = 0; i < rows.size() * waves.grid.nlon(); ++i)
        x.push_back(static_cast<float>(random.normal(c * waves.grid.size() + rows.begin * waves.grid.nlon() + i)));
    network.plan(1, Use::inference);
    network.forward(Tensor::of(x, in), Tensor::of(condition, {1, ForecastLayout::condition_size}), Tensor::of(y, out));
    return y;
  };
  parallel::Range all{0, 0};
  const std::vector<float> whole = forecast(parallel::Communicator::self(), all);
  EXPECT_NE(whole, std::vector<float>(whole.size()));
  parallel::run_on_threads(4, [&](const parallel::Communicator& slabs) {
    parallel::Range rows{0, 0};
    const std::vector<float> slab = forecast(slabs, rows);
    const std::size_t points = rows.size() * waves.grid.nlon();
    for (std::size_t c = 0; c < waves.channels.size(); ++c)
      for (std::size_t i = 0; i < points; ++i)
        ASSERT_EQ(slab[c * points + i], whole[c * waves.grid.size() + rows.begin * waves.grid.nlon() + i]);
  });
}

TEST_F(SlabTraining, OfAnEnsembleIsTheSameOnAnySlabs) {
  TrainConfig config = with_chunks(small_training(4));
  config.network.noise = 4;
  config.loss = "crps";
  config.members = 2;
  config.batch = 2;
  config.rollout =
      RolloutConfig{.steps = 2, .lead_steps = 2, .step_lengths = {}, .learning_rate = 1e-4, .warm_up = 1, .batch = 0};
  compare(config, {{2, "spatial=2"}, {4, "spatial=4"}, {4, "data=2,spatial=2"}});
}

TEST_F(SlabTraining, WithParametersCutOverTheSlabsIsTheSame) {
  TrainConfig config = with_chunks(small_training(4));
  config.network.precision = "bf16";
  config.batch = 4;
  config.micro_batch = 2;
  compare(config, {{2, "spatial=2", 2}, {2, "spatial=2", 3}, {4, "data=2,spatial=2", 3}});
}

}  // namespace
}  // namespace zonda::model
