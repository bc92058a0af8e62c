#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "core/error.hpp"
#include "model/training/sampler.hpp"

namespace zonda::model {
namespace {

std::vector<Time> every_six_hours(std::size_t n) {
  std::vector<Time> times;
  for (std::size_t i = 0; i < n; ++i) times.push_back(parse_time("2001-01-01") + static_cast<int>(i) * Duration(21600));
  return times;
}

TEST(Sampler, ExamplesNeedAllTheirStates) {
  std::vector<Time> times = every_six_hours(10);
  const std::vector<Duration> steps{Duration(21600), Duration(43200)};
  // 6 h: t from 1 to 8; 12 h: t from 2 to 7.
  EXPECT_EQ(examples_within(times, times.front(), times.back(), steps, 1).size(), 8U + 6U);
  // Two steps in a row need one step more of the future.
  EXPECT_EQ(examples_within(times, times.front(), times.back(), steps, 2).size(), 7U + 4U);
  // A period cuts.
  EXPECT_EQ(examples_within(times, times[2], times[6], std::span(steps).first(1), 1).size(), 3U);
  // A gap removes the examples that would use it, and no other.
  const Time gap = times[5];
  times.erase(times.begin() + 5);
  const std::vector<Example> rest = examples_within(times, times.front(), times.back(), std::span(steps).first(1), 1);
  EXPECT_EQ(rest.size(), 8U - 3U);
  for (const Example& example : rest)
    for (int k = -1; k <= 1; ++k) EXPECT_NE(times[example.time_index] + k * example.step, gap);
}

TEST(Sampler, EveryEpochIsAPermutationOfItsOwn) {
  const auto a = permutation(1, "x", 0, 97), b = permutation(1, "x", 1, 97), other_seed = permutation(2, "x", 0, 97);
  for (auto order : {a, b, other_seed}) {
    std::sort(order.begin(), order.end());
    for (std::size_t i = 0; i < order.size(); ++i) ASSERT_EQ(order[i], i);
  }
  EXPECT_NE(a, b);
  EXPECT_NE(a, other_seed);
  EXPECT_EQ(a, permutation(1, "x", 0, 97));
}

TEST(Sampler, IsAPureFunctionOfItsPosition) {
  const std::vector<Time> times = every_six_hours(40);
  const std::vector<Duration> steps{Duration(21600)};
  const auto examples = examples_within(times, times.front(), times.back(), steps, 1);
  const Sampler forward(examples, 5, "phase"), backward(examples, 5, "phase");
  std::vector<Example> first, second(200);
  for (std::uint64_t i = 0; i < 200; ++i) first.push_back(forward.at(i));
  for (std::uint64_t i = 200; i-- > 0;) second[i] = backward.at(i);
  EXPECT_EQ(first, second);
  std::set<std::size_t> of_one_epoch;
  for (std::uint64_t i = forward.size(); i < 2 * forward.size(); ++i) of_one_epoch.insert(forward.at(i).time_index);
  EXPECT_EQ(of_one_epoch.size(), examples.size());
}

TEST(Sampler, RefusesAPeriodWithoutExamples) {
  EXPECT_THROW(Sampler({}, 1, "phase"), Error);
}

}  // namespace
}  // namespace zonda::model
