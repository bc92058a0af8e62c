#include <gtest/gtest.h>
#include <httplib.h>

#include <nlohmann/json.hpp>
#include <thread>

#include "core/checksum.hpp"
#include "core/error.hpp"
#include "inference/edge/delta/bundle_delta.hpp"
#include "inference/edge/feed/boundary_feed.hpp"
#include "inference/edge/hub/hub_server.hpp"
#include "inference/edge/hub/publication.hpp"
#include "inference/edge/hub/wave_gate.hpp"
#include "tests/inference/edge/edge_bundle.hpp"
#include "tests/inference/edge/hub_folder.hpp"

namespace zonda::edge {
namespace {

using namespace std::chrono_literals;
using testing::day0;

class Hub : public ::testing::Test {
 protected:
  testing::Folder folder{::testing::UnitTest::GetInstance()->current_test_info()->name()};
  std::filesystem::path site = folder.path / "hub";

  void publish_two(Repository& hub) {
    testing::write_edge_bundle(folder.path / "one", {});
    testing::write_edge_bundle(folder.path / "two", {.change = 1e-3, .version = "1.1"});
    publish_bundle(hub, {folder.path / "one", "europe", "1.0", "europe", {}, {}}, day0);
    publish_bundle(hub, {folder.path / "two", "europe", "1.1", "europe", {"1.0"}, {"x86-64"}}, day0);
  }
};

StationReport report_of(const std::string& state, const std::string& version, const std::string& tried, Time time) {
  StationReport report;
  report.time = time;
  report.region = "europe";
  report.model = "europe";
  report.version = version;
  report.state = state;
  report.tried = tried;
  return report;
}

TEST_F(Hub, PublishesReleasesThatNeverChange) {
  Repository hub = testing::new_hub(folder.path);
  publish_two(hub);
  const PublishedRelease release = published_release(hub, "europe", "1.1");
  EXPECT_EQ(release.parents, std::vector<std::string>{"1.0"});
  EXPECT_EQ(release.hardware, (std::vector<std::string>{"cpu", "x86-64"}));
  EXPECT_EQ(release.files.size(), 3u);
  for (const PublishedFile& file : release.files) EXPECT_EQ(sha256(hub.content("targets", file.target)), file.sha256);
  // A delta from the parent, which gives the same bundle.
  ASSERT_EQ(release.deltas.size(), 1u);
  EXPECT_EQ(release.deltas[0].from, "1.0");
  write_file(folder.path / "a.zdelta", hub.content("targets", release.deltas[0].file.target));
  apply_delta(folder.path / "one", folder.path / "a.zdelta", folder.path / "made");
  EXPECT_EQ(read_file(folder.path / "made/manifest.json"), read_file(folder.path / "two/manifest.json"));
  EXPECT_EQ(release.deltas[0].base, sha256(read_file(folder.path / "one/manifest.json")));
  EXPECT_EQ(published_versions(hub, "europe"), (std::vector<std::string>{"1.0", "1.1"}));
  EXPECT_THROW(publish_bundle(hub, {folder.path / "two", "europe", "1.0", "", {}, {}}, day0), Error);
  EXPECT_THROW(publish_bundle(hub, {folder.path / "two", "europe", "2.0", "", {"0.9"}, {}}, day0), Error);
  EXPECT_THROW(publish_bundle(hub, {folder.path / "two", "../europe", "2.0", "", {}, {}}, day0), Error);
  EXPECT_THROW(published_release(hub, "europe", "3.0"), Error);
  write_file(folder.path / "two" / "weights.bin", "damaged");
  EXPECT_THROW(publish_bundle(hub, {folder.path / "two", "europe", "1.2", "", {}, {}}, day0), Error);
}

TEST_F(Hub, AssignsInWavesAndGoesBack) {
  Repository hub = testing::new_hub(folder.path);
  publish_two(hub);
  AssignmentRule rule;
  rule.region = "europe";
  rule.model = "europe";
  rule.version = "9.9";
  EXPECT_THROW(assign(hub, rule, day0), Error);
  rule.version = "1.0";
  assign(hub, rule, day0);
  rule.version = "1.1";
  rule.percent = {10, 50};
  EXPECT_EQ(assign(hub, rule, day0).before, "1.0");
  const auto share = [&] {
    int have = 0;
    for (int i = 0; i < 1000; ++i)
      have += published_rules(hub).assigned({std::to_string(i), "europe", {}})->version == "1.1";
    return have;
  };
  EXPECT_NEAR(share(), 100, 35);
  EXPECT_EQ(advance_wave(hub, "europe", "europe", day0).percent_now(), 50);
  EXPECT_NEAR(share(), 500, 60);
  EXPECT_EQ(stop_waves(hub, "europe", "", "rain everywhere", day0).reason, "rain everywhere");
  EXPECT_EQ(share(), 0);
  EXPECT_THROW(advance_wave(hub, "europe", "", day0), Error);
  // Another version after a stopped one: the others keep what they have.
  rule.percent = {20, 100};
  EXPECT_EQ(assign(hub, rule, day0).before, "1.0");
  advance_wave(hub, "europe", "", day0);
  EXPECT_EQ(share(), 1000);
  EXPECT_THROW(advance_wave(hub, "europe", "", day0), Error);
}

TEST_F(Hub, PublishesFeedsAndForgetsOldOnes) {
  Repository hub = testing::new_hub(folder.path);
  for (int cycle = 0; cycle < 4; ++cycle) {
    BoundaryFeed feed{Grid::regional(60, 40, 5, 350, 10, 5),
                      {parse_channel("2t")},
                      1,
                      day0 + 6h * cycle,
                      Duration(6h),
                      {Duration(6h)}};
    feed.previous.assign(25, 280);
    feed.current.assign(25, 281);
    feed.strips.assign(16, 282);
    feed.region = "europe";
    write_feed(folder.path / "a.feed", feed);
    publish_feed(hub, folder.path / "a.feed", 2, day0 + 6h * cycle);
  }
  const auto& feeds = hub.role("feeds").targets;
  ASSERT_EQ(feeds.size(), 2u);
  EXPECT_TRUE(feeds.contains("feeds/europe/2026030112.feed"));
  EXPECT_TRUE(feeds.contains("feeds/europe/2026030118.feed"));
  EXPECT_EQ(hub.role("targets").version, 1);  // the catalogue's key is not needed each cycle
}

TEST(WaveGate, CountsOnlyStationsOfTheWave) {
  AssignmentRule rule;
  rule.region = "europe";
  rule.model = "europe";
  rule.version = "1.1";
  rule.percent = {50, 100};
  rule.failing_percent = 10;
  rule.least_reports = 4;
  Reports reports;
  const auto add = [&](int count, bool in_wave, const std::string& state) {
    for (int i = 0; count > 0; ++i) {
      const std::string id = state + std::to_string(i);
      if (reports.contains(id) || (place_in_waves(id, "europe", "1.1") < 50) != in_wave) continue;
      reports[id] = report_of(state, state == "failed" ? "1.0" : "1.1", "1.1", day0);
      --count;
    }
  };
  EXPECT_EQ(judge_wave(rule, reports).verdict, Verdict::wait);
  add(20, false, "failed");  // not asked to run it, whatever they say
  EXPECT_EQ(judge_wave(rule, reports).verdict, Verdict::wait);
  EXPECT_EQ(judge_wave(rule, reports).failing, 0);
  add(9, true, "healthy");
  EXPECT_EQ(judge_wave(rule, reports).verdict, Verdict::go_on);
  add(1, true, "failed");
  EXPECT_EQ(judge_wave(rule, reports).verdict, Verdict::go_on);  // one of ten is not more than 10 %
  add(1, true, "failed");
  EXPECT_EQ(judge_wave(rule, reports).verdict, Verdict::stop);
  EXPECT_EQ(judge_wave(rule, reports).reason(), "2 of 11 stations that tried it failed");
  rule.stopped = true;
  EXPECT_EQ(judge_wave(rule, reports).verdict, Verdict::wait);
}

class Served : public Hub {
 protected:
  void start(bool advance = false) {
    HubServerOptions options;
    options.port = 0;
    options.advance = advance;
    server.emplace(site, options);
    thread = std::jthread([this] { server->run(); });
    client.emplace("127.0.0.1", server->port());
  }
  ~Served() override {
    if (server) server->stop();
  }
  std::optional<HubServer> server;
  std::jthread thread;
  std::optional<httplib::Client> client;
};

TEST_F(Served, GivesFilesAsWebServersDo) {
  {
    Repository hub = testing::new_hub(folder.path);
    publish_two(hub);
  }
  start();
  const std::string whole = read_file(site / "public/metadata/timestamp.json");
  const auto got = client->Get("/metadata/timestamp.json");
  ASSERT_TRUE(got);
  EXPECT_EQ(got->status, 200);
  EXPECT_EQ(got->body, whole);
  EXPECT_FALSE(got->has_header("Content-Encoding"));
  const std::string tag = got->get_header_value("ETag");
  const auto head = client->Head("/metadata/timestamp.json");
  EXPECT_EQ(head->status, 200);
  EXPECT_EQ(head->get_header_value("Content-Length"), std::to_string(whole.size()));
  EXPECT_TRUE(head->body.empty());
  const auto same = client->Get("/metadata/timestamp.json", {{"If-None-Match", tag}});
  EXPECT_EQ(same->status, 304);
  EXPECT_TRUE(same->body.empty());
  EXPECT_EQ(client->Get("/metadata/timestamp.json", {{"If-None-Match", "\"other\""}})->status, 200);

  const auto range = [&](const std::string& words, const std::string& if_range = "") {
    httplib::Headers headers{{"Range", words}};
    if (!if_range.empty()) headers.emplace("If-Range", if_range);
    return client->Get("/metadata/timestamp.json", headers);
  };
  const auto size = whole.size();
  EXPECT_EQ(range("bytes=5-9")->status, 206);
  EXPECT_EQ(range("bytes=5-9")->body, whole.substr(5, 5));
  EXPECT_EQ(range("bytes=5-9")->get_header_value("Content-Range"), fmt::format("bytes 5-9/{}", size));
  EXPECT_EQ(range("bytes=100-")->body, whole.substr(100));
  EXPECT_EQ(range("bytes=-7")->body, whole.substr(size - 7));
  EXPECT_EQ(range("bytes=10-99999999")->body, whole.substr(10));
  EXPECT_EQ(range(fmt::format("bytes={}-", size))->status, 416);
  EXPECT_EQ(range("bytes=99999999-100000000")->status, 416);
  EXPECT_EQ(range("bytes=5-9", tag)->body, whole.substr(5, 5));
  EXPECT_EQ(range("bytes=5-9", "\"older\"")->body, whole);
  EXPECT_EQ(client->Get("/metadata/timestamp.json")->body, whole);  // the server is well after all of it

  for (const char* path : {"/metadata/none.json", "/hub.json", "/../hub.json", "/..%2fkeys/targets.key",
                           "/keys/targets.key", "/metadata", "/.lock", "/metadata//timestamp.json"})
    EXPECT_EQ(client->Get(path)->status, 404) << path;
  EXPECT_EQ(client->Get("/log.jsonl")->status, 200);
}

TEST_F(Served, StopsAWaveThatFailsAndSignsTheWayBack) {
  {
    Repository hub = testing::new_hub(folder.path);
    publish_two(hub);
    AssignmentRule rule;
    rule.region = "europe";
    rule.model = "europe";
    rule.version = "1.0";
    assign(hub, rule, day0);
    rule.version = "1.1";
    rule.percent = {50, 100};
    rule.failing_percent = 20;
    assign(hub, rule, day0);
  }
  start();
  std::vector<SecretKey> wave;
  while (wave.size() < 4) {
    SecretKey key = SecretKey::generate();
    if (place_in_waves(key.public_key().id(), "europe", "1.1") < 50) wave.push_back(key);
  }
  const auto send = [&](const SecretKey& key, const StationReport& report) {
    return client->Post("/v1/reports", report.signed_by(key), "application/json")->status;
  };
  EXPECT_EQ(client->Post("/v1/reports", "{}", "application/json")->status, 400);
  EXPECT_EQ(client->Post("/v1/reports", std::string(100'000, 'x'), "application/json")->status, 413);
  EXPECT_EQ(send(wave[0], report_of("healthy", "1.1", "1.1", day0 + 1h)), 204);
  EXPECT_EQ(send(wave[0], report_of("failed", "1.0", "1.1", day0)), 400);  // older: a replay
  EXPECT_EQ(send(wave[1], report_of("failed", "1.0", "1.1", day0 + 1h)), 204);
  auto waves = nlohmann::json::parse(client->Get("/v1/waves")->body);
  EXPECT_FALSE(waves[0]["stopped"].get<bool>());  // two are too few to judge by
  EXPECT_EQ(send(wave[2], report_of("failed", "1.0", "1.1", day0 + 1h)), 204);
  waves = nlohmann::json::parse(client->Get("/v1/waves")->body);
  EXPECT_TRUE(waves[0]["stopped"].get<bool>());
  EXPECT_EQ(waves[0]["reason"], "2 of 3 stations that tried it failed");
  server->stop();
  thread.join();

  // A station that pulls now is told to go back, by signed metadata.
  testing::FolderFetcher web(site / "public/metadata");
  TrustedRepository station(folder.path / "station", read_file(site / "public/metadata/root.json"));
  station.refresh(web, day0 + 2h);
  const auto target = station.find(AssignmentRules::target);
  ASSERT_TRUE(target);
  const std::string text = read_file(site / "public/targets" / target->address(AssignmentRules::target));
  require_target(AssignmentRules::target, *target, text);
  EXPECT_EQ(AssignmentRules::parse(text).assigned({wave[0].public_key().id(), "europe", {}})->version, "1.0");
  const Repository hub(site);
  EXPECT_EQ(hub.log().entries().back()["event"], "stop");
}

TEST_F(Served, GoesOnByItselfWhereItWasToldTo) {
  {
    Repository hub = testing::new_hub(folder.path);
    publish_two(hub);
    AssignmentRule rule;
    rule.model = "europe";
    rule.version = "1.1";
    rule.before = "1.0";
    rule.percent = {30, 100};
    rule.least_reports = 1;
    assign(hub, rule, day0);
  }
  start(true);
  SecretKey key = SecretKey::generate();
  while (place_in_waves(key.public_key().id(), "europe", "1.1") >= 30) key = SecretKey::generate();
  EXPECT_EQ(
      client->Post("/v1/reports", report_of("healthy", "1.1", "1.1", day0).signed_by(key), "application/json")->status,
      204);
  EXPECT_EQ(nlohmann::json::parse(client->Get("/v1/waves")->body)[0]["percent"], 100);
}

}  // namespace
}  // namespace zonda::edge
