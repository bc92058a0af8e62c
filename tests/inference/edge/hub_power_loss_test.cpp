// The power goes at any moment while a hub is made and publishes: what it serves holds together, what it has said to be
// published stays, and it publishes on.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "core/checksum.hpp"
#include "core/error.hpp"
#include "inference/edge/hub/publication.hpp"
#include "tests/core/power_loss.hpp"
#include "tests/inference/edge/edge_bundle.hpp"
#include "tests/inference/edge/hub_folder.hpp"

namespace zonda::edge {
namespace {

using namespace std::chrono_literals;
using testing::day0;
namespace fs = std::filesystem;

/// In memory where it can be: hundreds of worlds are laid down, each with its fsyncs.
struct MemoryFolder {
  fs::path path = (fs::is_directory("/dev/shm") ? fs::path("/dev/shm") : fs::temp_directory_path()) /
                  ("zonda-hub-power-loss-" + std::to_string(::getpid()));
  MemoryFolder() { fs::create_directories(path); }
  ~MemoryFolder() { fs::remove_all(path); }
};

struct HubPowerLoss : ::testing::Test {
  MemoryFolder folder;
  fs::path hub = folder.path / "hub";
  Time now = day0 + 1h;

  /// What a client that trusts `root` finds in a hub's public folder: every target is there as it was signed.
  static std::vector<std::string> found_by_a_client(const fs::path& site, const std::string& root,
                                                    const fs::path& client, Time now) {
    TrustedRepository trusted(client, root);
    testing::FolderFetcher fetcher(site / "public" / "metadata");
    trusted.refresh(fetcher, now);
    std::vector<std::string> paths;
    const auto look = [&](const Targets& role) {
      for (const auto& [path, target] : role.targets) {
        const std::string bytes = read_file(site / "public" / "targets" / target.address(path));
        EXPECT_EQ(sha256(bytes), target.sha256) << path;
        paths.push_back(path);
      }
    };
    look(trusted.catalogue());
    for (const char* role : {"assignment", "feeds"}) look(trusted.delegated(role));
    return paths;
  }
};

TEST_F(HubPowerLoss, WhatIsPublishedStaysAndHoldsTogether) {
  testing::write_edge_bundle(folder.path / "one", {.rows = 16, .columns = 8});
  testing::write_edge_bundle(folder.path / "two", {.rows = 16, .columns = 8, .change = 1e-3, .version = "1.1"});
  fs::create_directories(hub);
  zonda::testing::PowerLoss power(hub, folder.path / "worlds");
  const std::vector<std::string> promised{"",
                                          "",
                                          PublishedRelease::target_of("europe", "1.0"),
                                          PublishedRelease::target_of("europe", "1.1"),
                                          AssignmentRules::target,
                                          ""};
  {
    Repository repository = testing::new_hub(folder.path);
    power.promise(1);
    publish_bundle(repository, {folder.path / "one", "europe", "1.0", "europe", {}, {}}, now);
    power.promise(2);
    publish_bundle(repository, {folder.path / "two", "europe", "1.1", "europe", {"1.0"}, {}}, now);
    power.promise(3);
    AssignmentRule rule;
    rule.region = rule.model = "europe";
    rule.version = "1.1";
    assign(repository, rule, now);
    power.promise(4);
    repository.renew(day0 + 24h * 80);
    power.promise(5);
  }
  const auto& worlds = power.stop();
  EXPECT_GT(worlds.size(), 60U);
  const std::string root = read_file(hub / "public" / "metadata" / "root.json");
  for (std::size_t w = 0; w < worlds.size(); ++w) {
    const auto& world = worlds[w];
    SCOPED_TRACE(world.after + " in " + world.folder.filename().string());
    if (!fs::exists(world.folder / "hub.json")) {
      ASSERT_EQ(world.promise, 0);
      EXPECT_THROW(Repository{world.folder}, Error);
      continue;
    }
    const auto before = found_by_a_client(world.folder, root, folder.path / ("before-" + std::to_string(w)), now);
    for (int p = 2; p <= world.promise; ++p) {
      const std::string& path = promised[static_cast<std::size_t>(p)];
      EXPECT_TRUE(path.empty() || std::find(before.begin(), before.end(), path) != before.end()) << path;
    }
    // The hub goes on, and the client that saw the last state follows.
    Repository again(world.folder);
    again.put_text("feeds", feed_target("europe", "2026030100"), "a feed");
    again.publish(now + 1h, "feed", nlohmann::json::object());
    const auto after = found_by_a_client(world.folder, root, folder.path / ("before-" + std::to_string(w)), now + 1h);
    EXPECT_EQ(after.size(), before.size() + 1);
    EXPECT_NO_THROW(again.log().head());
  }
}

}  // namespace
}  // namespace zonda::edge
