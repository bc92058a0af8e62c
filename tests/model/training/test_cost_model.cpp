#include <gtest/gtest.h>

#include "core/error.hpp"
#include "model/training/cost_model.hpp"

namespace zonda::model {
namespace {

ForecastLayout layout() {
  return {.grid = Grid::gaussian(64, 128),
          .channels = {{"t", 50000}, {"u", 50000}, {"v", 50000}},
          .static_channels = {},
          .static_fields = {},
          .forcings = {},
          .steps = {Duration{6 * 3600}},
          .target = Target::tendency,
          .normalisation = {},
          .trained_lead = Duration{0}};
}

NetworkConfig network() {
  NetworkConfig config;
  config.preset = "tiny";
  config.window_rows = 4;
  config.window_columns = 4;
  config.patch = 2;
  return config;
}

System machine() {
  return {.name = "test",
          .source = "",
          .ranks_per_node = 4,
          .memory = 1e9,
          .fp32 = 1e10,
          .bf16 = 2e10,
          .within_node = {1e9, 1e-6},
          .between_nodes = {1e8, 1e-5}};
}

StepCost cost_on(const std::string& mesh, int ranks, int zero = 1, int batch = 8) {
  return cost_of_step(network(), layout(),
                      {.mesh = parallel::parse_mesh(mesh, ranks), .batch = batch, .zero = zero, .chunks = 8},
                      machine());
}

const Exchange* find(const StepCost& cost, const std::string& what) {
  for (const Exchange& exchange : cost.exchanges)
    if (exchange.what == what) return &exchange;
  return nullptr;
}

TEST(CostModel, OneRankSendsNothing) {
  const StepCost cost = cost_on("", 1);
  EXPECT_TRUE(cost.exchanges.empty());
  EXPECT_DOUBLE_EQ(cost.seconds(), cost.flops / 1e10);
  EXPECT_EQ(cost.nodes, 1);
}

TEST(CostModel, DataRanksShareWorkAndAddGradientsOnce) {
  const StepCost alone = cost_on("", 1), shared = cost_on("", 4);
  EXPECT_DOUBLE_EQ(shared.flops, alone.flops);
  EXPECT_DOUBLE_EQ(shared.rank_flops, alone.flops / 4);
  const Exchange* gradients = find(shared, "gradients over data");
  ASSERT_NE(gradients, nullptr);
  EXPECT_EQ(gradients->axis, "data");
  // Two micro-batches a rank are one node of the tree: three quarters of all parameters leave.
  const std::size_t parameters = alone.parameter_bytes;
  EXPECT_GT(gradients->bytes, 0U);
  EXPECT_LT(gradients->bytes, parameters);
  EXPECT_EQ(find(shared, "tokens and halos"), nullptr);
}

TEST(CostModel, BetweenNodesGoesWhatANodeHasSummedUp) {
  const StepCost wide = cost_on("", 8);  // two nodes of four
  EXPECT_EQ(wide.nodes, 2);
  const Exchange *weights = find(wide, "weights"), *gradients = find(wide, "gradients over data");
  ASSERT_NE(weights, nullptr);
  ASSERT_NE(gradients, nullptr);
  // Gathered: an eighth between the nodes, then three quarters within; summed the other way round.
  const double bytes = double(weights->bytes) / 7 * 8;
  const double messages = double(weights->messages) / 4;  // one between nodes, three within
  const double seconds = bytes / 8 / 1e8 + bytes * 3 / 4 / 1e9 + messages * (1e-5 + 3e-6);
  EXPECT_NEAR(weights->seconds, seconds, 1e-3 * seconds);
  EXPECT_NEAR(gradients->seconds, seconds, 1e-3 * seconds);
  EXPECT_NEAR(double(gradients->bytes), double(weights->bytes), 16.0 * double(messages));
}

TEST(CostModel, ManyRanksSendFewMessages) {
  const auto messages = [](int ranks) { return find(cost_on("", ranks, 1, ranks), "weights")->messages; };
  const std::uint64_t buckets = messages(2);
  EXPECT_EQ(messages(4), 3 * buckets);
  EXPECT_EQ(messages(64), (3 + 15) * buckets);
  EXPECT_EQ(messages(1024), (3 + 15 + 15) * buckets);
}

TEST(CostModel, SlabsWithinANodeAreGatheredLast) {
  const StepCost cost = cost_on("data=16,spatial=4", 64, 1, 16);
  const Exchange* weights = find(cost, "weights");
  ASSERT_NE(weights, nullptr);
  // Fifteen other nodes of a slab, then three slabs beside it.
  const double all = double(weights->bytes) * 64 / 63, buckets = double(weights->messages) / 18;
  const double seconds = all * 15 / 64 / 1e8 + all * 3 / 4 / 1e9 + buckets * (15e-5 + 3e-6);
  EXPECT_NEAR(weights->seconds, seconds, 1e-3 * seconds);
}

TEST(CostModel, SlabsShareWorkAndActivations) {
  const StepCost alone = cost_on("", 1), shared = cost_on("spatial=4", 4);
  EXPECT_NEAR(shared.rank_flops, alone.flops / 4, 1e-3 * alone.flops);
  EXPECT_LT(double(shared.activation_bytes), 1.5 * double(alone.activation_bytes) / 4);
  EXPECT_NE(find(shared, "tokens and halos"), nullptr);
  EXPECT_NE(find(shared, "gradients over slabs"), nullptr);
}

TEST(CostModel, ZeroCutsParametersStageByStage) {
  const StepCost one = cost_on("", 4, 1), two = cost_on("", 4, 2), three = cost_on("", 4, 3);
  EXPECT_GT(one.parameter_bytes, two.parameter_bytes);
  EXPECT_GT(two.parameter_bytes, three.parameter_bytes);
  EXPECT_GT(find(three, "weights")->bytes, find(two, "weights")->bytes);
}

TEST(CostModel, StagesShareWorkAndParametersAndWaitForEachOther) {
  const StepCost alone = cost_on("", 1), shared = cost_on("pipeline=2,data=1", 2);
  EXPECT_DOUBLE_EQ(shared.flops, alone.flops);
  EXPECT_GE(shared.rank_flops, alone.flops / 2);
  EXPECT_LT(shared.rank_flops, 0.75 * alone.flops);
  EXPECT_LT(double(shared.parameter_bytes), 0.75 * double(alone.parameter_bytes));
  // Of m micro-batches in P stages: (P - 1) / (m + P - 1) of the time.
  EXPECT_NEAR(shared.bubble_seconds / (shared.bubble_seconds + shared.compute_seconds), 1.0 / 9, 1e-12);
  const Exchange* tokens = find(shared, "tokens between stages");
  ASSERT_NE(tokens, nullptr);
  EXPECT_EQ(tokens->axis, "pipeline");
  EXPECT_EQ(tokens->messages, 8U * 2);  // tokens and modulation, or their gradients, of each micro-batch
  EXPECT_EQ(find(shared, "weights"), nullptr);
}

TEST(CostModel, WorkGrowsWithTheBatch) {
  EXPECT_DOUBLE_EQ(cost_on("", 2, 1, 16).flops, 2 * cost_on("", 2, 1, 8).flops);
}

TEST(CostModel, RefusesWhatCannotBeShared) {
  EXPECT_THROW(cost_on("data=3", 3), Error);               // 8 micro-batches
  EXPECT_THROW(cost_on("pipeline=64,data=1", 64), Error);  // more than blocks
  EXPECT_THROW(cost_on("spatial=16,data=1", 16), Error);   // 8 chunks
}

}  // namespace
}  // namespace zonda::model
