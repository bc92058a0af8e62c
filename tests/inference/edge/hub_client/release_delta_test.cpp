// A station that has one release takes the next as a delta.
#include <gtest/gtest.h>

#include "inference/edge/hub/publication.hpp"
#include "tests/inference/edge/edge_bundle.hpp"
#include "tests/inference/edge/hub_client/published_hub.hpp"

namespace zonda::edge {
namespace {

struct ReleaseDelta : ::testing::Test {
  fs::path folder = test_folder("release_delta");
  Time now = parse_time("2026-03-01T00:00");
  ReleaseDelta() {
    fs::remove_all(folder);
    fs::create_directories(folder);
  }
  ~ReleaseDelta() override { fs::remove_all(folder); }
};

TEST_F(ReleaseDelta, BringsTheNextReleaseForFewBytesAndDoesWithoutWhereItIsDamaged) {
  PublishedHub hub(folder, now);
  edge::testing::write_edge_bundle(folder / "one", {.rows = 256, .columns = 128});
  edge::testing::write_edge_bundle(folder / "two", {.rows = 256, .columns = 128, .change = 1e-3, .version = "2"});
  publish_bundle(hub.repository, {folder / "one", "europe", "1", "europe", {}, {}}, now);
  publish_bundle(hub.repository, {folder / "two", "europe", "2", "europe", {"1"}, {}}, now);
  FolderTransport transport(hub.repository.public_folder());
  TrustedHub client({hub_url, folder / "client", {"station key", "europe", {"cpu"}}}, transport, hub.root());
  ContentStore store(folder / "content");
  const auto assigned = [&](const std::string& version) {
    AssignmentRule rule;
    rule.model = "europe";
    rule.version = version;
    hub.assign(rule, now);
    return *client.poll(now).model;
  };
  const Release one = assigned("1");
  for (const Release::File& file : one.files) store.put(file.content.sha256, read_file(folder / "one" / file.name));
  const Release two = assigned("2");
  EXPECT_FALSE(client.fetch_cheaply(two, std::nullopt, store));
  transport.damages = true;
  EXPECT_FALSE(client.fetch_cheaply(two, one, store));
  transport.damages = false;
  const std::uint64_t before = transport.bytes;
  EXPECT_TRUE(client.fetch_cheaply(two, one, store));
  std::uint64_t whole = 0;
  for (const Release::File& file : two.files) {
    EXPECT_EQ(read_file(store.path(file.content.sha256)), read_file(folder / "two" / file.name)) << file.name;
    whole += file.content.bytes;
  }
  EXPECT_LT(transport.bytes - before, whole / 8);
  EXPECT_FALSE(fs::exists(folder / "client" / "delta"));
}

}  // namespace
}  // namespace zonda::edge
