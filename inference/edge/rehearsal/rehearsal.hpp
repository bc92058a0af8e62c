#pragma once
// What would happen if a release went out: a fleet of simulated stations against a copy of the hub, over HTTP.
#include <filesystem>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "inference/edge/simulator/fleet.hpp"

namespace zonda::edge {

struct RehearsalRequest {
  std::filesystem::path hub;        ///< stays as it is
  std::filesystem::path directory;  ///< of the copy and of the stations, new or empty
  std::string passphrase;           ///< of the hub's keys
  std::string model, region;        ///< of the rule that the stations follow
  std::string version;              ///< that goes out, published already; empty with `bundle` or `drill`
  std::filesystem::path bundle;     ///< to be published in the copy as `version`
  bool drill = false;               ///< what goes out is the present release with a self-test that cannot pass
  std::vector<int> waves{5, 25, 100};
  int failing_percent = 5, least_reports = 3;
  FleetSettings fleet{};                     ///< its folder and start are the rehearsal's
  Duration before = std::chrono::hours(24);  ///< at most, until all stations have the present release
  Duration after = std::chrono::hours(48);   ///< at most, until the new one is everywhere or has been stopped
  Duration settle = std::chrono::hours(12);  ///< and then
};

struct Rehearsal {
  std::string version;       ///< that went out
  bool stopped = false;      ///< by the hub's gate
  std::string reason;        ///< why
  double decided_hours = 0;  ///< from the assignment until it was everywhere or stopped; below 0: neither
  int most_with_it = 0;      ///< stations that served it at one time
  std::vector<FleetCounts> history;
};

/// Hub, gate, metadata, transfers, agents, slots, self-tests and forecasts are those of the programs; clocks and the
/// faults of links are simulated. Throws Error(usage): no such rule or version; Error(failure).
Rehearsal rehearse(const RehearsalRequest& request);
nlohmann::ordered_json to_json(const Rehearsal& rehearsal);

}  // namespace zonda::edge
