// Two hundred stations with bad links, restarts and wrong clocks; a bad model goes to the first wave.
#include <gmock/gmock.h>

#include <cstdio>
#include <mutex>

#include "inference/edge/simulator/fleet.hpp"
#include "tests/inference/edge/hub_client/published_hub.hpp"

namespace zonda::edge {
namespace {

using namespace std::chrono_literals;

/// The gate of a wave, as a hub keeps it: of the stations that tried the version, how many failed.
class Gate {
 public:
  void take(std::string_view text) {
    const StationReport report = StationReport::parse(text);
    const std::scoped_lock lock(mutex_);
    last_[report.station] = report;
  }
  std::pair<int, int> failed_and_tried(const std::string& version) const {
    const std::scoped_lock lock(mutex_);
    int failed = 0, tried = 0;
    for (const auto& [station, report] : last_) {
      if (report.tried != version) continue;
      ++tried;
      failed += report.state == "failed" ? 1 : 0;
    }
    return {failed, tried};
  }

 private:
  mutable std::mutex mutex_;
  std::map<std::string, StationReport> last_;
};

TEST(CanaryFleet, ABadModelStopsInItsFirstWaveAndNoStationIsLeftWithoutAModel) {
  const fs::path folder = test_folder("canary_fleet");
  fs::remove_all(folder);
  fs::create_directories(folder);
  log::set_level(log::Level::error);
  const Time start = parse_time("2026-03-01T00:00");
  PublishedHub hub(folder, start);
  const std::string root = hub.root();
  Gate gate;
  AssignmentRule rule;
  rule.region = rule.model = "europe";
  rule.version = "1";
  hub.publish("1", "good", start);
  hub.assign(rule, start);
  hub.feed(start, start);

  const FleetSettings settings{.directory = folder / "stations", .stations = 200, .start = start};
  std::vector<SecretKey> keys;
  for (int i = 0; i < settings.stations; ++i)
    keys.push_back(SecretKey::from_seed(sha256(fmt::format("station {}", i)).substr(0, 32)));
  Fleet fleet(settings, [&](int index) {
    const StationTraits traits{keys[static_cast<std::size_t>(index)].public_key().id(), "europe", {"x86-64"}};
    auto transport = std::make_unique<FolderTransport>(hub.repository.public_folder());
    transport->reports = [&gate](std::string_view text) { gate.take(text); };
    return StationOutfit{std::move(transport), open_small_model(),
                         [&root, traits](const StationSettings& station, Transport& link) {
                           return std::make_unique<TrustedHub>(
                               TrustedHub::Settings{hub_url, station.directory / "hub", traits}, link, root);
                         },
                         [&keys, traits, index](const StationSettings&, const StationView& view) {
                           StationReport report;
                           report.station = traits.id;
                           report.time = view.time;
                           report.region = traits.region;
                           report.hardware = traits.hardware;
                           if (view.update.release) {
                             report.model = view.update.release->name;
                             report.version = report.tried = view.update.release->version;
                           }
                           if (view.update.failed) {
                             report.state = "failed";
                             report.tried = view.update.failed->version;
                             report.reason = view.update.failed_reason;
                           }
                           return report.signed_by(keys[static_cast<std::size_t>(index)]);
                         }};
  });
  std::vector<FleetCounts> history;
  const auto live = [&](Duration duration) {
    fleet.live(duration);
    history.push_back(fleet.counts());
  };
  live(8h);
  EXPECT_GT(history.back().with_model, 190);
  live(24h);
  EXPECT_EQ(history.back().with_model, 200) << to_json(history.back()).dump(2);

  // A bad model to 10 %, then to all unless the gate stops it.
  hub.publish("2", "fails its forecast", fleet.now());
  rule.version = "2";
  rule.before = "1";
  rule.percent = {10, 100};
  hub.assign(rule, fleet.now());
  hub.feed(fleet.now(), fleet.now());
  int hours = 0;
  for (; hours < 24 && !rule.stopped; hours += 2) {
    live(2h);
    const auto [failed, tried] = gate.failed_and_tried("2");
    if (tried >= rule.least_reports && 100 * failed > rule.failing_percent * tried) {
      rule.stopped = true;
      hub.assign(rule, fleet.now());
    }
  }
  ASSERT_TRUE(rule.stopped);
  live(8h);
  const FleetCounts& end = history.back();
  write_file(fs::path(testing::TempDir()) / "canary_fleet.html",
             fleet_report("A bad model in its first wave", history));
  std::printf("stopped after %d h\n%s\n", hours, to_json(end).dump(2).c_str());
  EXPECT_EQ(end.versions, (std::map<std::string, int>{{"europe 1", 200}}));
  EXPECT_EQ(end.with_model, 200);
  EXPECT_EQ(end.lost_their_model, 0);
  EXPECT_GT(end.rollbacks, 5);
  EXPECT_LT(end.rollbacks, 40) << "the first wave alone";
  for (const auto count : {end.lost, end.truncated, end.corrupted, end.restarts, end.clock_jumps}) EXPECT_GT(count, 0);
  fs::remove_all(folder);
}

}  // namespace
}  // namespace zonda::edge
