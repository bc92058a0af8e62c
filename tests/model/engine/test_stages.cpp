// Layers cut into stages, and what a network does whose layers are.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <mutex>
#include <numeric>

#include "core/error.hpp"
#include "model/network/stages.hpp"
#include "network_sample.hpp"
#include "parallel/counting.hpp"
#include "tests/parallel/diary.hpp"

namespace zonda::model {
namespace {

using testing::get;

TEST(Stages, AreCutWhereTheMostWorkIsLeast) {
  const std::vector<double> even(8, 1);
  EXPECT_EQ(cut_into_stages(even, 0, 0, 4), (std::vector<std::size_t>{0, 2, 4, 6, 8}));
  // An embedding as heavy as two layers, a head as heavy as one.
  EXPECT_EQ(cut_into_stages(std::vector<double>(9, 1), 2, 1, 3), (std::vector<std::size_t>{0, 2, 6, 9}));
  EXPECT_EQ(cut_into_stages(std::vector<double>{5, 1, 1, 1}, 0, 0, 2), (std::vector<std::size_t>{0, 1, 4}));
  EXPECT_EQ(cut_into_stages(std::vector<double>{1, 1, 1}, 100, 0, 3), (std::vector<std::size_t>{0, 1, 2, 3}));
}

TEST(Stages, NoCutOfAllIsBetter) {
  const Philox random(3, "work");
  std::vector<double> work(7);
  for (std::size_t i = 0; i < work.size(); ++i) work[i] = 0.1 + random.uniform(i);
  const double first = 0.7, last = 0.4;
  const auto most = [&](std::span<const std::size_t> cuts) {
    double largest = 0;
    for (std::size_t p = 0; p + 1 < cuts.size(); ++p) {
      double sum = (p == 0 ? first : 0) + (p + 2 == cuts.size() ? last : 0);
      for (std::size_t i = cuts[p]; i < cuts[p + 1]; ++i) sum += work[i];
      largest = std::max(largest, sum);
    }
    return largest;
  };
  double least = 1e9;
  for (std::size_t a = 1; a < 6; ++a)
    for (std::size_t b = a + 1; b < 7; ++b) least = std::min(least, most(std::vector<std::size_t>{0, a, b, 7}));
  EXPECT_NEAR(most(cut_into_stages(work, first, last, 3)), least, 1e-12);
}

TEST(Stages, MoreThanLayersAreRefused) {
  EXPECT_THROW(cut_into_stages(std::vector<double>{1, 1}, 0, 0, 3), Error);
}

TEST(StageLink, WhatIsExpectedComesMeanwhileAndIsTakenInItsOrder) {
  parallel::run_on_threads(2, [](const parallel::Communicator& threads) {
    const auto diary = std::make_shared<parallel::Diary>();
    StageLink link(parallel::in_diary(threads, diary));
    std::vector<float> tokens{1, 2, 3}, more{4};
    const auto both = [&](std::vector<float>& a, std::vector<float>& b) {
      return std::array{Tensor::of(a, {3}), Tensor::of(b, {1})};
    };
    constexpr std::array<std::size_t, 2> bytes{3 * sizeof(float), sizeof(float)};
    if (link.first()) {
      link.expect(StageLink::Way::onward, bytes);  // nobody is before it
      EXPECT_TRUE(diary->lines().empty());
      std::vector<parallel::Event> sent;
      link.send(StageLink::Way::onward, both(tokens, more), sent);
      tokens[0] = 7;
      link.send(StageLink::Way::onward, both(tokens, more), sent);
      link.send(StageLink::Way::onward, both(tokens, more), sent);
      for (parallel::Event& event : sent) event.wait();
      return;
    }
    link.expect(StageLink::Way::onward, bytes);
    link.expect(StageLink::Way::onward, bytes);
    EXPECT_EQ(diary->lines().size(), 4U) << "two receives of two messages";
    diary->write("work");
    std::vector<float> got(3), one(1);
    link.receive(StageLink::Way::onward, both(got, one));
    EXPECT_EQ(got, (std::vector<float>{1, 2, 3}));
    const parallel::DiaryReading reading(diary->lines(), "receive");
    EXPECT_GT(reading.at("work"), reading.leaves(3));
    EXPECT_LT(reading.at("work"), reading.is_over(0));
    EXPECT_THROW(link.receive(StageLink::Way::onward, std::array{Tensor::of(one, {1}), Tensor::of(got, {3})}),
                 Error);                                   // other sizes
    link.receive(StageLink::Way::onward, both(got, one));  // not expected
    EXPECT_EQ(got[0], 7);
    EXPECT_EQ(one[0], 4);
  });
}

struct Made {
  std::vector<double> y, ty, dx;
  bool operator==(const Made&) const = default;
};

std::vector<double> numbers_of(const Tensor& tensor) {
  std::vector<double> numbers;
  for (std::int64_t i = 0; i < tensor.count(); ++i) numbers.push_back(get(tensor, i));
  return numbers;
}

/// The linear model and its adjoint, of all ranks.
std::vector<Made> run_tangent(int stages) {
  std::vector<Made> made(static_cast<std::size_t>(stages));
  parallel::run_on_threads(stages, [&](const parallel::Communicator& ranks) {
    const Grid grid = Grid::gaussian(16, 24);
    ForecastNetwork network(testing::smallest_network(), grid, 5, 3, 4, DType::f64, nullptr, {}, {.stages = ranks});
    testing::randomise(network.parameters());
    testing::Operands numbers(DType::f64);
    const Shape in{2, 5, 16, 24}, out{2, 3, 16, 24};
    const Tensor x = numbers.add(in, "x"), condition = numbers.add({2, 4}, "condition"), y = numbers.zeros(out),
                 tx = numbers.add(in, "tx"), ty = numbers.zeros(out), w = numbers.add(out, "w"), dx = numbers.zeros(in);
    network.plan(2, Use::tangent);
    network.forward(x, condition, y);
    network.tangent(tx, ty);
    network.backward(w, dx, false);
    Made& mine = made[static_cast<std::size_t>(ranks.rank())];
    mine = {numbers_of(y), numbers_of(ty), numbers_of(dx)};
    // Any number of times about one state.
    network.tangent(tx, ty);
    network.backward(w, dx, false);
    EXPECT_EQ(mine, (Made{numbers_of(y), numbers_of(ty), numbers_of(dx)}));
    // <M tx, w> = <tx, M' w>
    const auto product = [](const Tensor& a, const Tensor& b) {
      double sum = 0;
      for (std::int64_t i = 0; i < a.count(); ++i) sum += get(a, i) * get(b, i);
      return sum;
    };
    EXPECT_NEAR(product(ty, w), product(tx, dx), 1e-12 * std::abs(product(ty, w)) + 1e-10);
    // Without keeping anything.
    network.plan(2, Use::inference);
    network.forward(x, condition, y);
    EXPECT_EQ(mine.y, numbers_of(y));
  });
  return made;
}

TEST(Stages, TangentAndAdjointAreThoseOfOneRank) {
  const std::vector<Made> alone = run_tangent(1);
  for (const int stages : {2, 3, 4})
    for (const Made& made : run_tangent(stages)) EXPECT_EQ(alone[0], made) << stages << " stages";
}

// Forwards of some batches before the backward of the first, each in its lane; nothing goes to all.
TEST(Stages, KeepSeveralBatchesOnTheirWayApart) {
  constexpr int stages = 3, batches = 5;
  const Grid grid = Grid::gaussian(16, 24);
  const Shape in{1, 5, 16, 24}, out{1, 3, 16, 24};
  const auto gradients_of = [&](const parallel::Communicator& ranks, std::vector<std::vector<double>>& y) {
    const auto traffic = std::make_shared<parallel::Traffic>();
    ForecastNetwork network(testing::smallest_network(), grid, 5, 3, 4, DType::f32, make_backend("cpu", 1), {},
                            {.stages = parallel::counted(ranks, traffic)});
    testing::randomise(network.parameters());
    testing::Operands numbers(DType::f32);
    std::vector<Tensor> x, condition, made, dy;
    for (int i = 0; i < batches; ++i) {
      const std::string number = std::to_string(i);
      x.push_back(numbers.add(in, "x" + number));
      condition.push_back(numbers.add({1, 4}, "condition" + number));
      made.push_back(numbers.zeros(out));
      dy.push_back(numbers.add(out, "dy" + number));
    }
    const int lanes = network.stages() - network.stage();
    network.plan(1, Use::training, lanes);
    const auto forward = [&](int i) {
      const auto n = static_cast<std::size_t>(i);
      network.forward_of_stage(i % lanes, x[n], condition[n], made[n]);
    };
    int ahead = 0;
    for (; ahead < std::min(lanes, batches); ++ahead) forward(ahead);
    for (int i = 0; i < batches; ++i) {
      network.backward_of_stage(i % lanes, dy[static_cast<std::size_t>(i)]);
      if (ahead < batches) forward(ahead++);
    }
    const auto onward = network.forward_stage_traffic(1, false), back = network.backward_stage_traffic(1, false);
    EXPECT_EQ(traffic->bytes(), batches * (onward.bytes + back.bytes));
    EXPECT_EQ(traffic->messages(), batches * (onward.messages + back.messages));
    if (network.stage() + 1 == network.stages())
      for (const Tensor& image : made) y.push_back(numbers_of(image));
    std::vector<double> gradients(static_cast<std::size_t>(network.parameters().extent()));
    for (const Bucket& bucket : network.buckets())
      for (std::int64_t i = bucket.first; bucket.stage == network.stage() && i < bucket.first + bucket.count; ++i)
        gradients[static_cast<std::size_t>(i)] = get(network.parameters().gradients(), i);
    return gradients;
  };
  std::vector<std::vector<double>> y_alone, y_shared;
  const std::vector<double> alone = gradients_of(parallel::Communicator::self(), y_alone);
  std::vector<double> shared(alone.size());
  std::mutex mutex;
  parallel::run_on_threads(stages, [&](const parallel::Communicator& ranks) {
    const std::vector<double> mine = gradients_of(ranks, y_shared);
    const std::scoped_lock lock(mutex);
    for (std::size_t i = 0; i < mine.size(); ++i) shared[i] += mine[i];  // each is of one stage
  });
  EXPECT_EQ(y_alone, y_shared);
  EXPECT_EQ(alone, shared);
}

TEST(Stages, HoldWhatTheirLayersNeed) {
  constexpr int stages = 4;
  const Grid grid = Grid::gaussian(16, 24);
  const ForecastNetwork whole(testing::smallest_network(), grid, 5, 3, 4);
  std::mutex mutex;
  std::vector<MemoryPlan> plans;
  double flops = 0;
  parallel::run_on_threads(stages, [&](const parallel::Communicator& ranks) {
    const ForecastNetwork network(testing::smallest_network(), grid, 5, 3, 4, DType::f32, nullptr, {},
                                  {.stages = ranks});
    const MemoryPlan plan = network.memory(2, Use::training);
    const std::scoped_lock lock(mutex);
    plans.push_back(plan);
    flops += network.flops_of_stage();
    EXPECT_DOUBLE_EQ(network.flops_per_sample(), whole.flops_per_sample());
  });
  const MemoryPlan all = whole.memory(2, Use::training);
  std::size_t parameters = 0;
  for (const MemoryPlan& plan : plans) {
    parameters += plan.parameters;
    EXPECT_LT(plan.activations, all.activations / 2);
  }
  EXPECT_EQ(parameters, all.parameters);
  EXPECT_NEAR(flops, whole.flops_per_sample(), 1e-9 * flops);
}

}  // namespace
}  // namespace zonda::model
