#include "inference/edge/runner/bundle_runner.hpp"

#include <gmock/gmock.h>

#include <cmath>
#include <fstream>

#include "edge_sample.hpp"
#include "inference/bundle/bundle.hpp"
#include "inference/edge/feed/boundary_feed.hpp"
#include "inference/edge/runner/lagged_member.hpp"
#include "inference/export/export_bundle.hpp"

namespace zonda::edge {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

/// `change`: how much the sibling's biases are off.
fs::path export_sample(const fs::path& folder, const std::string& name, float change) {
  inference::write_sample_model(folder / (name + "-model"), {}, [change](model::ParameterStore& store) {
    for (float& value : store.value(store.find("block1.up.bias")).span<float>()) value += change;
  });
  inference::export_bundle({.model = folder / (name + "-model"), .to = folder / name, .name = name, .onnx = {}});
  return folder / name;
}

BoundaryFeed sample_feed(int leads) {
  const model::ForecastLayout layout = inference::sample_layout({});
  BoundaryFeed feed{
      .grid = layout.grid, .channels = layout.channels, .ring_width = layout.boundary->width, .leads = {}};
  feed.cycle = parse_time("2026-01-10T06");
  feed.step = Duration{21600};
  feed.region = "sample";
  const auto value = [&](std::size_t c, std::size_t i, int lead) {
    return static_cast<float>(layout.normalisation.mean[c] +
                              layout.normalisation.stddev[c] * std::sin(0.1 * double(i) + 0.3 * lead + double(c)));
  };
  for (std::size_t c = 0; c < feed.channels.size(); ++c)
    for (std::size_t i = 0; i < layout.points(); ++i) {
      feed.previous.push_back(value(c, i, -1));
      feed.current.push_back(value(c, i, 0));
    }
  for (int lead = 1; lead <= leads; ++lead) {
    feed.leads.push_back(lead * feed.step);
    for (std::size_t c = 0; c < feed.channels.size(); ++c)
      for (const auto cell : ring_cells(feed.grid.nlat(), feed.grid.nlon(), feed.ring_width))
        feed.strips.push_back(value(c, cell, lead));
  }
  return feed;
}

std::vector<float> numbers(const RegionalForecast& forecast) {
  return {forecast.values.span().begin(), forecast.values.span().end()};
}

struct BundleRunners : testing::Test {
  fs::path folder = inference::fresh_folder();
  fs::path feed = folder / "a.feed";
  OpenModel open = bundle_opener(1, {});
  void SetUp() override { write_feed(feed, sample_feed(3)); }
};

TEST_F(BundleRunners, ASiblingThatIsOpenedBesideItForecastsAsItDoesAlone) {
  const auto first = open(export_sample(folder, "first", 0)), second = open(export_sample(folder, "second", 0.25F));
  const auto alone = bundle_opener(1, {})(folder / "second");
  for (const auto& model : {first, second, first, alone}) model->self_test();
  const auto one = numbers(first->run(feed, {})), two = numbers(second->run(feed, {}));
  EXPECT_EQ(two, numbers(alone->run(feed, {})));
  EXPECT_NE(two, one);
  EXPECT_EQ(one, numbers(first->run(feed, {})));
}

TEST_F(BundleRunners, ADamagedSiblingIsRefusedAndTheModelGoesOn) {
  const auto first = open(export_sample(folder, "first", 0));
  const fs::path second = export_sample(folder, "second", 0.25F);
  const auto offset = inference::Bundle::open(second).entry("weights/block1.up.bias").offset;
  {
    std::fstream file(second / "weights.bin", std::ios::in | std::ios::out | std::ios::binary);
    file.seekp(static_cast<std::streamoff>(offset));
    file.put('x');
  }
  EXPECT_THROW(open(second), Error);
  first->self_test();
}

TEST_F(BundleRunners, ABundleThatWasReadAheadIsTakenOnce) {
  const BundleModels models = bundle_models(1, {});
  const auto first = models.open(export_sample(folder, "first", 0));
  const fs::path second = export_sample(folder, "second", 0.25F), third = export_sample(folder, "third", 0.5F);
  models.prepare(folder / "nowhere");
  EXPECT_THROW(models.open(folder / "nowhere"), Error);
  models.prepare(second);
  const auto ahead = models.open(second);
  ahead->self_test();
  fs::remove_all(second);
  fs::rename(third, second);  // the next release in the same place
  const auto next = models.open(second), alone = bundle_opener(1, {})(second);
  next->self_test();
  EXPECT_EQ(numbers(next->run(feed, {})), numbers(alone->run(feed, {})));
  EXPECT_NE(numbers(next->run(feed, {})), numbers(ahead->run(feed, {})));
}

TEST_F(BundleRunners, OnDemandTheyRunAsFarAsTheyAreAsked) {
  const auto model = open(export_sample(folder, "first", 0));
  model->self_test();
  ASSERT_EQ(model->step_seconds().size(), 1U);
  EXPECT_GT(model->step_seconds()[0], 0);
  const RegionalForecast whole = model->run(feed, {}), part = model->run_on_demand(feed, {.steps = 2}, {});
  EXPECT_EQ(part.leads, (std::vector<Duration>{Duration{0}, Duration{21600}, Duration{43200}}));
  const auto expected = whole.values.span().first(part.values.size());
  EXPECT_TRUE(std::equal(expected.begin(), expected.end(), part.values.span().begin()));
  EXPECT_THROW(model->run_on_demand(feed, {.level = 1, .steps = 2}, {}), Error);
  const auto member = numbers(model->run_on_demand(feed, {.steps = 2, .member = 3}, {}));
  EXPECT_NE(member, numbers(part));
  EXPECT_EQ(member, numbers(model->run_on_demand(feed, {.steps = 2, .member = 3}, {})));
}

TEST(LaggedMembers, MoveTheInteriorAlongItsLastChangeAndLeaveTheRing) {
  const BoundaryFeed feed = sample_feed(1);
  BoundaryFeed same = feed, moved = feed, other = feed;
  perturb_feed(same, 0);
  EXPECT_EQ(same.current, feed.current);
  perturb_feed(moved, 1);
  perturb_feed(other, 2);
  EXPECT_EQ(moved.previous, feed.previous);
  EXPECT_EQ(moved.strips, feed.strips);
  EXPECT_NE(moved.current, other.current);
  const auto ring = ring_cells(feed.grid.nlat(), feed.grid.nlon(), feed.ring_width);
  const std::size_t points = feed.grid.size();
  double share = 0;
  for (std::size_t i = 0; i < feed.current.size(); ++i) {
    const double change = moved.current[i] - feed.current[i], step = feed.current[i] - feed.previous[i];
    if (std::binary_search(ring.begin(), ring.end(), i % points)) {
      ASSERT_EQ(change, 0);
    } else if (std::abs(step) > 100) {
      if (share == 0) share = change / step;
      ASSERT_NEAR(change / step, share, 1e-4);
    }
  }
  EXPECT_NE(share, 0);
  EXPECT_LT(std::abs(share), 0.5);
}

}  // namespace
}  // namespace zonda::edge
