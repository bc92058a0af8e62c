#include "inference/edge/simulator/fleet.hpp"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "tests/inference/edge/station/small_world.hpp"

namespace zonda::edge {
namespace {

using namespace std::chrono_literals;

/// Forwards to one transport that all stations share.
class Shared final : public Transport {
 public:
  explicit Shared(Transport& beneath) : beneath_(beneath) {}
  Reply get(const Request& request, const BodySink& sink) override { return beneath_.get(request, sink); }
  Reply post(const std::string& url, std::string_view type, std::string_view body) override {
    return beneath_.post(url, type, body);
  }

 private:
  Transport& beneath_;
};

/// A station's own view of a hub that all share; its answers come over the station's link.
class SharedHub final : public Hub {
 public:
  SharedHub(const Assignment& assignment, Transport& link) : assignment_(assignment), link_(link) {}
  Assignment poll(Time) override {
    get_document(link_, "hub:/timestamp", 100);
    return assignment_;
  }
  void report(const std::string& inventory) override { link_.post("hub:/reports", "application/json", inventory); }

 private:
  const Assignment& assignment_;
  Transport& link_;
};

struct FleetTest : testing::Test {
  fs::path folder = test_folder("fleet");
  MemoryTransport transport;
  Assignment assignment;
  FleetSettings settings{.directory = folder, .stations = 6, .start = parse_time("2026-03-01T00:00")};
  void SetUp() override {
    fs::remove_all(folder);
    log::set_level(log::Level::error);
    transport.files["hub:/timestamp"] = "1";
  }
  void TearDown() override {
    log::set_level(log::Level::info);
    fs::remove_all(folder);
  }
  std::unique_ptr<Fleet> fleet() {
    return std::make_unique<Fleet>(settings, [this](int) {
      return StationOutfit{
          std::make_unique<Shared>(transport), open_small_model(),
          [this](const StationSettings&, Transport& link) { return std::make_unique<SharedHub>(assignment, link); }};
    });
  }
};

TEST_F(FleetTest, AllHaveTheModelInTheEndWhateverTheLinkDoes) {
  assignment.model = SmallHub::make_release("1", "good", 50000, transport);
  const auto stations = fleet();
  stations->live(24h);
  const FleetCounts counts = stations->counts();
  EXPECT_EQ(counts.versions, (std::map<std::string, int>{{"europe 1", 6}}));
  EXPECT_EQ(counts.lost_their_model, 0);
  EXPECT_GT(counts.lost, 0);
  EXPECT_GT(counts.restarts, 0);
  EXPECT_GT(counts.exchanges, 100);
}

TEST_F(FleetTest, ABadModelIsTakenBackEverywhere) {
  assignment.model = SmallHub::make_release("1", "good", 50000, transport);
  const auto stations = fleet();
  stations->live(24h);
  assignment.model = SmallHub::make_release("2", "fails its self-test", 50000, transport);
  stations->live(24h);
  const FleetCounts counts = stations->counts();
  EXPECT_EQ(counts.versions, (std::map<std::string, int>{{"europe 1", 6}}));
  EXPECT_EQ(counts.lost_their_model, 0);
  EXPECT_EQ(counts.rollbacks, 6) << "once each, restarts or not";
}

TEST_F(FleetTest, TheSameSeedIsTheSameLife) {
  assignment.model = SmallHub::make_release("1", "good", 50000, transport);
  std::string first;
  for (int run = 0; run < 2; ++run) {
    fs::remove_all(folder);
    settings.threads = run + 1;
    const auto stations = fleet();
    stations->live(12h);
    const std::string now = to_json(stations->counts()).dump();
    if (run == 0) first = now;
    EXPECT_EQ(now, first);
  }
}

TEST_F(FleetTest, TheReportTellsTheCounts) {
  FleetCounts counts{.time = settings.start, .stations = 7, .with_model = 5};
  counts.versions["europe 3"] = 5;
  const std::string page = fleet_report("A fleet", {counts});
  for (const char* words : {"<h1>A fleet</h1>", "5 of 7", "europe 3: 5", "2026-03-01T00:00:00Z"})
    EXPECT_NE(page.find(words), std::string::npos) << words;
}

}  // namespace
}  // namespace zonda::edge
