// A network whose samples, or layers, are shared by ranks: the bits of one that is not, and exactly the messages that
// were foretold.
#include <gtest/gtest.h>

#include <mutex>

#include "model/network/token_move.hpp"
#include "network_sample.hpp"
#include "parallel/canonical.hpp"
#include "parallel/counting.hpp"

namespace zonda::model {
namespace {

using testing::get;
using testing::Operands;

constexpr int kChunks = 8, kInputs = 5, kOutputs = 3, kConditions = 4;

NetworkConfig config_of(const std::string& kind) {
  NetworkConfig config = testing::smallest_network();
  if (kind == "levels") config.embedding = "levels";
  if (kind == "lift") config.lift = LiftConfig{2, 2};
  if (kind == "adapters") config.lora = LoraConfig{4, {1.0}};
  if (kind == "mixed") config.precision = "bf16";
  return config;
}

/// One sample travels in halves, on grids where there is room for them.
int samples_of(const std::string& kind) {
  return kind == "one_sample" ? 1 : 2;
}

std::vector<Grid> grids_of(const std::string& kind) {
  if (kind == "one_sample") return {Grid::gaussian(32, 48)};
  return {Grid::gaussian(32, 24), Grid::parse("latlon 33x24")};
}

struct Outcome {
  std::vector<double> y, dx, weight_gradients;
  bool operator==(const Outcome&) const = default;
};

/// Rows of this rank of images [B, C, H, W] are put into their places of the whole ones.
void put(const Tensor& mine, parallel::Range rows, std::int64_t all_rows, std::vector<double>& whole) {
  const std::int64_t images = mine.shape[0] * mine.shape[1], here = mine.shape[2], columns = mine.shape[3];
  whole.resize(static_cast<std::size_t>(images * all_rows * columns));
  for (std::int64_t i = 0; i < images * here * columns; ++i) {
    const std::int64_t image = i / (here * columns), row = i / columns % here;
    whole[static_cast<std::size_t>((image * all_rows + static_cast<std::int64_t>(rows.begin) + row) * columns +
                                   i % columns)] = get(mine, i);
  }
}

Outcome run(const std::string& kind, const Grid& grid, int ranks, int stages = 1) {
  const int samples = samples_of(kind);
  Outcome whole;
  std::vector<Outcome> of_stages(static_cast<std::size_t>(stages));
  std::mutex mutex;
  parallel::run_on_threads(ranks * stages, [&](const parallel::Communicator& all) {
    const auto traffic = std::make_shared<parallel::Traffic>(), along = std::make_shared<parallel::Traffic>();
    const int stage = all.rank() / ranks, slab = all.rank() % ranks;
    const parallel::Communicator world = all.split(stage, slab), layers = all.split(slab, stage);
    ForecastNetwork network(config_of(kind), grid, kInputs, kOutputs, kConditions, DType::f32, make_backend("cpu", 1),
                            {0, 1, 1, 0, 2},
                            {.slabs = parallel::counted(world, traffic),
                             .chunks = kChunks,
                             .heads = parallel::Communicator::self(),
                             .stages = parallel::counted(layers, along)});
    testing::randomise(network.parameters());
    const parallel::Range rows = network.slab().image_rows();
    const auto here = static_cast<std::int64_t>(rows.size()), columns = static_cast<std::int64_t>(grid.nlon()),
               all_rows = static_cast<std::int64_t>(grid.nlat());
    Operands operands(DType::f32);
    const auto image = [&](int channels, const std::string& seed) {
      return operands.add({samples, channels, here, columns}, [&, random = Philox(5, seed)](std::int64_t i) {
        const std::int64_t field = i / (here * columns), row = i / columns % here;
        return double(float(random.normal(static_cast<std::uint64_t>(
            (field * all_rows + static_cast<std::int64_t>(rows.begin) + row) * columns + i % columns))));
      });
    };
    const Tensor x = image(kInputs, "x"), dy = image(kOutputs, "dy"),
                 condition = operands.add({samples, kConditions}, "condition"), y = operands.zeros(dy.shape),
                 dx = operands.zeros(x.shape);
    network.plan(samples, Use::training);
    const std::vector<double> both{0.5, 2}, leads(both.begin(), both.begin() + samples);
    network.set_leads(leads);
    network.forward(x, condition, y);
    const auto forward = network.forward_traffic(samples);
    EXPECT_EQ(traffic->bytes(), forward.bytes) << kind << ", " << ranks << " ranks";
    EXPECT_EQ(traffic->messages(), forward.messages) << kind << ", " << ranks << " ranks";
    const auto onward = network.forward_stage_traffic(samples, true);
    EXPECT_EQ(along->bytes(), onward.bytes) << kind << ", stage " << stage << " of " << stages;
    EXPECT_EQ(along->messages(), onward.messages) << kind << ", stage " << stage << " of " << stages;
    network.backward(dy, dx);
    const auto back = network.backward_stage_traffic(samples, true);
    EXPECT_EQ(along->bytes(), onward.bytes + back.bytes) << kind << ", stage " << stage << " of " << stages;
    EXPECT_EQ(along->messages(), onward.messages + back.messages) << kind << ", stage " << stage << " of " << stages;
    const auto backward = network.backward_traffic(samples, true);
    EXPECT_EQ(traffic->bytes(), forward.bytes + backward.bytes) << kind << ", " << ranks << " ranks";
    EXPECT_EQ(traffic->messages(), forward.messages + backward.messages) << kind << ", " << ranks << " ranks";
    if (ranks > 1 && stages == 1) {
      EXPECT_GT(forward.bytes, 0U);
    }
    EXPECT_EQ(onward.bytes > 0 && back.bytes > 0, stages > 1);

    const Tensor gradients = network.parameters().gradients();
    std::vector<float> sum(static_cast<std::size_t>(gradients.count()));
    parallel::canonical_all_reduce(world, static_cast<std::size_t>(ranks), sum.size(), gradients.span<const float>(),
                                   std::span(sum));
    for (const Bucket& bucket : network.buckets())
      if (bucket.replicated)
        std::copy_n(gradients.as<float>() + bucket.first, bucket.count, sum.begin() + bucket.first);
    const std::scoped_lock lock(mutex);
    // Outputs are everybody's; weights, of the stage that has them. What the others have is as it was.
    whole.weight_gradients.resize(sum.size());
    for (const Bucket& bucket : network.buckets())
      for (std::int64_t i = bucket.first; i < bucket.first + bucket.count; ++i) {
        const auto at = static_cast<std::size_t>(i);
        if (bucket.stage == stage)
          whole.weight_gradients[at] = sum[at];
        else if (sum[at] != 0)
          FAIL() << "stage " << stage << " wrote gradients of " << bucket.name;
      }
    put(y, rows, all_rows, of_stages[static_cast<std::size_t>(stage)].y);
    put(dx, rows, all_rows, of_stages[static_cast<std::size_t>(stage)].dx);
  });
  for (const Outcome& of_stage : of_stages) EXPECT_EQ(of_stage, of_stages[0]) << kind << ", " << stages << " stages";
  whole.y = of_stages[0].y;
  whole.dx = of_stages[0].dx;
  return whole;
}

class ShardedNetwork : public ::testing::TestWithParam<const char*> {};

TEST_P(ShardedNetwork, HasTheSameBitsOnAnyNumberOfRanksAndSendsWhatWasForetold) {
  for (const Grid& grid : grids_of(GetParam())) {
    const Outcome serial = run(GetParam(), grid, 1);
    for (const int ranks : {2, 4, 8}) {
      const Outcome shared = run(GetParam(), grid, ranks);
      EXPECT_EQ(serial.y, shared.y) << ranks << " ranks on " << grid.to_string();
      EXPECT_EQ(serial.dx, shared.dx) << ranks << " ranks on " << grid.to_string();
      EXPECT_EQ(serial.weight_gradients, shared.weight_gradients) << ranks << " ranks on " << grid.to_string();
    }
  }
}

TEST_P(ShardedNetwork, HasTheSameBitsWithItsLayersOnSeveralRanks) {
  for (const Grid& grid : grids_of(GetParam())) {
    const Outcome serial = run(GetParam(), grid, 1);
    for (const auto& [slabs, stages] : {std::pair(1, 2), std::pair(1, 4), std::pair(2, 2), std::pair(2, 4)}) {
      const Outcome shared = run(GetParam(), grid, slabs, stages);
      EXPECT_EQ(serial.y, shared.y) << slabs << " slabs, " << stages << " stages on " << grid.to_string();
      EXPECT_EQ(serial.dx, shared.dx) << slabs << " slabs, " << stages << " stages on " << grid.to_string();
      EXPECT_EQ(serial.weight_gradients, shared.weight_gradients)
          << slabs << " slabs, " << stages << " stages on " << grid.to_string();
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Kinds, ShardedNetwork,
                         ::testing::Values("plain", "levels", "lift", "adapters", "mixed", "one_sample"),
                         [](const auto& tested) { return std::string(tested.param); });

// 0.25 degree, patch 4, width 1024, windows of 12 x 12 tokens, 8 ranks: a layer's share of moving to shifted windows,
// against sending queries, keys, values and results to everybody (parallel.md, section 2).
TEST(SpatialTraffic, IsATenthOfAllToAllAttentions) {
  const TokenGrid grid(Grid::parse("latlon 721x1440"), 4);
  constexpr std::int64_t width = 1024;
  parallel::run_on_threads(8, [&](const parallel::Communicator& world) {
    const auto traffic = std::make_shared<parallel::Traffic>();
    const Slab slab(grid, {.slabs = parallel::counted(world, traffic), .chunks = 8}, 12);
    const LayerTokens windows(draft_windows(grid, 12, 12, false, 64), slab, Cut::by_row, DType::f32, host_memory()),
        shifted(draft_windows(grid, 12, 12, true, 64), slab, Cut::by_row, DType::f32, host_memory());
    const TokenMove move(windows.order(), shifted.order(), slab);
    const std::shared_ptr<Backend> backend = make_backend("reference");
    testing::run_planned(*backend, DType::f32, [&](Context& ctx) {
      Tensor rows = ctx.take({windows.count(), width});
      move.forward(ctx, 1, rows);
      move.backward(ctx, 1, rows);
    });
    const double all_to_all = 8.0 * double(windows.count()) * width * 4 * 7 / 8;  // q, k, v, y and their gradients
    EXPECT_LE(double(traffic->bytes()), 0.1 * all_to_all);
    if (world.rank() > 0 && world.rank() < 7) {
      EXPECT_EQ(traffic->bytes(), 2U * 6 * 360 * width * 4);  // half a window of rows there and back
    }
  });
}

}  // namespace
}  // namespace zonda::model
