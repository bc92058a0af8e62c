#pragma once
// What a station is told to run, after its metadata was verified, and who tells it.
#include <optional>
#include <string>
#include <vector>

#include "core/time.hpp"
#include "inference/edge/download/downloader.hpp"

namespace zonda::edge {

/// A model bundle: its files, by the names they have in the bundle's folder.
struct Release {
  struct File {
    std::string name;
    Content content;
  };
  std::string name, version;
  std::vector<File> files;

  /// SHA-256 over the names and contents of all files: the same release whatever its name.
  std::string identity() const;
};

/// A boundary feed that the hub offers for this station's region.
struct OfferedFeed {
  std::string name;
  Content content;
  Time cycle;
};

struct Assignment {
  std::optional<Release> model;
  std::optional<OfferedFeed> feed;  ///< the newest
  /// Metadata lost its validity: the hub is gone, or somebody keeps the station from newer metadata (freeze).
  bool expired = false;
};

class Hub {
 public:
  virtual ~Hub() = default;
  /// What this station should have, from metadata that was fetched and verified now. Throws Error(temporary): not
  /// reached; Error(data): metadata that cannot be trusted.
  virtual Assignment poll(Time now) = 0;
  /// Brings the bytes of a release that cost less than its files (from the contents of `here`, by differences), into
  /// the store. Returns whether it did; files still missing are downloaded one by one.
  virtual bool fetch_cheaply(const Release&, const std::optional<Release>& here, ContentStore&) {
    static_cast<void>(here);
    return false;
  }
  /// Sends the signed inventory. Throws Error(temporary).
  virtual void report(const std::string& inventory) = 0;
};

}  // namespace zonda::edge
