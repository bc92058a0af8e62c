// Memory or processors that err in silence are found by what ranks hold in common, and by computing a step twice.
#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "model/training/sharded_parameters.hpp"
#include "model/training/training_mesh.hpp"
#include "tests/model/training/small_training.hpp"
#include "tests/model/training/turning_waves.hpp"

namespace zonda::model {
namespace {

constexpr int inputs = 6, outputs = 2;

ForecastNetwork small_network(const Sharding& sharding) {
  NetworkConfig config;
  config.preset = "tiny";
  config.width = 16;
  config.heads = 2;
  config.blocks = 2;
  return ForecastNetwork(config, Grid::latlon(8, 16, false), inputs, outputs, 3, DType::f32, make_backend("cpu", 1), {},
                         sharding);
}

TEST(SilentCorruption, OfOneReplicaIsNamed) {
  parallel::run_on_threads(3, [](const parallel::Communicator& world) {
    const parallel::Mesh mesh(world, parallel::parse_mesh("data=3"));
    ForecastNetwork network = small_network({});
    ShardedParameters parameters(network, training_ranks(mesh), 1, false);
    parameters.initialise(1);
    parameters.allocate(false);
    EXPECT_TRUE(parameters.ranks_that_differ().empty());
    if (world.rank() == 2) network.parameters().values().as<float>()[100] += 1e-6F;
    EXPECT_EQ(parameters.ranks_that_differ(), std::vector<int>{2});
  });
}

TEST(SilentCorruption, OfTwoReplicasThatDifferBothAreNamed) {
  parallel::run_on_threads(2, [](const parallel::Communicator& world) {
    const parallel::Mesh mesh(world, parallel::parse_mesh("data=2"));
    ForecastNetwork network = small_network({});
    ShardedParameters parameters(network, training_ranks(mesh), 2, false);
    parameters.initialise(1);
    parameters.allocate(false);
    if (world.rank() == 0) network.parameters().values().as<float>()[7] = 3;
    EXPECT_EQ(parameters.ranks_that_differ(), (std::vector<int>{0, 1}));
  });
}

TEST(SilentCorruption, OfAStageIsNamedByItsRankOfTheRun) {
  parallel::run_on_threads(6, [](const parallel::Communicator& world) {
    const parallel::Mesh mesh(world, parallel::parse_mesh("data=3,pipeline=2"));
    const TrainingRanks ranks = training_ranks(mesh);
    ForecastNetwork network = small_network(sharding_of(ranks, 1));
    ShardedParameters parameters(network, ranks, 1, false);
    parameters.initialise(1);
    parameters.allocate(false);
    EXPECT_TRUE(parameters.ranks_that_differ().empty());
    if (world.rank() == 3) {  // data rank 1, stage 1
      const ArenaRange own = parameters.held().back();
      network.parameters().values().as<float>()[own.first + own.count / 2] += 1e-6F;
    }
    const std::vector<int> wrong = parameters.ranks_that_differ();
    ASSERT_EQ(wrong.size(), 1U);
    EXPECT_EQ(rank_of_number(mesh, wrong[0]), 3);
  });
}

TEST(SilentCorruption, OfWhatRanksThatShareHeadsHoldInCommonIsSeen) {
  parallel::run_on_threads(2, [](const parallel::Communicator& world) {
    const parallel::Mesh mesh(world, parallel::parse_mesh("tensor=2"));
    ForecastNetwork network = small_network({.heads = mesh.along(parallel::Axis::tensor)});
    ShardedParameters parameters(network, training_ranks(mesh), 1, false);
    parameters.initialise(1);
    parameters.allocate(false);
    EXPECT_TRUE(parameters.heads_agree());
    const ParameterStore& store = network.parameters();
    const auto change = [&](bool cut) {
      for (const Parameter& p : store.list())
        if (p.cut.has_value() == cut) {
          if (world.rank() == 1) store.values().as<float>()[p.offset] += 1;
          return;
        }
    };
    change(true);  // each rank's own
    EXPECT_TRUE(parameters.heads_agree());
    change(false);
    EXPECT_FALSE(parameters.heads_agree());
  });
}

TEST(SilentCorruption, OfAGradientChangesTheHashOfItsRankAlone) {
  parallel::run_on_threads(4, [](const parallel::Communicator& world) {
    const parallel::Mesh mesh(world, parallel::parse_mesh("data=4"));
    ForecastNetwork network = small_network({});
    ShardedParameters parameters(network, training_ranks(mesh), 1, false);
    parameters.initialise(1);
    parameters.allocate(false);
    const std::vector<std::uint32_t> before = parameters.gradient_hashes();
    ASSERT_EQ(before.size(), 4U);
    std::uint32_t here = 0;
    for (const ArenaRange range : parameters.own())
      if (world.rank() == 1 && here++ == 0) network.parameters().gradients().as<float>()[range.first] += 1e-6F;
    const std::vector<std::uint32_t> after = parameters.gradient_hashes();
    for (std::size_t r = 0; r < 4; ++r) EXPECT_EQ(before[r] == after[r], r != 1) << r;
  });
}

TEST(TrainingTrace, HasARowForEachOperationOfEachRank) {
  const TemporaryFolder folder;
  TurningWaves waves{.times = 60};
  waves.write(folder / "archive");
  TrainConfig config = small_training(3);
  config.mesh = "data=2,spatial=2";
  config.chunks = 2;
  config.trace = true;
  parallel::run_on_threads(4, [&](const parallel::Communicator& ranks) {
    run_train(config, ranks, folder / "archive", folder / "run", false);
  });
  for (int rank = 0; rank < 4; ++rank) {
    std::ifstream file(folder / "run" / "trace" / ("rank-" + std::to_string(rank) + ".json"));
    const nlohmann::json trace = nlohmann::json::parse(file);
    const nlohmann::json& events = trace.is_array() ? trace : trace.at("traceEvents");
    std::size_t collectives = 0, of_checkpoints = 0;
    double bytes = 0;
    for (const nlohmann::json& event : events) {
      if (event.value("ph", "") != "X") continue;
      ++collectives;
      of_checkpoints += event.at("name").get<std::string>().starts_with("checkpoint: ");
      EXPECT_GE(event.at("dur").get<double>(), 0);
      if (event.contains("args") && event.at("args").contains("bytes"))
        bytes += event.at("args").at("bytes").get<double>();
    }
    EXPECT_GT(collectives, 30U) << rank;
    EXPECT_EQ(of_checkpoints, 3U) << rank << ": copied, written, put in place";
    EXPECT_GT(bytes, 1e4) << rank;
  }
}

}  // namespace
}  // namespace zonda::model
