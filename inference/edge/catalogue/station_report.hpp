#pragma once
// The inventory that a station signs and sends: which model it has, and how that goes.
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "core/time.hpp"
#include "inference/edge/trust/signing_key.hpp"

namespace zonda::edge {

struct StationReport {
  std::string station;  ///< id of the key that signs
  Time time{};
  std::string region;
  std::vector<std::string> hardware;
  std::string model, version;  ///< the one that serves; empty: none
  /// Of the newest version it was told to run: `healthy`, `failed` (self-test or forecast failed: rolled back),
  /// `updating`.
  std::string state = "healthy";
  std::string tried;    ///< the version that `state` speaks of
  std::string reason;   ///< why it failed
  nlohmann::json more;  ///< anything else to keep (object), or null

  /// {"signed": ..., "key": ..., "signature": ...}
  std::string signed_by(const SecretKey& key) const;
  /// Throws Error(data): not of the shape, larger than `longest` bytes, not signed by the key whose id is the
  /// station's.
  static StationReport parse(std::string_view text);
  static constexpr std::size_t longest = 64 * 1024;
};

}  // namespace zonda::edge
