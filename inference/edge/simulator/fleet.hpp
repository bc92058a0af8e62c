#pragma once
// A fleet of stations in one process, each with a clock and a link of its own, against whatever hub there is.
#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "inference/edge/simulator/faulty_transport.hpp"
#include "inference/edge/station/station.hpp"

namespace zonda::edge {

struct FleetSettings {
  std::filesystem::path directory;
  int stations = 200;
  int threads = 2;
  std::uint64_t seed = 1;
  Time start{};
  Duration poll_interval = std::chrono::hours(1);
  LinkFaults link{.loss = 0.1, .truncation = 0.1, .corruption = 0.02, .delay_seconds = 5};
  double restarts_per_day = 0.5;     ///< of each station
  double clock_jumps_per_day = 0.2;  ///< calendars set wrong by up to 30 days either way, mended after a day
};

/// What a simulated station is made of, beyond its clock and link.
struct StationOutfit {
  std::unique_ptr<Transport> transport;  ///< beneath the faults
  OpenModel open;
  std::function<std::unique_ptr<Hub>(const StationSettings&, Transport&)> hub;
  std::function<std::string(const StationSettings&, const StationView&)> inventory = {};
};

struct FleetCounts {
  Time time{};
  int stations = 0, with_model = 0;
  int lost_their_model = 0;               ///< had one, then had none: at any moment so far
  std::map<std::string, int> versions{};  ///< `name version`: stations that serve it
  std::map<std::string, int> conditions{};
  std::map<std::string, std::string> without_model{};  ///< why, by station
  std::int64_t restarts = 0, clock_jumps = 0, rollbacks = 0;
  std::int64_t exchanges = 0, lost = 0, truncated = 0, corrupted = 0, bytes = 0;
};
nlohmann::ordered_json to_json(const FleetCounts& counts);
/// A page with a table of counts over time.
std::string fleet_report(const std::string& title, const std::vector<FleetCounts>& history);

class Fleet {
 public:
  /// `outfit(index)` equips a station; it is asked again after a restart.
  Fleet(FleetSettings settings, std::function<StationOutfit(int index)> outfit);
  ~Fleet();
  /// Every station lives on for so long, in its own time.
  void live(Duration duration);
  FleetCounts counts() const;
  Time now() const { return now_; }

 private:
  struct Member;
  void live(Member& member, Time until);
  void start(Member& member);

  FleetSettings settings_;
  std::function<StationOutfit(int)> outfit_;
  std::vector<std::unique_ptr<Member>> members_;
  LinkCounts link_counts_;
  std::atomic<std::int64_t> restarts_{0}, clock_jumps_{0}, rollbacks_{0};
  Time now_;
};

}  // namespace zonda::edge
