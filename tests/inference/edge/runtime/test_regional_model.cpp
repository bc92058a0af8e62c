#include "inference/edge/runtime/regional_model.hpp"

#include <gmock/gmock.h>

#include <atomic>
#include <cmath>
#include <fstream>
#include <thread>

#include "core/atomic_file.hpp"
#include "core/error.hpp"
#include "edge_sample.hpp"
#include "inference/export/export_bundle.hpp"
#include "model/forecast_state/boundary_ring.hpp"
#include "model/forecast_state/regional_rollout.hpp"

namespace zonda::edge {
namespace {

namespace fs = std::filesystem;
using inference::SampleModel;
using ::testing::HasSubstr;

constexpr Duration step{21600};

fs::path export_sample(const fs::path& folder, const std::string& name, const std::string& precision,
                       const SampleModel& sample = {}) {
  inference::write_sample_model(folder / (name + "-model"), sample);
  inference::ExportConfig config{
      .model = folder / (name + "-model"), .to = folder / name, .name = name, .precision = precision};
  if (!sample.adapter_edges.empty()) config.onnx.clear();
  inference::export_bundle(config);
  return folder / name;
}

/// Waves; every strip another one.
BoundaryFeed sample_feed(const model::ForecastLayout& layout, int leads) {
  BoundaryFeed feed{
      .grid = layout.grid, .channels = layout.channels, .ring_width = layout.boundary->width, .leads = {}};
  feed.cycle = parse_time("2026-01-10T06");
  feed.step = step;
  feed.region = "sample";
  feed.host = "host";
  const auto value = [&](std::size_t channel, std::size_t cell, int lead) {
    return static_cast<float>(layout.normalisation.mean[channel] +
                              layout.normalisation.stddev[channel] *
                                  std::sin(0.1 * double(cell) + 0.3 * lead + double(channel)));
  };
  for (std::size_t c = 0; c < layout.channels.size(); ++c)
    for (std::size_t i = 0; i < layout.points(); ++i) {
      feed.previous.push_back(value(c, i, -1));
      feed.current.push_back(value(c, i, 0));
    }
  const model::BoundaryRing ring(layout.grid, layout.boundary->width);
  for (int lead = 1; lead <= leads; ++lead) {
    feed.leads.push_back(lead * step);
    for (std::size_t c = 0; c < layout.channels.size(); ++c)
      for (const auto cell : ring.cells()) feed.strips.push_back(value(c, cell, lead));
  }
  return feed;
}

/// The same forecast from the model's folder, by the rollout alone.
std::vector<float> rollout_of(const fs::path& model_folder, const BoundaryFeed& feed, model::NetworkPass pass = {}) {
  const auto model = model::load_model(model_folder);
  model::RegionalRollout rollout(model->layout, feed.cycle, pass ? pass : model::pass_of(model->network));
  const auto normalised = [&](std::vector<float> fields) {
    EXPECT_EQ(model->layout.normalisation.normalise(fields), -1);
    return fields;
  };
  rollout.give_state(-feed.step, normalised(feed.previous));
  rollout.give_state(Duration{0}, normalised(feed.current));
  for (std::size_t lead = 0; lead < feed.leads.size(); ++lead) {
    std::vector<float> strip(feed.strip(lead).begin(), feed.strip(lead).end());
    model::normalise_strip(rollout.step(), strip);
    rollout.give_boundary(feed.leads[lead], strip);
  }
  for (std::size_t lead = 0; lead < feed.leads.size(); ++lead) rollout.advance(feed.step);
  std::vector<float> last(rollout.state().begin(), rollout.state().end());
  model->layout.normalisation.restore(last);
  return last;
}

/// Adapters of the leads below 9 h and from it on: the judge is two networks, each with one bucket's merged into its
/// weights.
TEST(RegionalModel, TakesTheAdaptersOfEachStepsLead) {
  const fs::path folder = inference::fresh_folder();
  const auto model = RegionalModel::open(export_sample(folder, "sample", "fp32", {.adapter_edges = {9.0 / 24}}));
  const BoundaryFeed feed = sample_feed(model->layout(), 4);
  const auto before = model::load_model(folder / "sample-model"), behind = model::load_model(folder / "sample-model");
  before->network.merge_adapters(0);
  behind->network.merge_adapters(1);
  const auto pass_before = model::pass_of(before->network), pass_behind = model::pass_of(behind->network);
  const auto merged = [&](std::span<const float> u, std::span<const float> condition, std::span<float> y,
                          Duration lead) {
    lead < std::chrono::hours(9) ? pass_before(u, condition, y, lead) : pass_behind(u, condition, y, lead);
  };
  const std::vector<float> expected = rollout_of(folder / "sample-model", feed, merged),
                           of_one = rollout_of(folder / "sample-model", feed, pass_before);
  const RegionalForecast forecast = model->run(feed);
  const auto found = forecast.values.span().last(expected.size());
  double off = 0, apart = 0;
  for (std::size_t i = 0; i < expected.size(); ++i) {
    const double scale = model->layout().normalisation.stddev[i / model->layout().points()];
    off = std::max(off, std::abs(double(found[i]) - expected[i]) / scale);
    apart = std::max(apart, std::abs(double(of_one[i]) - expected[i]) / scale);
  }
  EXPECT_LE(off, 1e-4);
  EXPECT_GT(apart, 1e-2);
  // And as the rollout of the model's folder has it, bit by bit.
  const std::vector<float> same = rollout_of(folder / "sample-model", feed);
  EXPECT_TRUE(std::equal(found.begin(), found.end(), same.begin()));
}

std::string refusal(const std::function<void()>& call, ErrorKind kind) {
  try {
    call();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), kind) << error.what();
    return error.what();
  }
  return "";
}

class RegionalModels : public ::testing::TestWithParam<std::string> {};

TEST_P(RegionalModels, PassTheirSelfTestOnTheMachineThatMadeThemExactly) {
  const fs::path folder = inference::fresh_folder();
  const auto model = RegionalModel::open(export_sample(folder, "sample", GetParam()));
  const SelfTest test = model->self_test();
  EXPECT_EQ(test.largest, 0);
  EXPECT_TRUE(test.passed());
}

INSTANTIATE_TEST_SUITE_P(Precisions, RegionalModels, ::testing::Values("fp32", "bf16", "int8"));

TEST(RegionalModel, GivesTheForecastOfTheModelItWasMadeFrom) {
  const fs::path folder = inference::fresh_folder();
  const auto model = RegionalModel::open(export_sample(folder, "sample", "fp32"));
  const BoundaryFeed feed = sample_feed(model->layout(), 3);
  std::size_t told = 0;
  const RegionalForecast forecast = model->run(feed, 0, [&](std::size_t done, std::size_t of) {
    EXPECT_EQ(of, 3U);
    told = done;
  });
  EXPECT_EQ(told, 3U);
  EXPECT_EQ(forecast.leads, (std::vector<Duration>{Duration{0}, step, 2 * step, 3 * step}));
  EXPECT_EQ(forecast.model, "sample " + model->identity());
  const std::vector<float> expected = rollout_of(folder / "sample-model", feed);
  const auto last = forecast.values.span().last(expected.size());
  EXPECT_TRUE(std::equal(last.begin(), last.end(), expected.begin()));
  const auto first = forecast.values.span().first(feed.current.size());
  EXPECT_TRUE(std::equal(first.begin(), first.end(), feed.current.begin()));
}

TEST(RegionalModel, AtTheEdgeTheForecastIsTheHosts) {
  const fs::path folder = inference::fresh_folder();
  const auto model = RegionalModel::open(export_sample(folder, "sample", "int8"));
  const BoundaryFeed feed = sample_feed(model->layout(), 2);
  const RegionalForecast forecast = model->run(feed);
  const model::BoundaryRing ring(feed.grid, feed.ring_width);
  for (std::size_t c = 0; c < feed.channels.size(); ++c)
    for (std::size_t i = 0; i < ring.size(); ++i) {
      if (ring.distances()[i] > 0) continue;
      const float host = feed.strip(1)[c * ring.size() + i], found = forecast.field(2, c)[ring.cells()[i]];
      // Through normalisation and back.
      ASSERT_NEAR(found, host, 1e-6 * std::abs(host) + 1e-6 * model->layout().normalisation.stddev[c]);
    }
}

TEST(RegionalModel, KnowsTheCoastOfItsRegion) {
  const fs::path folder = inference::fresh_folder();
  const auto model = RegionalModel::open(export_sample(folder, "europe", "fp32"));
  const std::vector<CoastSegment> coast = model->coast();
  EXPECT_GT(coast.size(), 200U);
  double gibraltar = 99;
  for (const auto& [from, to] : coast) {
    for (const CoastPoint& end : {from, to}) {
      EXPECT_TRUE(end.latitude >= 25 && end.latitude <= 60) << end.latitude;
      EXPECT_TRUE(end.longitude >= 350 || end.longitude <= 40) << end.longitude;
      gibraltar = std::min(gibraltar, std::hypot(end.latitude - 36.0, end.longitude - 354.4));
    }
    EXPECT_LE(std::abs(from.latitude - to.latitude), 2.6);  // half a cell
  }
  EXPECT_LT(gibraltar, 1);
  SampleModel ocean;
  ocean.grid = Grid::regional(-30, -48, 8, 230, 255, 12);
  EXPECT_TRUE(RegionalModel::open(export_sample(folder, "ocean", "fp32", ocean))->coast().empty());
}

TEST(RegionalModel, RefusesFeedsOfOthers) {
  const fs::path folder = inference::fresh_folder();
  const auto model = RegionalModel::open(export_sample(folder, "sample", "fp32"));
  const BoundaryFeed good = sample_feed(model->layout(), 2);
  const auto said = [&](const std::function<void(BoundaryFeed&)>& change) {
    BoundaryFeed feed = good;
    change(feed);
    return refusal([&] { model->run(feed); }, ErrorKind::data);
  };
  EXPECT_THAT(said([](BoundaryFeed& f) { f.grid = Grid::regional(60, 26, 8, 350, 40, 12); }), HasSubstr("grid"));
  EXPECT_THAT(said([](BoundaryFeed& f) { std::swap(f.channels[0], f.channels[1]); }), HasSubstr("channels t850, z500"));
  EXPECT_THAT(said([](BoundaryFeed& f) { f.ring_width = 3; }), HasSubstr("ring width 3"));
  EXPECT_THAT(said([](BoundaryFeed& f) { f.step = Duration{3600}; }), HasSubstr("step"));
  EXPECT_THAT(said([](BoundaryFeed& f) { f.previous.pop_back(); }), HasSubstr("state"));
  EXPECT_THAT(said([](BoundaryFeed& f) { f.strips.pop_back(); }), HasSubstr("strips"));
  EXPECT_THAT(said([](BoundaryFeed& f) { f.current[3] = NAN; }), HasSubstr("z500"));
  EXPECT_THAT(said([](BoundaryFeed& f) { f.leads[0] = Duration{3600}; }), HasSubstr("lead 6h"));
  EXPECT_THAT(refusal([&] { model->run(good, 1); }, ErrorKind::usage), HasSubstr("levels 0 to 0"));
}

TEST(RegionalModel, StopsBetweenStepsWhenAsked) {
  const fs::path folder = inference::fresh_folder();
  const auto model = RegionalModel::open(export_sample(folder, "sample", "fp32"));
  int asked = 0;
  EXPECT_THAT(refusal([&] { model->run(sample_feed(model->layout(), 3), 0, {}, [&] { return ++asked > 2; }); },
                      ErrorKind::temporary),
              HasSubstr("after 2 of 3 steps"));
}

TEST(RegionalModel, ADamagedBundleIsRefusedBeforeItRuns) {
  const fs::path folder = inference::fresh_folder();
  const fs::path bundle = export_sample(folder, "sample", "int8");
  {
    std::fstream file(bundle / "weights.bin", std::ios::in | std::ios::out | std::ios::binary);
    file.seekp(5000);
    file.put('x');
  }
  EXPECT_THAT(refusal([&] { RegionalModel::open(bundle); }, ErrorKind::data), HasSubstr("weights.bin is damaged"));
}

TEST(RegionalModel, AnUnknownChannelOrNetworkOfABundleIsItsDatasFault) {
  const fs::path folder = inference::fresh_folder();
  const fs::path bundle = export_sample(folder, "sample", "fp32");
  const std::string text = read_file(bundle / "manifest.json");
  for (const auto& [from, to] : std::vector<std::pair<std::string, std::string>>{
           {"\"z500\"", "\"zz500\""}, {"\"tiny\"", "\"tinier\""}, {"regional 60", "regional 160"}}) {
    std::string other = text;
    for (std::size_t at = other.find(from); at != std::string::npos; at = other.find(from, at + to.size()))
      other.replace(at, from.size(), to);
    write_file(bundle / "manifest.json", other);
    EXPECT_NE(refusal([&] { RegionalModel::open(bundle); }, ErrorKind::data), "") << to;
  }
}

// --- siblings: what is the same is shared

/// The same model but for one bias and one gain: an adapter's worth.
fs::path export_sibling(const fs::path& folder, const std::string& precision) {
  inference::write_sample_model(folder / "sibling-model", {}, [](model::ParameterStore& store) {
    for (const char* name : {"block1.up.bias", "block2.query_gain"})
      for (float& value : store.value(store.find(name)).span<float>()) value += 0.25f;
  });
  inference::export_bundle(
      {.model = folder / "sibling-model", .to = folder / "sibling", .name = "sibling", .precision = precision});
  return folder / "sibling";
}

TEST(Siblings, MapOnlyWhatDiffersAndShareTheEngine) {
  for (const char* precision : {"fp32", "int8"}) {
    const fs::path folder = inference::fresh_folder();
    const auto first = RegionalModel::open(export_sample(folder, "sample", precision));
    const auto second = first->sibling(export_sibling(folder, precision));
    EXPECT_TRUE(second->shares_engine(*first));
    EXPECT_EQ(second->bytes_mapped_anew(), (128 + 16) * sizeof(float));
    EXPECT_EQ(first->shared()->bytes(), first->weight_bytes() + second->bytes_mapped_anew());
    EXPECT_EQ(second->self_test().largest, 0);
    EXPECT_EQ(first->self_test().largest, 0);  // and back again
    const auto alone = RegionalModel::open(folder / "sibling");
    const BoundaryFeed feed = sample_feed(first->layout(), 2);
    const RegionalForecast shared = second->run(feed), own = alone->run(feed), other = first->run(feed);
    EXPECT_TRUE(std::equal(shared.values.span().begin(), shared.values.span().end(), own.values.span().begin()));
    EXPECT_FALSE(std::equal(shared.values.span().begin(), shared.values.span().end(), other.values.span().begin()));
  }
}

TEST(Siblings, OfABundleReadBeforeAreTheSame) {
  const fs::path folder = inference::fresh_folder();
  const auto first = RegionalModel::open(export_sample(folder, "sample", "int8"));
  const fs::path path = export_sibling(folder, "int8");
  const auto bundle = first->prepare(path);
  for (const inference::BundleTensor& tensor : bundle.manifest().tensors)
    EXPECT_EQ(bundle.is_verified(tensor),
              tensor.name == "weights/block1.up.bias" || tensor.name == "weights/block2.query_gain")
        << tensor.name;
  fs::rename(path, folder / "elsewhere");  // what has been read is not looked for again
  const auto second = first->sibling(bundle);
  EXPECT_TRUE(second->shares_engine(*first));
  EXPECT_EQ(second->bytes_mapped_anew(), (128 + 16) * sizeof(float));
  EXPECT_EQ(second->self_test().largest, 0);
}

/// What was wrong with the bytes when they were read ahead is found when they are used.
TEST(Siblings, OfABundleReadBeforeAreVerifiedAllTheSame) {
  const fs::path folder = inference::fresh_folder();
  const auto first = RegionalModel::open(export_sample(folder, "sample", "fp32"));
  const fs::path path = export_sibling(folder, "fp32");
  {
    std::fstream file(path / "weights.bin", std::ios::in | std::ios::out | std::ios::binary);
    file.seekp(static_cast<std::streamoff>(inference::Bundle::open(path).entry("weights/block1.up.bias").offset));
    file.put('x');
  }
  EXPECT_THAT(refusal([&] { first->prepare(path); }, ErrorKind::data), HasSubstr("block1.up.bias is damaged"));
  const auto bundle = inference::Bundle::open(path, inference::Verify::lengths);
  EXPECT_THAT(refusal([&] { first->sibling(bundle); }, ErrorKind::data), HasSubstr("block1.up.bias is damaged"));
}

TEST(Siblings, OfAnotherRegionShareTheBackbone) {
  const fs::path folder = inference::fresh_folder();
  SampleModel elsewhere;
  elsewhere.grid = Grid::regional(50, 15, 8, 100, 150, 12);
  const auto first = RegionalModel::open(export_sample(folder, "sample", "fp32"));
  const auto second = first->sibling(export_sample(folder, "elsewhere", "fp32", elsewhere));
  EXPECT_FALSE(second->shares_engine(*first));
  EXPECT_EQ(second->bytes_mapped_anew(), 0U);
  EXPECT_EQ(second->self_test().largest, 0);
}

TEST(Siblings, OutliveOneAnotherAndTheirFiles) {
  const fs::path folder = inference::fresh_folder();
  auto first = RegionalModel::open(export_sample(folder, "sample", "fp32"));
  const auto second = first->sibling(export_sibling(folder, "fp32"));
  first.reset();
  fs::remove_all(folder);
  EXPECT_EQ(second->self_test().largest, 0);
}

TEST(Siblings, ADamagedTensorIsFoundAmongThoseThatDiffer) {
  const fs::path folder = inference::fresh_folder();
  const auto first = RegionalModel::open(export_sample(folder, "sample", "fp32"));
  const fs::path path = export_sibling(folder, "fp32");
  const auto offset = inference::Bundle::open(path).entry("weights/block1.up.bias").offset;
  {
    std::fstream file(path / "weights.bin", std::ios::in | std::ios::out | std::ios::binary);
    file.seekp(static_cast<std::streamoff>(offset));
    file.put('x');
  }
  EXPECT_THAT(refusal([&] { first->sibling(path); }, ErrorKind::data), HasSubstr("block1.up.bias is damaged"));
  EXPECT_EQ(first->self_test().largest, 0);
}

TEST(Siblings, RunBesideOneAnother) {
  const fs::path folder = inference::fresh_folder();
  const auto first = RegionalModel::open(export_sample(folder, "sample", "fp32"), {.threads = 1});
  const auto second = first->sibling(export_sibling(folder, "fp32"));
  const BoundaryFeed feed = sample_feed(first->layout(), 2);
  const RegionalForecast one = first->run(feed), two = second->run(feed);
  std::atomic<int> wrong = 0;
  const auto again = [&](RegionalModel& model, const RegionalForecast& expected) {
    for (int i = 0; i < 5; ++i) {
      const RegionalForecast found = model.run(feed);
      wrong += !std::equal(found.values.span().begin(), found.values.span().end(), expected.values.span().begin());
    }
  };
  std::thread a(again, std::ref(*first), std::cref(one)), b(again, std::ref(*second), std::cref(two));
  a.join();
  b.join();
  EXPECT_EQ(wrong, 0);
}

}  // namespace
}  // namespace zonda::edge
