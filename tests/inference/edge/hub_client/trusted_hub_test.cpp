#include "inference/edge/hub_client/trusted_hub.hpp"

#include <gmock/gmock.h>

#include "tests/inference/edge/hub_client/published_hub.hpp"

namespace zonda::edge {
namespace {

using testing::HasSubstr;

struct TrustedHubTest : testing::Test {
  fs::path folder = test_folder("trusted_hub");
  Time now = parse_time("2026-03-01T00:00");
  std::unique_ptr<PublishedHub> hub;
  std::unique_ptr<FolderTransport> transport;
  std::unique_ptr<TrustedHub> client;
  StationTraits traits{"station key", "europe", {"x86-64"}};
  void SetUp() override {
    fs::remove_all(folder);
    fs::create_directories(folder);
    hub = std::make_unique<PublishedHub>(folder, now);
    transport = std::make_unique<FolderTransport>(hub->repository.public_folder());
    restart();
  }
  void TearDown() override { fs::remove_all(folder); }
  void restart() {
    client =
        std::make_unique<TrustedHub>(TrustedHub::Settings{hub_url, folder / "client", traits}, *transport, hub->root());
  }
  static AssignmentRule everybody(const std::string& version) {
    AssignmentRule rule;
    rule.region = "europe";
    rule.model = "europe";
    rule.version = version;
    return rule;
  }
};

TEST_F(TrustedHubTest, NothingIsAssignedAtFirst) {
  const Assignment assignment = client->poll(now);
  EXPECT_FALSE(assignment.model);
  EXPECT_FALSE(assignment.feed);
  EXPECT_FALSE(assignment.expired);
}

TEST_F(TrustedHubTest, TellsTheAssignedReleaseAndTheNewestFeed) {
  hub->publish("1", "good", now);
  hub->publish("2", "good", now);
  hub->assign(everybody("1"), now);
  hub->feed(now - std::chrono::hours(6), now);
  hub->feed(now, now);
  const Assignment assignment = client->poll(now);
  ASSERT_TRUE(assignment.model);
  EXPECT_EQ(assignment.model->version, "1");
  EXPECT_EQ(assignment.model->files.size(), 2U);
  ASSERT_TRUE(assignment.feed);
  EXPECT_EQ(assignment.feed->cycle, now);
  ContentStore store(folder / "content");
  SimulatedClock clock(now);
  Downloader downloader(*transport, store, clock, {.reserve_bytes = 0}, "one");
  for (const auto& file : assignment.model->files) downloader.fetch(file.content);
  downloader.fetch(assignment.feed->content);
  EXPECT_EQ(read_file(store.path(assignment.feed->content.sha256)), "feed of 2026-03-01T00:00:00Z");
}

TEST_F(TrustedHubTest, AnIdlePollAsksForTheTimestampAndTheNextRootAlone) {
  hub->publish("1", "good", now);
  hub->assign(everybody("1"), now);
  client->poll(now);
  transport->asked.clear();
  transport->bytes = 0;
  client->poll(now + std::chrono::minutes(10));
  EXPECT_EQ(transport->asked.size(), 2U) << testing::PrintToString(transport->asked);
  EXPECT_EQ(transport->bytes, 0U) << "no body at all";
}

TEST_F(TrustedHubTest, AStationWithoutTheHardwareRefuses) {
  hub->publish("1", "good", now, {"avx512"});
  hub->assign(everybody("1"), now);
  try {
    client->poll(now);
    FAIL() << "not refused";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::data);
    EXPECT_THAT(error.what(), HasSubstr("avx512"));
  }
}

TEST_F(TrustedHubTest, WhatIsAssignedButNotInTheCatalogueIsRefused) {
  hub->assign(everybody("7"), now);
  EXPECT_THROW(client->poll(now), Error);
}

TEST_F(TrustedHubTest, ExpiredMetadataAreNotTrusted) {
  hub->publish("1", "good", now);
  hub->assign(everybody("1"), now);
  client->poll(now);
  EXPECT_THROW(client->poll(now + std::chrono::hours(24 * 400)), Error) << "somebody keeps newer metadata away";
}

TEST_F(TrustedHubTest, MetadataDamagedOnTheWayAreAskedForAgain) {
  hub->publish("1", "good", now);
  hub->assign(everybody("1"), now);
  transport->damages = true;
  EXPECT_THROW(client->poll(now), Error);
  transport->damages = false;
  EXPECT_EQ(client->poll(now).model->version, "1");
}

TEST_F(TrustedHubTest, WhatWasTrustedOutlivesARestart) {
  hub->publish("1", "good", now);
  hub->assign(everybody("1"), now);
  client->poll(now);
  restart();
  transport->asked.clear();
  EXPECT_EQ(client->poll(now).model->version, "1");
  for (const std::string& url : transport->asked) EXPECT_THAT(url, HasSubstr("/metadata/"));
}

}  // namespace
}  // namespace zonda::edge
