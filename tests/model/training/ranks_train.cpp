// Under mpirun: training on these ranks gives the bytes of training alone.
#include <gtest/gtest.h>

#include "parallel/communicator.hpp"
#include "parallel/mpi_session.hpp"
#include "tests/model/training/small_training.hpp"
#include "tests/model/training/turning_waves.hpp"

namespace zonda {
namespace {

const parallel::Communicator* world = nullptr;

/// Trains on all ranks and on the first alone, and compares the files.
void expect_bytes_of_one(model::TrainConfig config, const std::string& mesh) {
  // All ranks need one folder: rank 0 makes it and tells its name.
  std::unique_ptr<TemporaryFolder> folder;
  std::string name(512, '\0');
  if (world->is_root()) {
    folder = std::make_unique<TemporaryFolder>();
    TurningWaves{.times = 60}.write(folder->path / "archive");
    folder->path.string().copy(name.data(), name.size());
  }
  world->broadcast(std::as_writable_bytes(std::span(name)), 0).wait();
  const std::filesystem::path path = name.c_str();
  config.roll_longitude = true;
  model::TrainConfig shared = config;
  shared.mesh = mesh;
  model::run_train(shared, *world, path / "archive", path / "shared", false);
  if (world->is_root()) {
    model::run_train(config, parallel::Communicator::self(), path / "archive", path / "alone", false);
    EXPECT_EQ(difference(files_of(path / "alone"), files_of(path / "shared")), "");
  }
  world->barrier();
}

TEST(RanksTrain, GiveTheBytesOfOne) {
  expect_bytes_of_one(training_in_phases(), "");
}

TEST(RanksTrain, WithSlabsGiveTheBytesOfOne) {
  model::TrainConfig config = training_in_phases();
  config.chunks = 4;
  expect_bytes_of_one(config, "spatial=" + std::to_string(world->size()));
  if (world->size() == 4) expect_bytes_of_one(config, "data=2,spatial=2");
}

TEST(RanksTrain, InStagesGiveTheBytesOfOne) {
  model::TrainConfig config = training_in_phases();
  config.network.blocks = 4;
  config.chunks = 2;
  expect_bytes_of_one(config, "pipeline=" + std::to_string(world->size()));
  if (world->size() < 4) return;
  config.zero = 3;
  expect_bytes_of_one(config, "data=2,pipeline=2");
  expect_bytes_of_one(config, "pipeline=2,spatial=2");
}

TEST(RanksTrain, WithGradientsAndWeightsCutGiveTheBytesOfOne) {
  model::TrainConfig config = training_in_phases();
  config.chunks = 4;
  for (const int zero : {2, 3}) {
    config.zero = zero;
    expect_bytes_of_one(config, "");
    expect_bytes_of_one(config, "spatial=" + std::to_string(world->size()));
  }
}

}  // namespace
}  // namespace zonda

int main(int argc, char** argv) {
  zonda::parallel::MpiSession session(argc, argv);
  zonda::world = &session.world();
  testing::InitGoogleTest(&argc, argv);
  return RUN_ALL_TESTS();
}
