#pragma once
// station.yaml: what a station is told by the person who sets it up.
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "core/config/table.hpp"
#include "inference/edge/correction/station_correction.hpp"
#include "inference/edge/download/http_transport.hpp"
#include "inference/edge/serving/serving_config.hpp"
#include "inference/edge/station/station.hpp"

namespace zonda::edge {

struct HubSection {
  std::string url;
  std::filesystem::path root = "/etc/zonda-station/root.json";
  std::filesystem::path certificate_authorities;
  std::string region;
  Duration poll_interval = std::chrono::minutes(10);
};

struct LinkSection {
  std::int64_t maximum_bytes_per_second = 0, minimum_bytes_per_second = 64;
  std::optional<std::string> hours;
  std::int64_t disk_reserve_megabytes = 64;
};

struct PlaceSection {
  double latitude = 0, longitude = 0;
};

struct ModelSection {
  int threads = 0;
  std::optional<std::string> name;
  std::vector<std::string> hardware;
};

struct OnDemandSection {
  bool enabled = true;
  Duration reach = std::chrono::hours(24);
  int coarsest_level = 2;
  int waiting = 16;
};

struct StationConfig {
  std::string id;
  std::filesystem::path directory = "/var/lib/zonda-station";
  Duration stale_after = std::chrono::hours(12);
  HubSection hub;
  LinkSection link;
  PlaceSection place;
  ModelSection model;
  ServingConfig serve;
  OnDemandSection on_demand;
  CorrectionConfig correction;

  StationSettings settings() const;
  HttpLimits http_limits() const;
};

void describe(config::Table& table, StationConfig& config);
/// Strict: unknown keys and wrong values are faults, all reported at once. Environment variables `ZONDA_A__B` go over
/// the file. Throws Error(usage).
StationConfig read_station_config(const std::filesystem::path& path);

}  // namespace zonda::edge
