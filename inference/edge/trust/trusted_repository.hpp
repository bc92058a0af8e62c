#pragma once
// A client's view of a repository of The Update Framework: the workflow of the specification, section 5. Nothing that
// it gives out was not signed by enough keys, in its time, and is not older than what was seen before.
#include <filesystem>
#include <map>
#include <optional>
#include <string>

#include "core/time.hpp"
#include "inference/edge/trust/metadata.hpp"

namespace zonda::edge {

/// Brings metadata from wherever the repository lies.
class MetadataFetcher {
 public:
  virtual ~MetadataFetcher() = default;
  /// The bytes of `name` (`timestamp.json`, `3.root.json`), nothing where the repository has no such file. Must not
  /// give (nor hold) more than `longest` bytes: throws Error(data) when there are more. Throws Error(temporary) where
  /// the repository is not reached or too slow.
  virtual std::optional<std::string> fetch(const std::string& name, std::size_t longest) = 0;
};

/// How much a client accepts where nobody told it a length.
struct MetadataLimits {
  static constexpr std::size_t root = 512'000, timestamp = 16'384, snapshot = 2'000'000, targets = 5'000'000;
  static constexpr int root_rotations = 256;  ///< in one refresh
};

class TrustedRepository {
 public:
  /// `directory` keeps the trusted metadata, each file whole or not at all; `shipped_root`: the root metadata that came
  /// with the program, used until the directory has one. What is there is verified again. Throws Error(data).
  TrustedRepository(std::filesystem::path directory, std::string_view shipped_root);

  /// Fetches what is new. `now`: the clock; the last time at which a refresh succeeded stands where the clock is behind
  /// it, so that a clock without battery revives no old metadata. Returns whether anything is new. Throws Error(data)
  /// where the repository is not to be trusted (signatures, versions, hashes, lengths, expiry), Error(temporary) from
  /// the fetcher; what was trusted before stays.
  bool refresh(MetadataFetcher& fetcher, Time now);

  /// The description of a target: what the catalogue says; where it does not, the first delegated role that may speak
  /// of that path. Nothing before the first refresh.
  std::optional<TargetFile> find(const std::string& path) const;
  /// The top-level targets, and those of a delegated role (empty: unknown or nothing yet).
  const Targets& catalogue() const { return targets_; }
  const Targets& delegated(const std::string& role) const;
  /// Whether the metadata are still valid at a time: false after the first of their expiries.
  bool fresh(Time now) const;
  /// The last time at which a refresh succeeded; the epoch where there was none.
  Time last_refresh() const { return last_refresh_; }
  const Root& root() const { return root_; }

 private:
  void load();
  bool refresh_root(MetadataFetcher& fetcher, Time now);
  bool refresh_timestamp(MetadataFetcher& fetcher, Time now);
  void refresh_snapshot(MetadataFetcher& fetcher, Time now);
  bool refresh_targets(MetadataFetcher& fetcher, Time now);
  Snapshot verified_snapshot(const std::string& text, const Timestamp& timestamp) const;
  Targets verified_targets(const std::string& text, const std::string& role) const;
  std::optional<std::string> stored(const std::string& name) const;
  void store(const std::string& name, std::string_view text) const;
  const Delegation* delegation(const std::string& role) const;

  const std::filesystem::path directory_;
  Root root_;
  std::optional<Timestamp> timestamp_;
  std::optional<Snapshot> snapshot_;
  bool has_targets_ = false;
  Targets targets_;
  std::map<std::string, Targets> delegated_;
  Time last_refresh_{};
};

/// The bytes of a target. Throws Error(data) where length or SHA-256 are not those that were signed.
void require_target(const std::string& path, const TargetFile& target, std::string_view bytes);

}  // namespace zonda::edge
