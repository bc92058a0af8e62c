#pragma once
// What the catalogue says of a model: target `models/NAME/VERSION/release.json`, beside which the files of its bundle
// are targets.
#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace zonda::edge {

/// A file, and the target it is fetched from.
struct PublishedFile {
  std::string name;    ///< in the bundle's folder: `weights.bin`
  std::string target;  ///< `models/europe/1.2/weights.bin`
  std::int64_t length = 0;
  std::string sha256;
};

/// What makes this release's bundle out of another's.
struct PublishedDelta {
  std::string from;  ///< version of the same name
  std::string base;  ///< SHA-256 of the other bundle's manifest.json
  PublishedFile file;
};

struct PublishedRelease {
  std::string name, version;
  std::string region;
  std::vector<std::string> parents;   ///< versions it was made from
  std::vector<std::string> hardware;  ///< tags that a station must have, all of them
  std::vector<PublishedFile> files;
  std::vector<PublishedDelta> deltas;

  static std::string target_of(const std::string& name, const std::string& version) {
    return "models/" + name + "/" + version + "/release.json";
  }
  nlohmann::json to_json() const;
  /// Throws Error(data), also where the text is of another model than `name` and `version`.
  static PublishedRelease parse(std::string_view text, const std::string& name, const std::string& version);
  /// Throws Error(data) naming the tag that `tags` lacks: software for other hardware.
  void require_hardware(std::span<const std::string> tags) const;
};

/// Feeds are targets `feeds/REGION/YYYYMMDDHH.feed` of role `feeds`.
std::string feed_target(const std::string& region, const std::string& compact_time);

}  // namespace zonda::edge
