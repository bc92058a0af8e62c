#include <gtest/gtest.h>

#include <csignal>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "core/config/table.hpp"
#include "core/error.hpp"
#include "core/signals.hpp"
#include "model/forecast_state/forecast_model.hpp"
#include "model/training/checkpoint.hpp"
#include "parallel/communicator.hpp"
#include "tests/model/training/small_training.hpp"
#include "tests/model/training/turning_waves.hpp"

namespace zonda::model {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

std::vector<json> lines_of(const fs::path& path) {
  std::istringstream in(read_file(path));
  std::vector<json> lines;
  for (std::string line; std::getline(in, line);) lines.push_back(json::parse(line));
  return lines;
}

struct TrainTest : testing::Test {
  TemporaryFolder folder;
  TurningWaves waves{.times = 60};
  parallel::Communicator self = parallel::Communicator::self();
  void SetUp() override { waves.write(folder / "archive"); }
  void TearDown() override { request_stop(0); }
  TrainSummary train(const TrainConfig& config, const std::string& where, bool resume = false) {
    return run_train(config, self, folder / "archive", folder / where, resume);
  }
  /// Stops after a checkpoint was written in the middle, as by a signal.
  void train_part(const TrainConfig& config, const std::string& where, bool resume) {
    request_stop(SIGTERM);  // seen after the first step that is taken
    try {
      train(config, where, resume);
      FAIL() << "was not stopped";
    } catch (const Interrupted& stop) {
      EXPECT_EQ(stop.exit_code(), 128 + SIGTERM);
    }
    request_stop(0);
  }
  std::string error_of(const TrainConfig& config, const std::string& where, bool resume, ErrorKind kind) {
    try {
      train(config, where, resume);
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), kind) << error.what();
      return error.what();
    }
    ADD_FAILURE() << "no error";
    return {};
  }
};

TEST_F(TrainTest, WritesMetricsCheckpointsAndTheModel) {
  const TrainConfig config = small_training();
  const TrainSummary summary = train(config, "run");
  EXPECT_EQ(summary.steps, 12);
  EXPECT_FALSE(summary.nothing_to_do);
  EXPECT_EQ(list_checkpoints(folder / "run"), (std::vector<std::int64_t>{8, 12}));
  EXPECT_EQ(read_file(folder / "run" / "LATEST"), "step-12\n");
  int steps = 0, validations = 0;
  for (const json& line : lines_of(folder / "run" / "metrics.jsonl")) {
    if (line.contains("validation")) {
      ++validations;
      EXPECT_GT(line.at("validation").at("rmse").at("z500").get<double>(), 0);
      EXPECT_GT(line.at("validation").at("persistence").at("t850").get<double>(), 0);
    } else {
      EXPECT_EQ(line.at("step"), ++steps);
      EXPECT_TRUE(line.contains("lr") && line.contains("grad_norm") && line.contains("loss"));
    }
  }
  EXPECT_EQ(steps, 12);
  EXPECT_EQ(validations, 3);  // after 5, 10 and at the end
  EXPECT_FALSE(lines_of(folder / "run" / "timing.jsonl").empty());
  const auto model = load_model(folder / "run" / "model");
  EXPECT_EQ(model->origin.training_steps, 12);
  EXPECT_EQ(model->network.parameter_count(), summary.parameters);
  EXPECT_EQ(model->layout.channels, waves.channels);
}

TEST_F(TrainTest, TheSameRunGivesTheSameBytes) {
  TrainConfig config = small_training(6);
  config.input_noise = 0.01;
  config.roll_longitude = true;
  train(config, "a");
  config.reader_threads = 3;
  config.read_ahead = 1;
  config.cache = 0;
  train(config, "b");
  EXPECT_EQ(difference(files_of(folder / "a"), files_of(folder / "b")), "");
  config.seed = 2;
  train(config, "c");
  EXPECT_NE(difference(files_of(folder / "a"), files_of(folder / "c")), "");
}

TEST_F(TrainTest, AStoppedRunContinuesToTheSameBytesInEveryPhase) {
  for (const char* precision : {"fp32", "bf16"}) {
    TrainConfig config = training_in_phases();
    config.network.precision = precision;
    config.roll_longitude = true;
    const std::string whole_run = std::string("whole-") + precision, in_parts = std::string("parts-") + precision;
    train(config, whole_run);
    train_part(config, in_parts, false);
    for (int i = 0; i < 14; ++i) train_part(config, in_parts, true);  // one step each time, through all phases
    EXPECT_EQ(train(config, in_parts, true).steps, 15);
    auto whole = files_of(folder / whole_run), parts = files_of(folder / in_parts);
    // Each stop wrote a checkpoint of its own, so only the last one is common to both.
    const auto older = [](const auto& file) {
      return file.first.starts_with("step-") && !file.first.starts_with("step-15");
    };
    std::erase_if(whole, older);
    std::erase_if(parts, older);
    EXPECT_EQ(difference(whole, parts), "") << precision;
    const auto events = [&](const std::string& where) {
      return fs::file_size(folder / where / "events" / "events.out.tfevents.0.zonda");
    };
    EXPECT_EQ(events(whole_run), events(in_parts));
  }
}

TEST_F(TrainTest, AdaptersLearnAroundTheAveragedBase) {
  TrainConfig config = training_in_phases();
  config.rollout.reset();
  config.replay.reset();
  train(config, "with");
  config.adapters->learning_rate = 0;
  train(config, "without");
  const auto with = load_model(folder / "with" / "model"), without = load_model(folder / "without" / "model");
  std::size_t learned = 0;
  const ParameterStore &a = with->network.parameters(), &b = without->network.parameters();
  for (ParameterId id = 0; id < static_cast<ParameterId>(a.list().size()); ++id) {
    const auto x = a.value(id).span<const float>(), y = b.value(id).span<const float>();
    const bool same = std::equal(x.begin(), x.end(), y.begin());
    const std::string& name = a.at(id).name;
    if (name.find(".adapter_") == std::string::npos)
      EXPECT_TRUE(same) << name;
    else
      learned += same ? 0 : 1;
  }
  EXPECT_GT(learned, 0U);
}

/// Names and numbers of a model's weights.
std::map<std::string, std::vector<float>> weights_of(const fs::path& model) {
  const auto loaded = load_model(model);
  std::map<std::string, std::vector<float>> weights;
  const ParameterStore& store = loaded->network.parameters();
  for (ParameterId id = 0; id < static_cast<ParameterId>(store.list().size()); ++id) {
    const auto values = store.value(id).span<float>();
    weights[store.at(id).name].assign(values.begin(), values.end());
  }
  return weights;
}

TEST_F(TrainTest, ALiftedNetworkStartsFromACoarseModel) {
  train(small_training(), "coarse");
  TurningWaves fine{.grid = Grid::latlon(16, 32, false), .times = 60};
  fine.columns_a_step = 2;
  fine.write(folder / "fine archive");
  TrainConfig config = small_training(6);
  config.start_from = (folder / "coarse" / "model").string();
  config.network.lift = LiftConfig{.factor = 2, .blocks = 1};
  config.freeze = "lifted";
  const auto lifted = [&](const std::string& where) {
    return run_train(config, self, folder / "fine archive", folder / where, false).model;
  };
  const fs::path model = lifted("lifted");
  const auto before = weights_of(folder / "coarse" / "model"), after = weights_of(model);
  EXPECT_EQ(after.at("block0.qkv.weight"), before.at("block0.qkv.weight")) << "frozen, and read from the coarse model";
  EXPECT_EQ(after.at("conditioning.shared.weight"), before.at("conditioning.shared.weight"));
  EXPECT_NE(after.at("embedding.patch.weight"), before.at("embedding.patch.weight"));
  EXPECT_TRUE(after.contains("lift0.qkv.weight"));
  EXPECT_EQ(load_model(model)->layout.normalisation.mean,
            load_model(folder / "coarse" / "model")->layout.normalisation.mean);

  config.start_from = (folder / "coarse").string();
  EXPECT_NE(error_of(config, "nothing", false, ErrorKind::data).find("coarse"), std::string::npos);
  config.start_from = (folder / "coarse" / "model").string();
  config.forcings = {"cos_local_time"};
  EXPECT_NE(error_of(config, "nothing", false, ErrorKind::data)
                .find("forcings cos_local_time, sin_local_time; training has cos_local_time"),
            std::string::npos);
}

TEST_F(TrainTest, EachPhaseEndsWithACurve) {
  train(training_in_phases(), "run");
  std::vector<std::string> phases, curves;
  for (const json& line : lines_of(folder / "run" / "metrics.jsonl")) {
    if (line.contains("curve")) {
      curves.push_back(line.at("phase"));
      ASSERT_EQ(line.at("curve").size(), 2U);
      EXPECT_EQ(line.at("curve")[1].at("lead_hours"), 24);
      EXPECT_GT(line.at("curve")[1].at("rmse").at("z500").get<double>(), 0);
    } else if (line.contains("loss") && (phases.empty() || phases.back() != line.at("phase"))) {
      phases.push_back(line.at("phase"));
    }
  }
  EXPECT_EQ(phases, (std::vector<std::string>{"single steps", "rollouts", "replay", "adapters"}));
  EXPECT_EQ(curves, phases);
}

TEST_F(TrainTest, WhatIsComputedAgainChangesNoBit) {
  TrainConfig config = small_training(4);
  train(config, "auto");
  for (const char* recompute : {"none", "mlp", "block"}) {
    config.network.recompute = recompute;
    train(config, recompute);
    EXPECT_EQ(read_file(folder / "auto" / "metrics.jsonl"), read_file(folder / recompute / "metrics.jsonl"));
  }
}

TEST_F(TrainTest, ThePlanComputesAgainWhatDoesNotFit) {
  TrainConfig config = small_training(4);
  config.network.blocks = 6;
  config.batch = config.micro_batch = 64;  // activations are far more than what the process grows between two plans
  const TrainPlan ample = plan_train(config, folder / "archive", 1);
  EXPECT_TRUE(ample.fits);
  EXPECT_EQ(ample.recompute, (RecomputePolicy{0, 0}));
  config.memory = static_cast<double>(ample.memory_bytes()) - 0.2 * static_cast<double>(ample.network_bytes);
  const TrainPlan tight = plan_train(config, folder / "archive", 1);
  EXPECT_TRUE(tight.fits);
  EXPECT_GT(tight.recompute.blocks + tight.recompute.mlps, 0);
  EXPECT_LT(tight.memory_bytes(), ample.memory_bytes());
  config.memory = 1e6;
  EXPECT_FALSE(plan_train(config, folder / "archive", 1).fits);
  EXPECT_NE(error_of(config, "run", false, ErrorKind::usage).find("train.memory"), std::string::npos);
}

TEST_F(TrainTest, AnEnsembleLearnsWithTheFairScore) {
  TrainConfig config = small_training(8);
  config.network.noise = 4;
  config.loss = "crps";
  config.members = 3;
  config.rollout =
      RolloutConfig{.steps = 2, .lead_steps = 2, .step_lengths = {}, .learning_rate = 1e-4, .warm_up = 1, .batch = 0};
  EXPECT_GT(train(config, "run").loss, 0);
  // The weights of the noise have moved: members differ.
  const auto model = load_model(folder / "run" / "model");
  const ParameterStore& store = model->network.parameters();
  double moved = 0;
  for (ParameterId id = 0; id < static_cast<ParameterId>(store.list().size()); ++id)
    if (store.at(id).name.starts_with("conditioning.noise"))
      for (const float w : store.value(id).span<const float>()) moved += std::abs(w);
  EXPECT_GT(moved, 0);
  parallel::run_on_threads(2, [&](const parallel::Communicator& communicator) {
    run_train(config, communicator, folder / "archive", folder / "ranks", false);
  });
  EXPECT_EQ(difference(files_of(folder / "run"), files_of(folder / "ranks")), "");
}

TEST_F(TrainTest, AFinishedRunIsLeftAsItIs) {
  const TrainConfig config = small_training(4);
  train(config, "run");
  const auto before = files_of(folder / "run");
  const auto time = fs::last_write_time(folder / "run" / "model" / "rank-0.bin");
  for (const bool resume : {false, true}) {
    const TrainSummary again = train(config, "run", resume);
    EXPECT_TRUE(again.nothing_to_do);
    EXPECT_EQ(again.steps, 4);
  }
  EXPECT_EQ(files_of(folder / "run"), before);
  EXPECT_EQ(fs::last_write_time(folder / "run" / "model" / "rank-0.bin"), time);
  // Killed between the last checkpoint and the model file.
  fs::remove_all(folder / "run" / "model");
  fs::create_directories(folder / "run" / "model.tmp");
  train(config, "run", true);
  EXPECT_EQ(difference(before, files_of(folder / "run")), "");
}

TEST_F(TrainTest, AnUnfinishedRunIsNotOverwritten) {
  const TrainConfig config = small_training();
  train_part(config, "run", false);
  EXPECT_NE(error_of(config, "run", false, ErrorKind::usage).find("--resume"), std::string::npos);
}

TEST_F(TrainTest, AnotherConfigurationIsRefusedNamingTheKey) {
  TrainConfig config = small_training();
  train_part(config, "run", false);
  config.learning_rate = 1e-3;
  EXPECT_NE(error_of(config, "run", true, ErrorKind::usage).find("learning_rate: 0.003 there, 0.001 here"),
            std::string::npos);
  config = small_training();
  config.network.width = 32;
  EXPECT_NE(error_of(config, "run", true, ErrorKind::usage).find("network.width: 16 there, 32 here"),
            std::string::npos);
  config = small_training();
  config.checkpoint.every = 3;  // changes no result
  EXPECT_EQ(train(config, "run", true).steps, 12);
  config.learning_rate = 1e-3;
  EXPECT_NE(error_of(config, "run", true, ErrorKind::usage).find("another configuration"), std::string::npos);
}

TEST_F(TrainTest, AnotherArchiveIsRefused) {
  const TrainConfig config = small_training();
  train_part(config, "run", false);
  TurningWaves other = waves;
  other.columns_a_step = 2;
  fs::remove_all(folder / "archive");
  other.write(folder / "archive");
  EXPECT_NE(error_of(config, "run", true, ErrorKind::data).find("trained on archive"), std::string::npos);
}

TEST_F(TrainTest, ADamagedCheckpointFallsBackToTheOneBefore) {
  const TrainConfig config = small_training();
  train(config, "whole");
  train(config, "run");
  fs::remove_all(folder / "run" / "model");
  {
    std::fstream stream(folder / "run" / "step-12" / "rank-0.bin", std::ios::in | std::ios::out | std::ios::binary);
    stream.seekp(10'000);
    stream.put('\x33');
  }
  EXPECT_EQ(newest_checkpoint(folder / "run"), 8);
  train(config, "run", true);
  EXPECT_EQ(difference(files_of(folder / "whole"), files_of(folder / "run")), "");
  // All of them damaged: refused, nothing trained over it.
  fs::remove_all(folder / "run" / "model");
  for (const char* step : {"step-8", "step-12"}) fs::resize_file(folder / "run" / step / "rank-0.bin", 5000);
  EXPECT_NE(error_of(config, "run", true, ErrorKind::data).find("every checkpoint is damaged"), std::string::npos);
}

TEST_F(TrainTest, CheckpointsThatWereAskedForStay) {
  TrainConfig config = small_training();
  config.checkpoint = {.every = 2, .keep = 1, .keep_every = 4};
  train(config, "run");
  EXPECT_EQ(list_checkpoints(folder / "run"), (std::vector<std::int64_t>{4, 8, 12}));
}

TEST_F(TrainTest, ATimeBudgetEndsThePhase) {
  TrainConfig config = small_training(1'000'000);
  config.minutes = 0.01;
  config.validation.every = 0;
  config.checkpoint.every = 1'000'000;
  const TrainSummary summary = train(config, "run");
  EXPECT_GT(summary.steps, 0);
  EXPECT_LT(summary.steps, 1'000'000);
  const auto lines = lines_of(folder / "run" / "metrics.jsonl");
  EXPECT_TRUE(fs::exists(folder / "run" / "model"));
  EXPECT_EQ(static_cast<std::int64_t>(lines.size()), summary.steps + 1);
}

TEST_F(TrainTest, AMissingValueEndsTheRunWithItsPlace) {
  fs::remove_all(folder / "archive");
  waves.write(folder / "archive", [&](std::size_t t, std::vector<float>& fields) {
    if (t == 20) fields[5] = std::numeric_limits<float>::quiet_NaN();
  });
  EXPECT_NE(error_of(small_training(), "run", false, ErrorKind::data).find("z500 at 2001-03-06T00:00:00Z"),
            std::string::npos);
}

TEST_F(TrainTest, AModelIsNoCheckpointAndACheckpointNoModel) {
  train(small_training(4), "run");
  try {
    load_model(folder / "run" / "step-4");
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::data);
    EXPECT_NE(std::string(error.what()).find("is a 'zonda training checkpoint', expected a 'zonda forecast model'"),
              std::string::npos)
        << error.what();
  }
  EXPECT_THROW(load_model(folder / "nothing"), Error);
  fs::resize_file(folder / "run" / "model" / "rank-0.bin", 6000);
  EXPECT_THROW(load_model(folder / "run" / "model"), Error);
}

TEST_F(TrainTest, GapsInTheArchiveOnlyRemoveExamples) {
  fs::remove_all(folder / "archive");
  waves.missing = {17, 18};
  waves.write(folder / "archive");
  EXPECT_EQ(train(small_training(4), "run").steps, 4);
}

TEST_F(TrainTest, RanksDoNotChangeABit) {
  TrainConfig config = training_in_phases(5);
  config.batch = 6;
  config.rollout->lead_steps = 3;
  config.rollout->step_lengths = {Duration(21600)};
  config.rollout->batch = 4;
  train(config, "alone");
  const auto expected = files_of(folder / "alone");
  for (const int ranks : {2, 3, 4}) {
    const std::string where = "ranks" + std::to_string(ranks);
    parallel::run_on_threads(ranks, [&](const parallel::Communicator& communicator) {
      EXPECT_EQ(run_train(config, communicator, folder / "archive", folder / where, false).steps, 16);
    });
    EXPECT_EQ(difference(expected, files_of(folder / where)), "") << ranks << " ranks";
  }
}

TEST_F(TrainTest, ThePlanKnowsParametersExamplesAndFileSizes) {
  const TrainConfig config = small_training();
  const TrainPlan plan = plan_train(config, folder / "archive", 1);
  const TrainSummary summary = train(config, "run");
  EXPECT_EQ(plan.parameters, summary.parameters);
  EXPECT_EQ(plan.steps, 12);
  EXPECT_GT(plan.examples, 0);
  EXPECT_GT(plan.flops_per_step, 0);
  EXPECT_EQ(plan.checkpoint_bytes, 4 * sizeof(float) * static_cast<std::size_t>(summary.parameters));
  // Chunks are aligned, so a file of many small tensors is larger than its numbers.
  EXPECT_GE(fs::file_size(folder / "run" / "step-12" / "rank-0.bin"), plan.checkpoint_bytes);
  EXPECT_GT(plan.memory_bytes(), plan.network_bytes + plan.cache_bytes);
  // A second rank takes half of the samples.
  EXPECT_EQ(plan_train(config, folder / "archive", 2).batch_bytes, plan.batch_bytes / 2);
}

TEST_F(TrainTest, ConfigurationRoundTripAndFaults) {
  TrainConfig config;
  const auto text = config::to_yaml(config::dump(small_training()));
  config::read(config::parse_yaml(text, "test"), config);
  EXPECT_EQ(config::dump(config), config::dump(small_training()));
  for (const char* wrong : {"{batch: 3, micro_batch: 2}", "{shares: [1]}", "{target: both}",
                            "{rollout: {lead_steps: 1}}", "{rollout: {between: [7h]}}", "{loss: crps}", "{members: 2}",
                            "{loss: crps, members: 2}", "{adapters: {steps: 2}}", "{replay: {between: [7h]}}",
                            "{start: 2001-01-02, end: 2001-01-01}", "{lerning_rate: 1}"}) {
    TrainConfig fresh;
    EXPECT_THROW(config::read(config::parse_yaml(wrong, "test"), fresh), Error) << wrong;
  }
}

}  // namespace
}  // namespace zonda::model
