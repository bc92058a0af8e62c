#include "inference/edge/elastic/deadline_queue.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <deque>

#include "core/error.hpp"
#include "core/philox.hpp"

namespace zonda::edge {
namespace {

using Clock = DeadlineQueue::Clock;
using Seconds = LevelCosts::Seconds;

Clock::time_point at(double seconds) {
  return Clock::time_point(std::chrono::duration_cast<Clock::duration>(Seconds(seconds)));
}

LevelCosts costs_of(std::vector<double> seconds) {
  std::vector<Seconds> costs;
  for (const double s : seconds) costs.emplace_back(s);
  return LevelCosts(costs);
}

TEST(LevelCosts, FollowWhatTheyTake) {
  LevelCosts costs = costs_of({0.1, 0.05});
  costs.observe(0, Seconds(0.2));  // this machine is half as fast
  EXPECT_DOUBLE_EQ(costs.expected(0).count(), 0.2);
  EXPECT_DOUBLE_EQ(costs.expected(1).count(), 0.1);
  costs.observe(1, Seconds(0.08));
  EXPECT_DOUBLE_EQ(costs.expected(1).count(), 0.08);
  EXPECT_DOUBLE_EQ(costs.least().count(), 0.08);
  for (int i = 0; i < 200; ++i) costs.observe(0, Seconds(0.3));
  EXPECT_NEAR(costs.expected(0).count(), 0.3, 1e-6);
  for (int i = 0; i < 200; ++i) costs.observe(0, Seconds(i % 2 ? 0.3 : 0.2));
  EXPECT_GT(costs.expected(0).count(), 0.3);  // a reserve for what varies
  EXPECT_THROW(costs_of({}), Error);
  EXPECT_THROW(costs_of({0.1, 0.0}), Error);
}

TEST(DeadlineQueue, TakesTheEarliestDeadlineFirst) {
  DeadlineQueue queue(costs_of({0.01}), 0);
  queue.push({1, at(3)});
  queue.push({2, at(1)});
  queue.push({3, at(2)});
  queue.push({4, at(1)});
  std::vector<std::uint64_t> order;
  while (!queue.empty()) order.push_back(queue.take(at(0)).request.id);
  EXPECT_EQ(order, (std::vector<std::uint64_t>{2, 4, 3, 1}));
  EXPECT_THROW(queue.take(at(0)), Error);
}

TEST(DeadlineQueue, IsExactWhereThereIsTime) {
  DeadlineQueue queue(costs_of({0.4, 0.2, 0.1}), 2);
  queue.push({1, at(1)});
  EXPECT_EQ(queue.take(at(0)).level, 0);
  queue.push({1, at(0.3)});
  EXPECT_EQ(queue.take(at(0)).level, 1);
  queue.push({1, at(0.15)});
  EXPECT_EQ(queue.take(at(0)).level, 2);
  queue.push({1, at(0.05)});
  EXPECT_EQ(queue.take(at(0)).level, std::nullopt);
}

TEST(DeadlineQueue, LeavesTimeForThoseBehind) {
  DeadlineQueue queue(costs_of({0.4, 0.2, 0.1}), 2);
  queue.push({1, at(0.45)});
  queue.push({2, at(0.45)});
  EXPECT_EQ(queue.take(at(0)).level, 1);  // exact would leave 0.05 s for the second
  EXPECT_EQ(queue.take(at(0.2)).level, 1);
  // One that is lost anyhow holds up nobody.
  queue.push({3, at(1.4)});
  queue.push({4, at(1.01)});
  EXPECT_EQ(queue.take(at(1)).level, std::nullopt);
  EXPECT_EQ(queue.take(at(1)).level, 0);
}

TEST(DeadlineQueue, KeepsToTheLevelsThatItMayUse) {
  DeadlineQueue queue(costs_of({0.4, 0.2, 0.1}), 1);
  queue.push({1, at(0.15)});
  EXPECT_EQ(queue.take(at(0)).level, std::nullopt);
  EXPECT_THROW(DeadlineQueue(costs_of({0.4}), 1), Error);
}

TEST(Allowance, OfEachClass) {
  EXPECT_EQ(allowance(RequestClass::instant)->count(), 10);
  EXPECT_EQ(allowance(RequestClass::interactive)->count(), 100);
  EXPECT_EQ(allowance(RequestClass::prompt)->count(), 1000);
  EXPECT_FALSE(allowance(RequestClass::batch).has_value());
}

struct Outcome {
  int in_time = 0, late = 0, refused = 0, exact = 0;
};

/// A minute of bursts: on average a load of 0.9 of what full tokens can do, in bursts of about three times that.
std::vector<std::pair<double, double>> bursty_trace(double exact_cost) {
  const Philox random(2026, "bursty trace");
  std::vector<std::pair<double, double>> trace;  // arrival, deadline
  std::uint64_t i = 0;
  double time = 0;
  while (time < 60) {
    const bool burst = std::fmod(time, 6.0) < 2.0;
    const double rate = (burst ? 2.5 : 0.1) / exact_cost;
    time += -std::log(1 - random.uniform(i)) / rate;
    trace.emplace_back(time, time + (4 + 8 * random.uniform(i + 1)) * exact_cost);
    i += 2;
  }
  return trace;
}

/// Runs the trace on a clock of its own; costs vary by a tenth.
Outcome serve(const std::vector<std::pair<double, double>>& trace, const std::vector<double>& costs, int coarsest) {
  const Philox random(7, "jitter");
  DeadlineQueue queue(costs_of(costs), coarsest);
  Outcome outcome;
  double now = 0;
  std::size_t next = 0;
  while (next < trace.size() || !queue.empty()) {
    while (next < trace.size() && (trace[next].first <= now || queue.empty())) {
      now = std::max(now, trace[next].first);
      queue.push({next, at(trace[next].second)});
      ++next;
    }
    const auto choice = queue.take(at(now));
    if (!choice.level) {
      ++outcome.refused;
      continue;
    }
    const double taken =
        costs[static_cast<std::size_t>(*choice.level)] * (1 + 0.1 * (2 * random.uniform(choice.request.id) - 1));
    now += taken;
    queue.done(*choice.level, Seconds(taken));
    at(now) <= choice.request.deadline ? ++outcome.in_time : ++outcome.late;
    outcome.exact += *choice.level == 0;
  }
  return outcome;
}

TEST(DeadlineQueue, ServesAFifthMoreOfABurstyTraceThanFullTokensDo) {
  // Measured proportions of the levels of a model: exact, half of the tokens, a quarter.
  const std::vector<double> costs{0.100, 0.062, 0.045};
  const auto trace = bursty_trace(costs[0]);
  const Outcome full = serve(trace, costs, 0), elastic = serve(trace, costs, 2);
  RecordProperty("requests", static_cast<int>(trace.size()));
  RecordProperty("full_in_time", full.in_time);
  RecordProperty("elastic_in_time", elastic.in_time);
  EXPECT_EQ(full.in_time + full.late + full.refused, static_cast<int>(trace.size()));
  EXPECT_EQ(elastic.in_time + elastic.late + elastic.refused, static_cast<int>(trace.size()));
  EXPECT_GE(elastic.in_time, 1.2 * full.in_time) << full.in_time << " of " << trace.size();
  EXPECT_LT(elastic.late, 0.05 * double(trace.size()));
  EXPECT_GT(elastic.exact, 0);
}

}  // namespace
}  // namespace zonda::edge
