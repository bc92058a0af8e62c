// Schedule, outlier guard, channel weights, gradient sum, metrics log.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <numeric>

#include "core/atomic_file.hpp"
#include "core/error.hpp"
#include "core/philox.hpp"
#include "model/training/channel_weights.hpp"
#include "model/training/gradient_sum.hpp"
#include "model/training/metrics_log.hpp"
#include "model/training/outlier_guard.hpp"
#include "model/training/schedule.hpp"
#include "parallel/partition.hpp"
#include "tests/model/training/turning_waves.hpp"

namespace zonda::model {
namespace {

TEST(Schedule, WarmsUpAndFallsAlongACosine) {
  const Schedule schedule{1e-3, 1e-5, 10};
  EXPECT_NEAR(schedule.rate(0, 0), 1e-4, 1e-12);
  EXPECT_NEAR(schedule.rate(9, 0), 1e-3, 1e-12);
  EXPECT_NEAR(schedule.rate(50, 0.5), 0.5 * (1e-3 + 1e-5), 1e-12);
  EXPECT_NEAR(schedule.rate(99, 1), 1e-5, 1e-12);
}

TEST(Schedule, TheAverageForgetsTheInitialWeights) {
  EXPECT_NEAR(average_decay(0.99, 1), 2.0 / 11, 1e-12);
  EXPECT_EQ(average_decay(0.99, 100'000), 0.99);
}

TEST(OutlierGuard, LeavesOutWhatIsFarOff) {
  OutlierGuard guard(6);
  const Philox noise(1, "noise");
  for (std::uint64_t i = 0; i < 60; ++i) EXPECT_EQ(guard.judge(1 + 0.1 * noise.uniform(i), 2), "");
  EXPECT_NE(guard.judge(50, 2), "");
  EXPECT_NE(guard.judge(1, 500), "");
  EXPECT_EQ(guard.judge(1.05, 2), "");
  OutlierGuard off(0);
  for (std::uint64_t i = 0; i < 60; ++i) EXPECT_EQ(off.judge(i == 50 ? 1e9 : 1, 2), "");
}

TEST(OutlierGuard, AcceptsANewLevelAfterAWhile) {
  OutlierGuard guard(6);
  for (int i = 0; i < 60; ++i) guard.judge(1, 1);
  int left_out = 0;
  for (int i = 0; i < 50; ++i) left_out += guard.judge(100, 100).empty() ? 0 : 1;
  EXPECT_EQ(left_out, 9);
}

TEST(OutlierGuard, ContinuesFromItsRecord) {
  OutlierGuard guard(6), other(6);
  for (int i = 0; i < 60; ++i) guard.judge(1 + 0.001 * i, 1);
  other.from_json(nlohmann::json::parse(guard.to_json().dump()));
  EXPECT_EQ(guard.judge(1.5, 1.2), other.judge(1.5, 1.2));
  EXPECT_EQ(guard.to_json(), other.to_json());
}

TEST(ChannelWeights, FollowPressureAndTheRulesForTheSurface) {
  const std::vector<Channel> channels{{"z", 200}, {"z", 500}, {"z", 800}, {"2t", 0}, {"sp", 0}};
  EXPECT_EQ(channel_weights(channels, {}), (std::vector<float>{0.4F, 1.0F, 1.6F, 1.0F, 0.1F}));
  const std::vector<std::string> overrides{"z=2", "z500=3.5", "sp=0"};
  EXPECT_EQ(channel_weights(channels, overrides), (std::vector<float>{2, 3.5F, 2, 1, 0}));
  for (const char* wrong : {"z500", "z500=-1", "z500=x", "z501=1"}) {
    const std::vector<std::string> list{wrong};
    EXPECT_THROW(channel_weights(channels, list), Error) << wrong;
  }
}

/// A store of two buckets, each of some parameters; pieces of the optimiser end within one of them.
struct TwoBuckets {
  ParameterStore store;
  std::vector<Bucket> buckets;
  TwoBuckets() {
    for (const auto& [name, count] : {std::pair{"a.matrix", 40000}, {"a.bias", 7}, {"a.gain", 300}})
      store.add(name, {count}, true, 1);
    buckets.push_back({"a", 0, store.extent(), false});
    for (const auto& [name, count] : {std::pair{"b.matrix", 1000}, {"b.other", 500}, {"b.third", 900}})
      store.add(name, {count}, true, 1);
    buckets.push_back({"b", buckets[0].count, store.extent() - buckets[0].count, false});
    store.allocate_values();
  }
};

TEST(ParameterShares, CutEveryBucketBetweenPieces) {
  const TwoBuckets s;
  for (const auto& [slabs, data] : {std::pair{1, 1}, {1, 3}, {2, 2}, {4, 2}}) {
    parallel::run_on_threads(slabs * data, [&, slabs = slabs, data = data](const parallel::Communicator& all) {
      const int slab = all.rank() / data, rank = all.rank() % data;
      const ParameterShares shares(s.store, s.buckets, {all.split(slab, rank), all.split(100 + rank, slab), all});
      for (std::size_t b = 0; b < 2; ++b) {
        std::int64_t next = s.buckets[b].first;
        std::size_t pieces = 0;
        for (int r = 0; r < all.size(); ++r) {
          EXPECT_EQ(shares.share(b, r).first, next);
          next += shares.share(b, r).count;
          pieces += count_pieces(s.store, shares.share(b, r).first, shares.share(b, r).count);
        }
        EXPECT_EQ(next, s.buckets[b].first + s.buckets[b].count);
        EXPECT_EQ(pieces, b == 0 ? 5U : 3U);
        EXPECT_EQ(shares.slab_share(b).first, shares.share(b, slab * data).first);
        EXPECT_EQ(shares.data_cuts(b).back(), static_cast<std::size_t>(shares.slab_share(b).count));
        EXPECT_EQ(shares.slab_cuts(b).size(), static_cast<std::size_t>(slabs) + 1);
      }
    });
  }
}

TEST(ParameterShares, EvenOutOverTheBuckets) {
  // Of 3 3/7 pieces a rank and bucket: alone, each bucket would leave some ranks a fifth more than others.
  ParameterStore store;
  std::vector<Bucket> buckets;
  for (int b = 0; b < 40; ++b) {
    store.add("block" + std::to_string(b) + ".matrix", {24 * optimiser_piece}, true, 1);
    buckets.push_back({"block" + std::to_string(b), b * 24 * optimiser_piece, 24 * optimiser_piece, false, b / 20});
  }
  parallel::run_on_threads(7, [&](const parallel::Communicator& all) {
    const ParameterShares shares(store, buckets, TrainingRanks::of_data(all));
    for (const int stage : {0, 1})
      for (int rank = 0; rank < 7; ++rank) {
        std::int64_t numbers = 0;
        for (std::size_t b = 0; b < buckets.size(); ++b)
          if (buckets[b].stage == stage) numbers += shares.share(b, rank).count;
        EXPECT_NEAR(static_cast<double>(numbers) / optimiser_piece, 20 * 24 / 7., 1) << "rank " << rank;
      }
  });
}

/// Micro-batches of two passes each over a sample of `chunks` chunks; what a pass adds follows from the numbers alone.
struct FakeTraining {
  std::size_t terms, chunks;
  int passes;
  static void term(std::size_t t, std::size_t pass, std::size_t chunk, std::span<float> into) {
    const Philox random(1, "gradients");
    for (std::size_t i = 0; i < into.size(); ++i)
      into[i] += static_cast<float>(random.normal(((t * 4 + pass) * 16 + chunk) * 65536 + i));
  }
  /// A rank's share of the sum, and nothing else.
  std::vector<float> sum(const parallel::Communicator& all, int slabs, bool by_bucket) const {
    TwoBuckets s;
    if (by_bucket) s.store.keep_sparse({.values = false, .gradients = true, .moments = true});
    const int data = all.size() / slabs, slab = all.rank() / data, rank = all.rank() % data;
    const TrainingRanks ranks{all.split(slab, rank), all.split(100 + rank, slab), all};
    const ParameterShares shares(s.store, s.buckets, ranks);
    GradientSum sum(s.store, shares, terms, {.passes = passes, .by_bucket = by_bucket, .chunked = chunks > 1});
    const auto backend = make_backend("cpu", 1);
    Arena arena;
    Context ctx(*backend, arena, DType::f32);
    const auto mine = parallel::partition(terms, static_cast<std::size_t>(data), static_cast<std::size_t>(rank));
    const auto own_chunks =
        parallel::partition(chunks, static_cast<std::size_t>(slabs), static_cast<std::size_t>(slab));
    for (int again = 0; again < 2; ++again) {
      for (std::size_t t = mine.begin; t < mine.end; ++t) {
        sum.begin_term(ctx);
        for (int pass = 0; pass < passes; ++pass)
          for (const std::size_t b : {1UL, 0UL}) {
            const auto of_bucket = s.store.gradients().span<float>().subspan(
                static_cast<std::size_t>(s.buckets[b].first), static_cast<std::size_t>(s.buckets[b].count));
            add_pass(t, static_cast<std::size_t>(pass), own_chunks, of_bucket);
            sum.gradients_ready(b);
          }
        sum.end_term(ctx);
      }
      sum.finish(ctx);
    }
    std::vector<float> whole(static_cast<std::size_t>(s.store.extent()));
    for (std::size_t b = 0; b < 2; ++b) {
      const ArenaRange own = shares.own(b);
      const auto from = s.store.gradients().span<float>().subspan(static_cast<std::size_t>(own.first),
                                                                  static_cast<std::size_t>(own.count));
      std::copy(from.begin(), from.end(), whole.begin() + own.first);
    }
    all.all_reduce(std::span(whole), parallel::Reduction::sum).wait();
    return whole;
  }
  void add_pass(std::size_t t, std::size_t pass, parallel::Range own, std::span<float> into) const {
    if (chunks == 1) return term(t, pass, 0, into);
    // The subtree over the own chunks, then added as the network adds it.
    std::vector<std::vector<float>> level;
    for (std::size_t chunk = own.begin; chunk < own.end; ++chunk) {
      level.emplace_back(into.size());
      term(t, pass, chunk, level.back());
    }
    for (; level.size() > 1; level.resize(level.size() / 2))
      for (std::size_t i = 0; i < level.size() / 2; ++i) {
        std::vector<float> pair = level[2 * i];
        for (std::size_t k = 0; k < pair.size(); ++k) pair[k] += level[2 * i + 1][k];
        level[i] = std::move(pair);
      }
    for (std::size_t k = 0; k < into.size(); ++k) into[k] += level[0][k];
  }
};

TEST(GradientSum, IsTheSameOnAnyRanks) {
  for (const FakeTraining& training :
       {FakeTraining{1, 1, 1}, FakeTraining{7, 1, 2}, FakeTraining{8, 1, 1}, FakeTraining{4, 4, 2}}) {
    const std::vector<float> alone = training.sum(parallel::Communicator::self(), 1, false);
    EXPECT_TRUE(std::any_of(alone.begin(), alone.end(), [](float x) { return x != 0; }));
    for (const auto& [ranks, slabs] : {std::pair{2, 1}, {3, 1}, {4, 1}, {2, 2}, {4, 2}, {4, 4}, {8, 4}})
      for (const bool by_bucket : {false, true}) {
        const auto data = static_cast<std::size_t>(ranks / slabs);
        if ((by_bucket && training.terms < data) || static_cast<std::size_t>(slabs) > training.chunks) continue;
        if (slabs > 1 && !by_bucket) continue;
        parallel::run_on_threads(ranks, [&, slabs = slabs](const parallel::Communicator& all) {
          const std::vector<float> shared = training.sum(all, slabs, by_bucket);
          EXPECT_EQ(std::memcmp(shared.data(), alone.data(), alone.size() * sizeof(float)), 0)
              << training.terms << " terms, " << training.chunks << " chunks on " << all.size() << " ranks, " << slabs
              << " slabs";
        });
      }
  }
}

TEST(MetricsLog, IsCutBackToTheCheckpoint) {
  const TemporaryFolder folder;
  std::uint64_t length = 0;
  {
    MetricsLog log(folder / "metrics.jsonl", 0);
    log.write({{"step", 1}});
    length = log.sync();
    log.write({{"step", 2}});
  }
  {
    MetricsLog log(folder / "metrics.jsonl", length);
    log.write({{"step", 3}});
  }
  EXPECT_EQ(read_file(folder / "metrics.jsonl"), "{\"step\":1}\n{\"step\":3}\n");
  EXPECT_THROW(MetricsLog(folder / "metrics.jsonl", 1000), Error);
}

}  // namespace
}  // namespace zonda::model
