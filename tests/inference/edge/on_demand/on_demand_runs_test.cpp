#include "inference/edge/on_demand/on_demand_runs.hpp"

#include <gmock/gmock.h>

#include <future>
#include <mutex>
#include <thread>

#include "core/error.hpp"
#include "tests/inference/edge/forecast/analytic_forecast.hpp"

namespace zonda::edge {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using Seconds = LevelCosts::Seconds;

RegionalForecast forecast_at(int level) {
  RegionalForecast forecast = test::analytic_forecast();
  forecast.level = level;
  return forecast;
}

/// A model whose runs can be held up, and that remembers what it ran.
struct Stage {
  std::mutex mutex;
  std::vector<std::pair<int, int>> ran;  // level, member
  std::promise<void> go;
  std::shared_future<void> gate = go.get_future().share();
  std::promise<void> began;
  bool announced = false;

  std::shared_ptr<DemandedModel> model(std::vector<Seconds> costs, bool gated = false) {
    auto made = std::make_shared<DemandedModel>();
    made->identity = "one";
    made->costs = std::move(costs);
    made->run = [this, gated](int level, int member) {
      {
        const std::lock_guard lock(mutex);
        ran.emplace_back(level, member);
        if (!std::exchange(announced, true)) began.set_value();
      }
      if (gated) gate.wait();
      return forecast_at(level);
    };
    return made;
  }
};

void wait_until_waiting(const OnDemandRuns& runs, std::size_t count) {
  while (runs.counts().waiting < count) std::this_thread::yield();
}

TEST(OnDemandRuns, NothingToRunIsSaid) {
  OnDemandRuns runs(2, 4);
  const DemandedRun run = runs.ask(RequestClass::prompt, 1);
  EXPECT_EQ(run.forecast, nullptr);
  EXPECT_THAT(run.problem, HasSubstr("no model"));
  EXPECT_EQ(runs.counts().classes[2].refused, 1U);
}

TEST(OnDemandRuns, TheLastRunAnswersWhatItAnswers) {
  Stage stage;
  OnDemandRuns runs(2, 4);
  auto model = stage.model({Seconds(1e-4)});
  model->last = std::make_shared<const RegionalForecast>(forecast_at(0));
  runs.serve(model);
  EXPECT_EQ(runs.ask(RequestClass::batch, 0).forecast, model->last);
  EXPECT_EQ(runs.ask(RequestClass::instant, 0).forecast, model->last);
  EXPECT_TRUE(stage.ran.empty());
  EXPECT_NE(runs.ask(RequestClass::batch, 1).forecast, model->last);
  EXPECT_THAT(stage.ran, ElementsAre(std::pair(0, 1)));
}

TEST(OnDemandRuns, HasteCostsTokensAndPatienceDoesNot) {
  Stage stage;
  OnDemandRuns runs(7, 4);
  runs.serve(stage.model({Seconds(5), Seconds(0.5), Seconds(0.01)}));
  EXPECT_EQ(runs.ask(RequestClass::interactive, 1).forecast->level, 2);
  runs.serve(nullptr);
  runs.serve(stage.model({Seconds(5), Seconds(0.5), Seconds(0.01)}));  // costs as told, not as seen
  EXPECT_EQ(runs.ask(RequestClass::prompt, 1).forecast->level, 1);
  runs.serve(nullptr);
  runs.serve(stage.model({Seconds(5), Seconds(0.5), Seconds(0.01)}));
  EXPECT_EQ(runs.ask(RequestClass::batch, 1).forecast->level, 0);
  const DemandCounts counts = runs.counts();
  EXPECT_EQ(counts.classes[1].levels[2], 1U);
  EXPECT_EQ(counts.classes[2].levels[1], 1U);
  EXPECT_EQ(counts.classes[3].levels[0], 1U);
  EXPECT_EQ(counts.classes[1].in_time + counts.classes[2].in_time + counts.classes[3].in_time, 3U);
}

TEST(OnDemandRuns, WhatNoAllowedLevelCanDoInTimeIsRefusedAtOnce) {
  Stage stage;
  OnDemandRuns runs(0, 4);
  runs.serve(stage.model({Seconds(5), Seconds(0.01)}));
  const DemandedRun run = runs.ask(RequestClass::interactive, 1);
  EXPECT_EQ(run.forecast, nullptr);
  EXPECT_THAT(run.problem, HasSubstr("no token level"));
  EXPECT_FALSE(run.in_time);
  EXPECT_TRUE(stage.ran.empty());
}

TEST(OnDemandRuns, TheEarliestDeadlineComesFirstAndTooManyAreRefused) {
  Stage stage;
  OnDemandRuns runs(0, 3);
  runs.serve(stage.model({Seconds(1e-3)}, true));
  auto first = std::async(std::launch::async, [&] { return runs.ask(RequestClass::batch, 1); });
  stage.began.get_future().wait();
  auto batch = std::async(std::launch::async, [&] { return runs.ask(RequestClass::batch, 2); });
  wait_until_waiting(runs, 2);
  auto prompt = std::async(std::launch::async, [&] { return runs.ask(RequestClass::prompt, 3); });
  wait_until_waiting(runs, 3);
  EXPECT_THAT(runs.ask(RequestClass::batch, 4).problem, HasSubstr("too many"));
  stage.go.set_value();
  for (auto* answer : {&first, &batch, &prompt}) EXPECT_NE(answer->get().forecast, nullptr);
  EXPECT_THAT(stage.ran, ElementsAre(std::pair(0, 1), std::pair(0, 3), std::pair(0, 2)));
}

TEST(OnDemandRuns, AnotherModelTakesOverThoseThatWait) {
  Stage old, fresh;
  OnDemandRuns runs(0, 8);
  runs.serve(old.model({Seconds(1e-3)}, true));
  auto first = std::async(std::launch::async, [&] { return runs.ask(RequestClass::batch, 1); });
  old.began.get_future().wait();
  auto second = std::async(std::launch::async, [&] { return runs.ask(RequestClass::batch, 2); });
  wait_until_waiting(runs, 2);
  runs.serve(fresh.model({Seconds(1e-3)}));
  old.go.set_value();
  EXPECT_NE(first.get().forecast, nullptr);
  EXPECT_NE(second.get().forecast, nullptr);
  EXPECT_THAT(old.ran, ElementsAre(std::pair(0, 1)));
  EXPECT_THAT(fresh.ran, ElementsAre(std::pair(0, 2)));
}

TEST(OnDemandRuns, WithoutAModelThoseThatWaitAreRefused) {
  Stage stage;
  OnDemandRuns runs(0, 8);
  runs.serve(stage.model({Seconds(1e-3)}, true));
  auto first = std::async(std::launch::async, [&] { return runs.ask(RequestClass::batch, 1); });
  stage.began.get_future().wait();
  auto second = std::async(std::launch::async, [&] { return runs.ask(RequestClass::batch, 2); });
  wait_until_waiting(runs, 2);
  runs.serve(nullptr);
  EXPECT_THAT(second.get().problem, HasSubstr("taken away"));
  stage.go.set_value();
  EXPECT_NE(first.get().forecast, nullptr);
}

TEST(OnDemandRuns, AFailedRunSaysWhy) {
  OnDemandRuns runs(0, 8);
  auto model = std::make_shared<DemandedModel>();
  model->costs = {Seconds(1e-3)};
  model->run = [](int, int) -> RegionalForecast { fail(ErrorKind::numerical, "it blew up"); };
  runs.serve(model);
  const DemandedRun run = runs.ask(RequestClass::prompt, 1);
  EXPECT_EQ(run.forecast, nullptr);
  EXPECT_THAT(run.problem, HasSubstr("blew up"));
}

TEST(RequestClasses, HaveNames) {
  for (const auto each : {RequestClass::instant, RequestClass::interactive, RequestClass::prompt, RequestClass::batch})
    EXPECT_EQ(parse_request_class(name_of(each)), each);
  EXPECT_EQ(parse_request_class("soon"), std::nullopt);
}

}  // namespace
}  // namespace zonda::edge
