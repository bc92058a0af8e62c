// Training on any mesh, at any stage of ZeRO, gives the bytes of training alone: metrics, weights, checkpoints.
#include <gtest/gtest.h>

#include <csignal>
#include <fstream>

#include "core/error.hpp"
#include "core/signals.hpp"
#include "model/training/checkpoint.hpp"
#include "parallel/communicator.hpp"
#include "tests/model/training/small_training.hpp"
#include "tests/model/training/turning_waves.hpp"

namespace zonda::model {
namespace {

namespace fs = std::filesystem;

struct Layout {
  int ranks;
  const char* mesh;
  int zero;
  friend std::ostream& operator<<(std::ostream& out, const Layout& l) {
    return out << l.ranks << " ranks, mesh '" << l.mesh << "', zero " << l.zero;
  }
};

TrainConfig on(TrainConfig config, const Layout& layout) {
  config.mesh = layout.mesh;
  config.zero = layout.zero;
  return config;
}

/// All tensors, to what rounding becomes in a few steps.
void expect_nearly_equal(const fs::path& first, const fs::path& second) {
  const TensorFolder one(first), two(second);
  ASSERT_EQ(one.names(), two.names());
  for (const std::string& name : one.names()) {
    ASSERT_EQ(one.shape(name), two.shape(name)) << name;
    std::size_t count = 1;
    for (const std::size_t n : one.shape(name)) count *= n;
    std::vector<float> a(count), b(count);
    one.read(name, a);
    two.read(name, b);
    double norm = 0, distance = 0;
    for (std::size_t i = 0; i < count; ++i) {
      norm += double(a[i]) * a[i];
      distance += (double(a[i]) - b[i]) * (double(a[i]) - b[i]);
    }
    EXPECT_LE(std::sqrt(distance), 1e-3 * std::sqrt(norm) + 1e-5 * std::sqrt(double(count))) << name;
  }
}

struct ShardedTraining : testing::Test {
  TemporaryFolder folder;
  TurningWaves waves{.times = 60};
  void SetUp() override { waves.write(folder / "archive"); }
  void TearDown() override { request_stop(0); }
  void train(const TrainConfig& config, const Layout& layout, const std::string& where, bool resume = false) {
    parallel::run_on_threads(layout.ranks, [&](const parallel::Communicator& communicator) {
      run_train(on(config, layout), communicator, folder / "archive", folder / where, resume);
    });
  }
  /// Stops after the first step that is taken.
  void train_a_step(const TrainConfig& config, const Layout& layout, const std::string& where, bool resume) {
    request_stop(SIGTERM);
    EXPECT_THROW(train(config, layout, where, resume), Interrupted) << layout;
    request_stop(0);
  }
  std::string message_of(const TrainConfig& config, const Layout& layout, const std::string& where, ErrorKind kind) {
    try {
      train(config, layout, where, fs::exists(folder / where));
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), kind) << error.what();
      return error.what();
    }
    return "no error";
  }
  void compare(const TrainConfig& config, std::span<const Layout> layouts) {
    train(config, {1, "", 1}, "alone");
    const auto alone = files_of(folder / "alone");
    for (const Layout& layout : layouts) {
      train(config, layout, "shared");
      EXPECT_EQ(difference(alone, files_of(folder / "shared")), "") << layout;
      fs::remove_all(folder / "shared");
    }
    fs::remove_all(folder / "alone");
  }
};

constexpr Layout data_layouts[] = {{2, "", 1},       {3, "", 1}, {4, "", 1}, {8, "", 1},
                                   {2, "data=2", 2}, {4, "", 2}, {2, "", 3}, {4, "", 3}};

TEST_F(ShardedTraining, OfAllPhasesIsTheSameOverTheData) {
  TrainConfig config = training_in_phases();
  config.roll_longitude = true;
  config.input_noise = 0.01;
  config.network.precision = "bf16";
  compare(config, data_layouts);
}

TEST_F(ShardedTraining, OfSeveralMicroBatchesIsTheSameOverTheData) {
  TrainConfig config = small_training(5);
  config.batch = 16;
  config.micro_batch = 2;
  compare(config, std::span(data_layouts));
}

constexpr Layout slab_layouts[] = {{2, "spatial=2", 1},        {4, "spatial=4", 1},        {2, "spatial=2", 3},
                                   {4, "data=2,spatial=2", 2}, {4, "data=2,spatial=2", 3}, {8, "data=2,spatial=4", 3}};

TEST_F(ShardedTraining, OfAllPhasesIsTheSameOverSlabs) {
  TrainConfig config = training_in_phases();
  config.roll_longitude = true;
  config.input_noise = 0.01;
  config.chunks = 4;
  compare(config, slab_layouts);
}

TEST_F(ShardedTraining, OverNodesIsTheSameInLevels) {
  TrainConfig config = small_training(4);
  config.batch = 16;
  config.micro_batch = 2;
  config.chunks = 2;
  config.ranks_per_node = 2;
  const Layout layouts[] = {{4, "", 1}, {4, "", 3}, {8, "", 2}, {8, "data=4,spatial=2", 1}, {8, "data=4,spatial=2", 3}};
  compare(config, layouts);
}

TEST_F(ShardedTraining, InMixedPrecisionIsTheSameOverSlabs) {
  TrainConfig config = small_training(4);
  config.network.precision = "bf16";
  config.micro_batch = 2;
  config.chunks = 4;
  const Layout layouts[] = {{2, "data=2", 3}, {4, "spatial=4", 3}, {4, "data=2,spatial=2", 1}};
  compare(config, layouts);
}

// Rollouts, replay and adapters pass micro-batch after micro-batch, single steps one forward, one backward.
TEST_F(ShardedTraining, OfAllPhasesIsTheSameInStages) {
  TrainConfig config = training_in_phases();
  config.roll_longitude = true;
  config.input_noise = 0.01;
  config.chunks = 4;
  const Layout layouts[] = {{2, "pipeline=2", 1},
                            {2, "pipeline=2", 3},
                            {4, "data=2,pipeline=2", 2},
                            {4, "pipeline=2,spatial=2", 3},
                            {8, "data=2,pipeline=2,spatial=2", 1},
                            {8, "data=2,pipeline=2,spatial=2", 3}};
  compare(config, layouts);
}

TEST_F(ShardedTraining, OfManyMicroBatchesIsTheSameInStages) {
  TrainConfig config = small_training(5);
  config.network.blocks = 5;
  config.network.lift = LiftConfig{1, 1};
  config.network.precision = "bf16";
  config.batch = 12;
  config.micro_batch = 2;
  const Layout layouts[] = {
      {2, "pipeline=2", 2}, {4, "pipeline=4", 1}, {4, "pipeline=4", 3}, {6, "data=2,pipeline=3", 1}};
  compare(config, layouts);
}

TEST_F(ShardedTraining, OfMembersIsTheSameInStages) {
  TrainConfig config = small_training(4);
  config.loss = "crps";
  config.members = 2;
  config.network.noise = 4;
  config.network.blocks = 4;
  const Layout layouts[] = {{2, "pipeline=2", 1}, {4, "pipeline=4", 1}, {4, "data=2,pipeline=2", 3}};
  compare(config, layouts);
}

TEST_F(ShardedTraining, GoesOnWithOtherStages) {
  TrainConfig config = training_in_phases();
  config.chunks = 4;
  train(config, {1, "", 1}, "whole");
  const Layout layouts[] = {{2, "pipeline=2", 1},
                            {4, "pipeline=2,spatial=2", 3},
                            {1, "", 1},
                            {4, "data=2,pipeline=2", 2},
                            {2, "spatial=2", 1}};
  train_a_step(config, layouts[0], "parts", false);
  for (std::size_t i = 1; i < 15; ++i) train_a_step(config, layouts[i % 5], "parts", true);
  train(config, layouts[1], "parts", true);
  auto whole = files_of(folder / "whole"), parts = files_of(folder / "parts");
  const auto older = [](const auto& file) {
    return file.first.starts_with("step-") && !file.first.starts_with("step-15");
  };
  std::erase_if(whole, older);
  std::erase_if(parts, older);
  EXPECT_EQ(difference(whole, parts), "");
}

TEST_F(ShardedTraining, OverHeadsAndInStagesDependsOnTheHeadsAlone) {
  TrainConfig config = small_training(5);
  config.chunks = 2;
  train(config, {2, "tensor=2", 1}, "heads");
  const auto heads = files_of(folder / "heads");
  for (const Layout& layout : {Layout{4, "pipeline=2,tensor=2", 1}, Layout{8, "pipeline=2,spatial=2,tensor=2", 3},
                               Layout{8, "data=2,pipeline=2,tensor=2", 2}}) {
    train(config, layout, "shared");
    EXPECT_EQ(difference(heads, files_of(folder / "shared")), "") << layout;
    fs::remove_all(folder / "shared");
  }
}

TEST_F(ShardedTraining, InTheLibrarysOrderIsNearlyTheSame) {
  TrainConfig config = small_training(5);
  config.chunks = 4;
  const double alone =
      run_train(config, parallel::Communicator::self(), folder / "archive", folder / "alone", false).loss;
  config.reduction = "fast";
  for (const Layout& layout : {Layout{4, "", 1}, Layout{4, "data=2,spatial=2", 2}})
    parallel::run_on_threads(layout.ranks, [&](const parallel::Communicator& communicator) {
      const TrainSummary summary = run_train(on(config, layout), communicator, folder / "archive",
                                             folder / fmt::format("zero {}", layout.zero), false);
      EXPECT_NEAR(summary.loss, alone, 1e-4 * alone) << layout;
    });
}

TEST_F(ShardedTraining, GoesOnOnOtherRanks) {
  TrainConfig config = training_in_phases();
  config.chunks = 4;
  train(config, {1, "", 1}, "whole");
  const Layout layouts[] = {{4, "spatial=2", 3}, {1, "", 1}, {2, "", 2}, {4, "spatial=4", 1}, {3, "", 1}, {2, "", 3}};
  train_a_step(config, layouts[0], "parts", false);
  for (std::size_t i = 1; i < 15; ++i) train_a_step(config, layouts[i % 6], "parts", true);
  train(config, layouts[3], "parts", true);
  auto whole = files_of(folder / "whole"), parts = files_of(folder / "parts");
  const auto older = [](const auto& file) {
    return file.first.starts_with("step-") && !file.first.starts_with("step-15");
  };
  std::erase_if(whole, older);
  std::erase_if(parts, older);
  EXPECT_EQ(difference(whole, parts), "");
}

TEST_F(ShardedTraining, OverHeadsDependsOnTheirRanksAlone) {
  TrainConfig config = training_in_phases();
  config.chunks = 4;
  train(config, {1, "", 1}, "alone");
  train(config, {2, "tensor=2", 1}, "heads");
  const auto heads = files_of(folder / "heads");
  for (const Layout& layout : {Layout{4, "data=2,tensor=2", 1}, Layout{4, "spatial=2,tensor=2", 3},
                               Layout{4, "data=2,tensor=2", 2}, Layout{8, "data=2,spatial=2,tensor=2", 3}}) {
    train(config, layout, "shared");
    EXPECT_EQ(difference(heads, files_of(folder / "shared")), "") << layout;
    fs::remove_all(folder / "shared");
  }
  // Of one rank's, they differ by rounding.
  expect_nearly_equal(folder / "alone" / "model", folder / "heads" / "model");
}

TEST_F(ShardedTraining, OverHeadsKeepsWhatIsCommonEqual) {
  TrainConfig config = small_training(5);
  config.chunks = 1;  // sums over all tokens at once
  config.checkpoint.every = 2;
  train(config, {1, "", 1}, "alone");
  train(config, {2, "tensor=2", 1}, "heads");  // compares at each checkpoint
  expect_nearly_equal(folder / "alone" / "model", folder / "heads" / "model");
}

TEST_F(ShardedTraining, GoesOnWithOtherHeads) {
  TrainConfig config = small_training(6);
  config.chunks = 2;
  config.checkpoint.every = 1000;
  const Layout layouts[] = {
      {4, "data=2,tensor=2", 3}, {1, "", 1}, {2, "tensor=2", 1}, {4, "spatial=2,tensor=2", 1}, {2, "", 2}};
  train(config, layouts[1], "whole");
  train_a_step(config, layouts[0], "parts", false);
  for (std::size_t i = 1; i < 5; ++i) train_a_step(config, layouts[i], "parts", true);
  train(config, layouts[1], "parts", true);
  expect_nearly_equal(folder / "whole" / "model", folder / "parts" / "model");
}

TEST_F(ShardedTraining, SaysWhatDoesNotFit) {
  const TrainConfig config = small_training(2);
  EXPECT_NE(message_of(config, {2, "data=4", 1}, "run", ErrorKind::usage).find("is of 4 ranks"), std::string::npos);
  EXPECT_NE(message_of(config, {3, "", 2}, "run", ErrorKind::usage).find("every rank needs as many"),
            std::string::npos);
  EXPECT_NE(message_of(config, {4, "pipeline=4", 1}, "run", ErrorKind::usage)
                .find("4 stages of the mesh's pipeline axis for 2 blocks"),
            std::string::npos);
  EXPECT_NE(message_of(config, {3, "tensor=3", 1}, "run", ErrorKind::usage).find("3 ranks of the mesh's tensor axis"),
            std::string::npos);
}

TEST_F(ShardedTraining, ADamagedPartOfACheckpointFallsBackToTheOneBefore) {
  const TrainConfig config = small_training();
  const Layout layout{4, "", 2};
  train(config, layout, "whole");
  for (const bool truncated : {false, true}) {
    train(config, layout, "run");
    fs::remove_all(folder / "run" / "model");
    const fs::path file = folder / "run" / "step-12" / "rank-2.bin";
    if (truncated) {
      fs::resize_file(file, fs::file_size(file) - 5);
    } else {
      std::fstream stream(file, std::ios::in | std::ios::out | std::ios::binary);
      stream.seekp(4100);
      stream.put('\x33');
    }
    try {
      TensorFolder(folder / "run" / "step-12").verify();
      ADD_FAILURE() << "the damage was not seen";
    } catch (const Error& error) {
      EXPECT_NE(std::string(error.what()).find("rank-2.bin"), std::string::npos) << error.what();
      EXPECT_NE(std::string(error.what()).find("chunk"), std::string::npos) << error.what();
    }
    EXPECT_EQ(newest_checkpoint(folder / "run"), 8);
    train(config, {2, "", 3}, "run", true);
    EXPECT_EQ(difference(files_of(folder / "whole"), files_of(folder / "run")), "");
    fs::remove_all(folder / "run");
  }
}

TEST_F(ShardedTraining, AGradientComputedTwiceIsTheSame) {
  TrainConfig config = training_in_phases();
  train(config, {1, "", 1}, "alone");
  config.replay_check = 2;
  for (const Layout& layout : {Layout{2, "", 2}, Layout{2, "pipeline=2", 1}}) {
    train(config, layout, "checked");
    EXPECT_EQ(difference(files_of(folder / "alone"), files_of(folder / "checked")), "") << layout;
    fs::remove_all(folder / "checked");
  }
}

}  // namespace
}  // namespace zonda::model
