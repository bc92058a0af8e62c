// The power goes at any moment while checkpoints and models are written.
#include <gtest/gtest.h>

#include <cstdlib>
#include <nlohmann/json.hpp>

#include "core/atomic_file.hpp"
#include "core/error.hpp"
#include "model/forecast_state/tensor_folder.hpp"
#include "model/tensor/memory.hpp"
#include "model/training/checkpoint.hpp"
#include "tests/core/power_loss.hpp"
#include "tests/model/training/turning_waves.hpp"

namespace zonda::model {
namespace {

namespace fs = std::filesystem;

std::vector<float> numbers_of(std::int64_t step) {
  std::vector<float> numbers(600);
  for (std::size_t i = 0; i < numbers.size(); ++i) numbers[i] = static_cast<float>(1000 * step) + static_cast<float>(i);
  return numbers;
}

/// In memory where it can be: many worlds are laid down.
const int in_memory = fs::is_directory("/dev/shm") ? ::setenv("TMPDIR", "/dev/shm", 1) : 0;

struct PowerLossTest : ::testing::Test {
  TemporaryFolder folder;
  fs::path run = folder / "run";
  void SetUp() override {
    ASSERT_EQ(in_memory, 0);
    fs::create_directories(run);
  }
};

TEST_F(PowerLossTest, EveryCheckpointThatIsThereIsWholeAndPromisesAreKept) {
  zonda::testing::PowerLoss power(run, folder / "worlds");
  const TrainingIdentity identity{"archive", {{"width", 8}}};
  const CheckpointConfig config{.every = 1, .keep = 2, .keep_every = 0};
  const parallel::Communicator self = parallel::Communicator::self();
  CheckpointWriter writer(run / "checkpoints", identity, config, self, nlohmann::json::object());
  for (int step = 1; step <= 4; ++step) {
    std::vector<float> numbers = numbers_of(step);
    const std::vector<CheckpointPart> parts{{0, 0, Tensor::of(std::span(numbers), {600})}};
    TrainingPosition position;
    position.step = step;
    writer.begin(position, {{"numbers", {600}}}, parts, host_memory());
    writer.complete(true);
    power.promise(step);
  }
  int with_two = 0;
  for (const auto& world : power.stop()) {
    SCOPED_TRACE(world.after + " in " + world.folder.filename().string());
    const fs::path there = world.folder / "checkpoints";
    const std::vector<std::int64_t> steps = list_checkpoints(there);
    for (const std::int64_t step : steps) {
      ASSERT_NO_THROW(TensorFolder(there / ("step-" + std::to_string(step))).verify());
      std::vector<float> numbers(600);
      read_checkpoint_numbers(there, step, "numbers", 0, numbers);
      EXPECT_EQ(numbers, numbers_of(step));
    }
    ASSERT_GE(newest_checkpoint(there).value_or(0), world.promise);
    with_two += steps.size() >= 2;
    if (!fs::exists(there / "LATEST")) continue;
    const std::string latest = read_file(there / "LATEST");
    ASSERT_TRUE(latest.starts_with("step-") && latest.ends_with("\n")) << latest;
    EXPECT_TRUE(fs::exists(there / latest.substr(0, latest.size() - 1))) << latest;
    EXPECT_GE(latest, "step-" + std::to_string(world.promise));
  }
  EXPECT_GT(with_two, 10);
}

TEST_F(PowerLossTest, OfAModelThatIsReplacedThereIsAlwaysOne) {
  zonda::testing::PowerLoss power(run, folder / "worlds");
  for (int version = 1; version <= 3; ++version) {
    const std::vector<float> numbers = numbers_of(version);
    write_tensor_folder(run / "model", {{"version", version}}, std::vector<NamedTensor>{{"numbers", {600}, numbers}});
    power.promise(version);
  }
  EXPECT_FALSE(fs::exists(run / "model.tmp"));
  for (const auto& world : power.stop()) {
    SCOPED_TRACE(world.after);
    if (!fs::exists(world.folder / "model")) {
      EXPECT_EQ(world.promise, 0);
      continue;
    }
    TensorFolder model(world.folder / "model");
    ASSERT_NO_THROW(model.verify());
    EXPECT_GE(model.header().at("version").get<int>(), world.promise);
  }
}

}  // namespace
}  // namespace zonda::model
