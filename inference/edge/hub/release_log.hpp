#pragma once
// The release log: what the hub did, in order. Each line holds the SHA-256 of the one before, and the signed metadata
// hold the SHA-256 of the last: nothing can be taken out or changed later without it being seen.
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "core/time.hpp"

namespace zonda::edge {

/// Where a log ends.
struct LogHead {
  std::int64_t entries = 0;
  std::string sha256 = std::string(64, '0');  ///< of the last line
};

class ReleaseLog {
 public:
  explicit ReleaseLog(std::filesystem::path file) : file_(std::move(file)) {}
  /// Adds a line and syncs it; a line that a killed writer left unfinished is dropped first. Throws Error(failure).
  LogHead append(Time time, const std::string& event, const nlohmann::json& details) const;
  /// All entries, verified. Throws Error(data) naming the line that does not follow from the one before.
  std::vector<nlohmann::json> entries() const;
  LogHead head() const;
  /// Whether the log had this head at some time.
  bool had(const LogHead& head) const;

 private:
  std::vector<std::string> lines() const;
  const std::filesystem::path file_;
};

}  // namespace zonda::edge
