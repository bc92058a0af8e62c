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

TEST(GradientSum, IsTheSameOnAnyNumberOfRanks) {
  const std::size_t width = 33;
  const Shape shape{33};
  const Philox random(1, "gradients");
  for (const std::size_t terms : {1, 2, 3, 7, 8, 13}) {
    std::vector<std::vector<float>> gradients(terms, std::vector<float>(width));
    for (std::size_t t = 0; t < terms; ++t)
      for (std::size_t i = 0; i < width; ++i) gradients[t][i] = static_cast<float>(random.normal(t * width + i));
    const auto sum_of = [&](const parallel::Communicator& communicator, std::size_t begin, std::size_t end) {
      const auto backend = make_backend("cpu", 1);
      Arena arena;
      Context ctx(*backend, arena, DType::f32);
      GradientSum sum(communicator, terms, width);
      std::vector<float> total(width);
      for (int again = 0; again < 2; ++again) {
        for (std::size_t t = begin; t < end; ++t) sum.add(ctx, Tensor::of(gradients[t], shape));
        sum.finish(ctx, Tensor::of(total, shape));
      }
      return total;
    };
    const std::vector<float> alone = sum_of(parallel::Communicator::self(), 0, terms);
    for (std::size_t i = 0; i < width; ++i) {
      double exact = 0;
      for (const auto& gradient : gradients) exact += gradient[i];
      ASSERT_NEAR(alone[i], exact, 1e-5);
    }
    for (const int ranks : {2, 3, 4})
      parallel::run_on_threads(ranks, [&](const parallel::Communicator& communicator) {
        const auto mine =
            parallel::partition(terms, static_cast<std::size_t>(ranks), static_cast<std::size_t>(communicator.rank()));
        EXPECT_EQ(sum_of(communicator, mine.begin, mine.end), alone) << terms << " terms on " << ranks << " ranks";
      });
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
