// Canonical JSON, keys, and the everyday way of a client.
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <numeric>
#include <set>

#include "core/error.hpp"
#include "inference/edge/catalogue/assignment_rules.hpp"
#include "inference/edge/catalogue/station_report.hpp"
#include "inference/edge/trust/canonical_json.hpp"
#include "tests/inference/edge/hub_folder.hpp"

namespace zonda::edge {
namespace {

using namespace std::chrono_literals;
using nlohmann::json;
using testing::day0;

TEST(CanonicalJson, IsSortedWithoutSpaceAndEscapesTwoLetters) {
  EXPECT_EQ(canonical_json(json::parse(R"({"b": [1, -2, true, null], "a": {"z": "q\"\\\n\u00e9/"}, "": {}, "c": []})")),
            "{\"\":{},\"a\":{\"z\":\"q\\\"\\\\\n\u00e9/\"},\"b\":[1,-2,true,null],\"c\":[]}");
  EXPECT_THROW(canonical_json(json{{"a", 0.5}}), Error);
}

TEST(SigningKey, AgreesWithRfc8032) {
  // RFC 8032, 7.1, test 2.
  std::string seed;
  for (const char* digits = "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb"; *digits != 0;
       digits += 2)
    seed += static_cast<char>(std::stoi(std::string(digits, 2), nullptr, 16));
  const SecretKey key = SecretKey::from_seed(seed);
  EXPECT_EQ(key.public_key().hexadecimal(), "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c");
  EXPECT_EQ(key.sign("\x72"),
            "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
            "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00");
  EXPECT_TRUE(key.public_key().verifies("\x72", key.sign("\x72")));
  EXPECT_FALSE(key.public_key().verifies("\x73", key.sign("\x72")));
  EXPECT_FALSE(key.public_key().verifies("\x72", ""));
  EXPECT_FALSE(key.public_key().verifies("\x72", std::string(128, 'g')));
}

TEST(SigningKey, IsKeptForItsOwnerAndSealedByAPassphrase) {
  const testing::Folder folder("keys");
  const SecretKey key = SecretKey::generate();
  const auto path = folder.path / "a.key";
  key.write(path, "correct horse");
  struct stat status {};
  ASSERT_EQ(::stat(path.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0600u);
  EXPECT_EQ(SecretKey::read(path, "correct horse").sign("m"), key.sign("m"));
  EXPECT_THROW(SecretKey::read(path, "wrong horse"), Error);
  EXPECT_THROW(SecretKey::read(path), Error);
  EXPECT_THROW(key.write(path), Error);  // nothing is overwritten
  ASSERT_EQ(::chmod(path.c_str(), 0644), 0);
  EXPECT_THROW(SecretKey::read(path, "correct horse"), Error);
  key.write(folder.path / "open.key");
  EXPECT_EQ(SecretKey::read(folder.path / "open.key").sign("m"), key.sign("m"));
}

TEST(TrustedRepository, FollowsReleasesAndRotationsAndRestarts) {
  const testing::Folder folder("follow");
  Repository hub = testing::new_hub(folder.path);
  testing::FolderFetcher web(folder.path / "hub/public/metadata");
  TrustedRepository station(folder.path / "station", read_file(folder.path / "hub/public/metadata/root.json"));
  EXPECT_FALSE(station.find("models/a/1/x"));
  EXPECT_TRUE(station.refresh(web, day0 + 1s));
  EXPECT_FALSE(station.refresh(web, day0 + 2s));
  // An idle poll asks for two files, one of which is not there.
  web.asked.clear();
  station.refresh(web, day0 + 3s);
  EXPECT_EQ(web.asked, (std::vector<std::string>{"2.root.json", "timestamp.json"}));
  EXPECT_LT(read_file(folder.path / "hub/public/metadata/timestamp.json").size(), 1024u);

  hub.put_text("targets", "models/a/1/x", "content");
  hub.put_text("feeds", "feeds/a/2026030100.feed", "feed");
  hub.put_text("assignment", "assignment/rules.json", "rules");
  EXPECT_THROW(hub.put_text("targets", "feeds/a/x", ""), Error);
  EXPECT_THROW(hub.put_text("feeds", "models/a/1/y", ""), Error);
  EXPECT_THROW(hub.put_text("targets", "models/a/1/x", "other"), Error);
  EXPECT_THROW(hub.put_text("targets", "models/../x", "other"), Error);
  hub.publish(day0, "publish", json::object());
  EXPECT_TRUE(station.refresh(web, day0 + 4s));
  EXPECT_TRUE(station.find("models/a/1/x"));
  EXPECT_TRUE(station.find("feeds/a/2026030100.feed"));
  EXPECT_EQ(hub.content("targets", "models/a/1/x"), "content");

  const auto roots = testing::root_folders(folder.path);
  const std::vector<testing::fs::path> two{roots[0], roots[1]};
  for (const char* role : {"targets", "snapshot", "timestamp", "assignment", "feeds"}) hub.rotate(role, two, "", day0);
  hub.rotate("root", two, roots[1], day0);
  hub.rotate("root", {roots[1], roots[2]}, roots[0], day0);
  EXPECT_THROW(hub.rotate("targets", {roots[0]}, "", day0), Error);
  EXPECT_THROW(hub.rotate("nobody", two, "", day0), Error);
  // A station that was away for all of it.
  TrustedRepository restarted(folder.path / "station", "");
  EXPECT_TRUE(restarted.find("models/a/1/x"));
  EXPECT_TRUE(restarted.refresh(web, day0 + 5s));
  EXPECT_EQ(restarted.root().version, 6);
  EXPECT_TRUE(restarted.find("feeds/a/2026030100.feed"));
  // And one that was shipped with the first root.
  TrustedRepository late(folder.path / "late", read_file(folder.path / "hub/public/metadata/1.root.json"));
  EXPECT_TRUE(late.refresh(web, day0 + 6s));
  EXPECT_TRUE(late.find("models/a/1/x"));
}

/// Gives what a killed process would have left: the refresh ends after `left` files.
class Dying : public MetadataFetcher {
 public:
  Dying(MetadataFetcher& web, int left) : web_(web), left_(left) {}
  std::optional<std::string> fetch(const std::string& name, std::size_t longest) override {
    if (left_-- == 0) throw std::runtime_error("killed");
    return web_.fetch(name, longest);
  }

 private:
  MetadataFetcher& web_;
  int left_;
};

TEST(TrustedRepository, ARefreshThatEndsAnywhereIsMadeUpForLater) {
  const testing::Folder folder("dying");
  Repository hub = testing::new_hub(folder.path);
  testing::FolderFetcher web(folder.path / "hub/public/metadata");
  const std::string root = read_file(folder.path / "hub/public/metadata/root.json");
  TrustedRepository(folder.path / "station", root).refresh(web, day0);
  const auto roots = testing::root_folders(folder.path);
  hub.put_text("targets", "models/a/1/x", "content");
  hub.put_text("feeds", "feeds/a/2026030100.feed", "feed");
  hub.publish(day0, "publish", json::object());
  hub.rotate("feeds", {}, "", day0);
  hub.rotate("timestamp", {roots[0], roots[1]}, "", day0);
  int ended = 0;
  for (int files = 0; files < 12; ++files) {
    const auto copy = folder.path / ("station-" + std::to_string(files));
    std::filesystem::copy(folder.path / "station", copy);
    try {
      Dying dying(web, files);
      TrustedRepository(copy, "").refresh(dying, day0);
    } catch (const std::runtime_error& error) {
      ended += std::string(error.what()) == "killed";
    }
    TrustedRepository again(copy, "");
    again.refresh(web, day0);
    EXPECT_TRUE(again.find("models/a/1/x")) << files;
    EXPECT_TRUE(again.find("feeds/a/2026030100.feed")) << files;
  }
  EXPECT_GE(ended, 6);
}

TEST(Repository, IsForOneProcessAndItsLogCannotBeChanged) {
  const testing::Folder folder("log");
  {
    Repository hub = testing::new_hub(folder.path);
    EXPECT_THROW(Repository(folder.path / "hub"), Error);
    EXPECT_THROW(testing::new_hub(folder.path), Error);
    hub.publish(day0, "one", {{"a", 1}});
    hub.publish(day0, "two", {{"a", 2}});
    EXPECT_EQ(hub.log().entries().size(), 3u);
    EXPECT_TRUE(hub.log().had(hub.log().head()));
    EXPECT_FALSE(hub.log().had({2, std::string(64, 'a')}));
  }
  const Repository again(folder.path / "hub");
  const auto file = folder.path / "hub/public/log.jsonl";
  const std::string text = read_file(file);
  std::string changed = text;
  changed.replace(changed.find("\"a\":1"), 5, "\"a\":7");
  write_file(file, changed);
  EXPECT_THROW(again.log().entries(), Error);
  const std::size_t second = text.find('\n') + 1;
  write_file(file, text.substr(0, second) + text.substr(text.find('\n', second) + 1));
  EXPECT_THROW(again.log().entries(), Error);
}

TEST(AssignmentRules, WavesTakeTheirShareAndGrow) {
  AssignmentRules rules;
  AssignmentRule rule;
  rule.region = "europe";
  rule.hardware = {"x86-64"};
  rule.model = "europe";
  rule.version = "1.1";
  rule.before = "1.0";
  rule.percent = {5, 25, 100};
  rules.rules = {rule};
  const AssignmentRules read = AssignmentRules::parse(rules.to_json().dump());
  std::set<std::string> earlier;
  for (int wave = 0; wave < 3; ++wave) {
    rules.rules[0].wave = wave;
    std::set<std::string> have;
    for (int i = 0; i < 4000; ++i) {
      const StationTraits station{"station " + std::to_string(i), "europe", {"x86-64", "avx2"}};
      const auto model = rules.assigned(station);
      ASSERT_TRUE(model);
      if (model->version == "1.1") have.insert(station.id);
    }
    EXPECT_NEAR(static_cast<double>(have.size()) / 40, rule.percent[static_cast<std::size_t>(wave)], 2);
    EXPECT_TRUE(std::includes(have.begin(), have.end(), earlier.begin(), earlier.end()));
    earlier = have;
  }
  EXPECT_EQ(read.assigned({"s", "asia", {"x86-64"}}), std::nullopt);
  EXPECT_EQ(read.assigned({"s", "europe", {"arm64"}}), std::nullopt);
  rules.rules[0].stopped = true;
  for (int i = 0; i < 100; ++i) EXPECT_EQ(rules.assigned({std::to_string(i), "europe", {"x86-64"}})->version, "1.0");
  EXPECT_THROW(AssignmentRules::parse(R"({"schema":"zonda.assignment.1","rules":[{}]})"), Error);
}

TEST(StationReport, IsBelievedOnlyFromItsStation) {
  const SecretKey key = SecretKey::generate();
  StationReport report;
  report.time = day0;
  report.region = "europe";
  report.hardware = {"x86-64"};
  report.model = "europe";
  report.version = "1.0";
  report.state = "failed";
  report.tried = "1.1";
  report.reason = "self-test";
  report.more = {{"free_gib", 3.5}};
  const std::string text = report.signed_by(key);
  const StationReport read = StationReport::parse(text);
  EXPECT_EQ(read.station, key.public_key().id());
  EXPECT_EQ(read.tried, "1.1");
  EXPECT_EQ(read.more["free_gib"], 3.5);
  json forged = json::parse(text);
  forged["signed"]["state"] = "healthy";
  EXPECT_THROW(StationReport::parse(forged.dump()), Error);
  forged = json::parse(text);
  forged["key"] = SecretKey::generate().public_key().to_json();
  EXPECT_THROW(StationReport::parse(forged.dump()), Error);
  EXPECT_THROW(StationReport::parse(std::string(StationReport::longest + 1, ' ')), Error);
}

}  // namespace
}  // namespace zonda::edge
