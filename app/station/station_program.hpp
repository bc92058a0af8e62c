#pragma once
// The station as a process: its configuration made into parts, and what it writes for people.
#include <filesystem>
#include <functional>
#include <memory>
#include <nlohmann/json.hpp>

#include "inference/edge/station/service_notice.hpp"
#include "inference/edge/station/station_config.hpp"

namespace zonda::app {

class StationProgram {
 public:
  /// Makes the station's folder and key where there are none. Throws Error(usage) where another process has the folder,
  /// Error(data) where the root metadata cannot be trusted.
  StationProgram(edge::StationConfig config, std::function<bool()> cancelled);
  ~StationProgram();
  StationProgram(const StationProgram&) = delete;
  StationProgram& operator=(const StationProgram&) = delete;

  /// Serves until cancelled.
  void run();
  /// Takes up what is on the disk, asks the hub, updates, makes a forecast if one is due.
  void once();
  /// What `status.json` says.
  nlohmann::ordered_json status() const;

 private:
  struct Parts;
  std::unique_ptr<Parts> parts_;
};

/// Tags of this machine: architecture, and instruction sets that kernels use (`x86-64`, `avx2`, `avx512`, `aarch64`).
std::vector<std::string> hardware_tags();

nlohmann::ordered_json status_record(const edge::StationConfig& config, const edge::StationView& view);
/// For people, some lines.
std::string status_text(const nlohmann::ordered_json& status);

}  // namespace zonda::app
