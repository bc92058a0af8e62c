// The attacks that The Update Framework names (theupdateframework.io/docs/security), each against a station that trusts
// a real repository. An attacker holds the web server and the line, and in some tests a stolen key.
#include <gtest/gtest.h>

#include <limits>

#include "core/checksum.hpp"
#include "core/error.hpp"
#include "inference/edge/catalogue/published_release.hpp"
#include "tests/inference/edge/hub_folder.hpp"

namespace zonda::edge {
namespace {

using namespace std::chrono_literals;
using nlohmann::json;
using testing::day0;
using testing::FolderFetcher;

class Attack : public ::testing::Test {
 protected:
  Attack()
      : folder(::testing::UnitTest::GetInstance()->current_test_info()->name()),
        hub(testing::new_hub(folder.path)),
        web(folder.path / "hub" / "public" / "metadata") {
    release("1.0", "weights of 1.0");
    station.emplace(folder.path / "station", read_file(web_path("root.json")));
  }
  void release(const std::string& version, const std::string& weights) {
    hub.put_text("targets", "models/europe/" + version + "/weights.bin", weights);
    hub.publish(day0, "publish", {{"version", version}});
  }
  std::filesystem::path web_path(const std::string& name) const {
    return folder.path / "hub" / "public" / "metadata" / name;
  }
  SecretKey stolen(const std::string& role) const {
    return SecretKey::read(folder.path / "hub" / "keys" / (role + ".key"));
  }
  SignedMetadata metadata(const std::string& name) const {
    return SignedMetadata::parse(read_file(web_path(name)), name);
  }
  /// The fault that a refresh meets, or "".
  std::string fault(Time now = day0 + 1h) {
    try {
      station->refresh(web, now);
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::data) << error.what();
      return error.what();
    }
    return "";
  }
  /// Whether the station still trusts release 1.0 and nothing else.
  ::testing::AssertionResult keeps_what_it_had() {
    const TrustedRepository again(folder.path / "station", "");
    for (const TrustedRepository* one : std::initializer_list<const TrustedRepository*>{&*station, &again}) {
      const auto target = one->find("models/europe/1.0/weights.bin");
      if (!target || target->sha256 != sha256("weights of 1.0")) return ::testing::AssertionFailure() << "1.0 is gone";
      if (one->find("models/europe/6.6.6/weights.bin")) return ::testing::AssertionFailure() << "6.6.6 is trusted";
    }
    return ::testing::AssertionSuccess();
  }

  testing::Folder folder;
  Repository hub;
  FolderFetcher web;
  std::optional<TrustedRepository> station;
};

#define EXPECT_FAULT(text, ...)                                          \
  {                                                                      \
    const std::string seen = fault(__VA_ARGS__);                         \
    EXPECT_NE(seen.find(text), std::string::npos) << "'" << seen << "'"; \
  }

TEST_F(Attack, ArbitraryInstallation) {
  ASSERT_EQ(fault(), "");
  // A catalogue of the attacker's, under his own key, with snapshot and timestamp to match.
  const SecretKey own = SecretKey::generate();
  SignedMetadata targets = metadata("2.targets.json");
  targets.content["version"] = 3;
  targets.content["targets"]["models/europe/6.6.6/weights.bin"] = {{"length", 4},
                                                                   {"hashes", {{"sha256", sha256("evil")}}}};
  targets.signatures.clear();
  targets.sign(own);
  SignedMetadata timestamp = metadata("timestamp.json");
  timestamp.content["version"] = 9;
  timestamp.signatures.clear();
  timestamp.sign(own);
  web.instead["timestamp.json"] = timestamp.text();
  web.instead["3.targets.json"] = targets.text();
  EXPECT_FAULT("0 of the 1 signatures that role timestamp needs");
  // His signature under the name of our key.
  timestamp.signatures = {{metadata("timestamp.json").signatures.begin()->first, own.sign("x")}};
  web.instead["timestamp.json"] = timestamp.text();
  EXPECT_FAULT("0 of the 1 signatures");
  // Other bytes under a name that is in the catalogue.
  const auto known = station->find("models/europe/1.0/weights.bin");
  EXPECT_THROW(require_target("weights.bin", *known, "weights of 6.6"), Error);
  EXPECT_NO_THROW(require_target("weights.bin", *known, "weights of 1.0"));
  EXPECT_TRUE(keeps_what_it_had());
}

TEST_F(Attack, EndlessData) {
  ASSERT_EQ(fault(), "");
  release("1.1", "weights of 1.1");
  web.instead["timestamp.json"] = std::string(MetadataLimits::timestamp + 1, ' ');
  EXPECT_FAULT("more than 16384 bytes");
  web.instead.erase("timestamp.json");
  web.instead["2.root.json"] = std::string(MetadataLimits::root + 1, ' ');
  EXPECT_FAULT("more than 512000 bytes");
  web.instead.erase("2.root.json");
  // The snapshot may not be longer than the timestamp says, by one byte.
  const std::string name = fmt::format(
      "{}.snapshot.json", metadata("timestamp.json").content["meta"]["snapshot.json"]["version"].get<int>());
  web.instead[name] = read_file(web_path(name)) + " ";
  EXPECT_FAULT("more than");
  web.instead.clear();
  const auto target = station->find("models/europe/1.0/weights.bin");
  EXPECT_THROW(require_target("weights.bin", *target, std::string(1000, 'x')), Error);
  EXPECT_TRUE(keeps_what_it_had());
  EXPECT_EQ(fault(), "");
}

TEST_F(Attack, ExtraneousFiles) {
  ASSERT_EQ(fault(), "");
  // A file more in the folder, in the snapshot's list, or in a delegated role that may not speak of it.
  write_file(folder.path / "hub/public/targets/models/europe/6.6.6/weights.bin", "evil");
  EXPECT_FALSE(station->find("models/europe/6.6.6/weights.bin"));
  const SecretKey feeds = stolen("feeds"), snapshot_key = stolen("snapshot"), timestamp_key = stolen("timestamp");
  SignedMetadata role = metadata("1.feeds.json");
  role.content["version"] = 2;
  role.content["targets"]["models/europe/6.6.6/weights.bin"] = {{"length", 4},
                                                                {"hashes", {{"sha256", sha256("evil")}}}};
  role.sign(feeds);
  SignedMetadata snapshot = metadata("2.snapshot.json");
  snapshot.content["version"] = 3;
  snapshot.content["meta"]["feeds.json"] = {{"version", 2}};
  snapshot.content["meta"]["evil.json"] = {{"version", 1}};
  snapshot.sign(snapshot_key);
  SignedMetadata timestamp = metadata("timestamp.json");
  timestamp.content["version"] = 3;
  timestamp.content["meta"]["snapshot.json"] = {{"version", 3}};
  timestamp.sign(timestamp_key);
  web.instead = {
      {"timestamp.json", timestamp.text()}, {"3.snapshot.json", snapshot.text()}, {"2.feeds.json", role.text()}};
  EXPECT_EQ(fault(), "");  // properly signed, and without effect
  EXPECT_EQ(station->delegated("feeds").targets.size(), 1u);
  EXPECT_TRUE(keeps_what_it_had());
  for (const std::string& asked : web.asked) EXPECT_EQ(asked.find("evil"), std::string::npos);
}

TEST_F(Attack, FastForward) {
  // With the stolen keys of timestamp and snapshot, versions are driven to the end of the road.
  const std::int64_t far = std::int64_t{1} << 52;
  SignedMetadata snapshot = metadata("2.snapshot.json");
  snapshot.content["version"] = far;
  snapshot.sign(stolen("snapshot"));
  SignedMetadata timestamp = metadata("timestamp.json");
  timestamp.content["version"] = far;
  timestamp.content["meta"]["snapshot.json"] = {{"version", far}};
  timestamp.sign(stolen("timestamp"));
  web.instead = {{"timestamp.json", timestamp.text()}, {std::to_string(far) + ".snapshot.json", snapshot.text()}};
  ASSERT_EQ(fault(), "");
  web.instead.clear();
  EXPECT_FAULT(std::to_string(far));  // ours look old now
  // The way back: both keys are replaced, and with them the versions that they signed are forgotten.
  const auto roots = testing::root_folders(folder.path);
  hub.rotate("timestamp", {roots[0], roots[2]}, "", day0);
  hub.rotate("snapshot", {roots[0], roots[1]}, "", day0);
  EXPECT_EQ(fault(), "");
  EXPECT_EQ(station->root().version, 3);
  EXPECT_TRUE(keeps_what_it_had());
}

TEST_F(Attack, Freeze) {
  ASSERT_EQ(fault(), "");
  const std::string frozen = read_file(web_path("timestamp.json"));
  release("1.1", "weights of 1.1");
  web.instead["timestamp.json"] = frozen;
  EXPECT_EQ(fault(day0 + 24h * 6), "");  // for as long as a signature holds, it cannot be known
  EXPECT_FAULT("expired at 2026-03-08T00:00:00Z", day0 + 24h * 7);
  EXPECT_FALSE(station->fresh(day0 + 24h * 7));
  EXPECT_TRUE(station->fresh(day0 + 24h * 6));
  // A clock that is set back, or lost its battery, does not help him: the last time seen counts.
  TrustedRepository restarted(folder.path / "station", "");
  EXPECT_EQ(restarted.last_refresh(), day0 + 24h * 6);
  web.instead.clear();
  hub.renew(day0 + 24h * 20);
  ASSERT_EQ(fault(day0 + 24h * 20), "");
  web.instead["timestamp.json"] = frozen;
  EXPECT_FAULT("version 2 after version", Time{});
  EXPECT_FALSE(station->fresh(day0 + 24h * 60));
  EXPECT_TRUE(keeps_what_it_had());
}

TEST_F(Attack, KeyCompromiseBelowTheThreshold) {
  ASSERT_EQ(fault(), "");
  // One of three root keys, where two are needed.
  const SecretKey one = SecretKey::read(testing::root_folders(folder.path)[0] / "root.key");
  const SecretKey own = SecretKey::generate();
  SignedMetadata root = metadata("1.root.json");
  root.content["version"] = 2;
  root.content["keys"][own.public_key().id()] = own.public_key().to_json();
  root.content["roles"]["targets"]["keyids"] = {own.public_key().id()};
  root.signatures.clear();
  root.sign(one);
  root.sign(own);
  web.instead["2.root.json"] = root.text();
  EXPECT_FAULT("1 of the 2 signatures that role root needs");
  // The same key under another name counts once, because a keyid is its key's hash.
  const std::string alias(64, '0');
  root.content["keys"][alias] = one.public_key().to_json();
  root.content["roles"]["root"]["keyids"].push_back(alias);
  root.signatures = {{one.public_key().id(), one.sign("x")}};
  root.sign(one);
  web.instead["2.root.json"] = root.text();
  EXPECT_FAULT("the keyid of this key is");
  web.instead.clear();
  // A key that was taken back signs nothing any more, however well it signs.
  const SecretKey old = stolen("timestamp");
  const auto roots = testing::root_folders(folder.path);
  hub.rotate("timestamp", {roots[1], roots[2]}, "", day0);
  ASSERT_EQ(fault(), "");
  SignedMetadata timestamp = metadata("timestamp.json");
  timestamp.content["version"] = 100;
  timestamp.signatures.clear();
  timestamp.sign(old);
  web.instead["timestamp.json"] = timestamp.text();
  EXPECT_FAULT("0 of the 1 signatures");
  EXPECT_TRUE(keeps_what_it_had());
}

TEST_F(Attack, MixAndMatch) {
  ASSERT_EQ(fault(), "");
  hub.put_text("feeds", "feeds/europe/2026030100.feed", "feed");
  release("1.1", "weights of 1.1");
  // A snapshot of another time under the name that the timestamp asks for.
  web.instead["3.snapshot.json"] = read_file(web_path("2.snapshot.json"));
  EXPECT_FAULT("snapshot.json:");
  // The catalogue of before in the snapshot of now.
  web.instead = {{"3.targets.json", read_file(web_path("2.targets.json"))}};
  EXPECT_FAULT("targets.json:");
  EXPECT_TRUE(keeps_what_it_had());
  // Metadata of one role as another's.
  web.instead = {{"2.feeds.json", read_file(web_path("1.assignment.json"))}};
  EXPECT_FAULT("feeds.json:");
  web.instead.clear();
  EXPECT_EQ(fault(), "");
  EXPECT_TRUE(station->find("models/europe/1.1/weights.bin"));
}

TEST_F(Attack, Rollback) {
  const std::string timestamp = read_file(web_path("timestamp.json"));
  release("1.1", "weights of 1.1, where a hole is mended");
  ASSERT_EQ(fault(), "");
  web.instead["timestamp.json"] = timestamp;
  EXPECT_FAULT("version 2 after version 3");
  // With a stolen timestamp key: a newer timestamp of an older snapshot.
  SignedMetadata forged = SignedMetadata::parse(timestamp, "timestamp.json");
  forged.content["version"] = 9;
  forged.sign(stolen("timestamp"));
  web.instead["timestamp.json"] = forged.text();
  EXPECT_FAULT("snapshot version 2 after version 3");
  // With the stolen snapshot key as well: a newer snapshot of older targets, or without them.
  for (const bool gone : {false, true}) {
    SignedMetadata snapshot = metadata("3.snapshot.json");
    snapshot.content["version"] = 4;
    if (gone)
      snapshot.content["meta"].erase("feeds.json");
    else
      snapshot.content["meta"]["targets.json"] = {{"version", 2}};
    snapshot.sign(stolen("snapshot"));
    forged.content["meta"]["snapshot.json"] = {{"version", 4}};
    forged.sign(stolen("timestamp"));
    web.instead = {{"timestamp.json", forged.text()}, {"4.snapshot.json", snapshot.text()}};
    EXPECT_FAULT(gone ? "feeds.json is gone" : "targets.json version 2 after version 3");
  }
  // Also after a restart, and after a restart in the middle.
  station.emplace(folder.path / "station", "");
  EXPECT_FAULT("feeds.json is gone");
  EXPECT_TRUE(station->find("models/europe/1.1/weights.bin"));
}

TEST_F(Attack, SlowRetrieval) {
  ASSERT_EQ(fault(), "");
  // The fetcher gives up where bytes trickle (its own tests measure that); what was trusted is kept.
  struct Slow : MetadataFetcher {
    std::optional<std::string> fetch(const std::string& name, std::size_t) override {
      fail(ErrorKind::temporary, "{}: slower than 100 bytes a second for 30 seconds", name);
    }
  } slow;
  try {
    station->refresh(slow, day0 + 2h);
    FAIL() << "nothing was thrown";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::temporary);
  }
  EXPECT_EQ(station->last_refresh(), day0 + 1h);
  EXPECT_TRUE(keeps_what_it_had());
}

TEST_F(Attack, WrongSoftware) {
  // Properly signed, but for other stations: of another name, version or hardware than was asked for.
  PublishedRelease release_of;
  release_of.name = "europe";
  release_of.version = "1.0";
  release_of.hardware = {"x86-64", "avx512"};
  const std::string text = release_of.to_json().dump();
  EXPECT_NO_THROW(
      PublishedRelease::parse(text, "europe", "1.0").require_hardware(std::vector<std::string>{"avx512", "x86-64"}));
  EXPECT_THROW(PublishedRelease::parse(text, "asia", "1.0"), Error);
  EXPECT_THROW(PublishedRelease::parse(text, "europe", "1.1"), Error);
  try {
    PublishedRelease::parse(text, "europe", "1.0").require_hardware(std::vector<std::string>{"x86-64"});
    FAIL() << "nothing was thrown";
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find("avx512"), std::string::npos);
  }
}

}  // namespace
}  // namespace zonda::edge
