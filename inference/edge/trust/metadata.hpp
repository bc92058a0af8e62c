#pragma once
// Metadata of The Update Framework (specification 1.0.33, theupdateframework.github.io/specification): who may say what
// (root), what there is (targets and its delegated roles), what belongs together (snapshot), what is newest
// (timestamp).
#include <cstdint>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "core/time.hpp"
#include "inference/edge/trust/signing_key.hpp"

namespace zonda::edge {

struct Role {
  std::vector<std::string> keyids;
  std::int64_t threshold = 1;
};
using Keys = std::map<std::string, PublicKey>;  ///< by keyid

struct Root {
  std::int64_t version = 1;
  Time expires{};
  Keys keys;
  std::map<std::string, Role> roles;  ///< root, targets, snapshot, timestamp
};

/// Another metadata file, as snapshot and timestamp speak of it.
struct MetadataFile {
  std::int64_t version = 1;
  std::int64_t length = 0;  ///< 0: not told
  std::string sha256;       ///< empty: not told
};

struct Timestamp {
  std::int64_t version = 1;
  Time expires{};
  MetadataFile snapshot;
};

struct Snapshot {
  std::int64_t version = 1;
  Time expires{};
  std::map<std::string, MetadataFile> files;  ///< by name: `targets.json`
};

struct TargetFile {
  std::int64_t length = 0;
  std::string sha256;
  nlohmann::json custom;  ///< null: none

  /// Where a repository with consistent snapshots keeps the target `path`: `a/b` is `a/SHA256.b`.
  std::string address(const std::string& path) const;
};

struct Delegation {
  std::string name;
  Role role;
  std::vector<std::string> paths;  ///< patterns, matched part by part between slashes
  bool terminating = false;
  bool covers(const std::string& path) const;
};

struct Targets {
  std::int64_t version = 1;
  Time expires{};
  std::map<std::string, TargetFile> targets;
  Keys delegation_keys;
  std::vector<Delegation> delegations;
  nlohmann::json more = nlohmann::json::object();  ///< members beyond the specification, kept as they are
};

// The `signed` part.
nlohmann::json to_json(const Root& root);
nlohmann::json to_json(const Timestamp& timestamp);
nlohmann::json to_json(const Snapshot& snapshot);
nlohmann::json to_json(const Targets& targets);

/// A metadata file as it lies on disk: the signed part, and signatures by keyid.
struct SignedMetadata {
  nlohmann::json content;
  std::map<std::string, std::string> signatures;
  std::string name;

  /// Throws Error(data): not JSON, not of the shape, a keyid twice.
  static SignedMetadata parse(std::string_view text, const std::string& name);
  void sign(const SecretKey& key);
  /// The file's text.
  std::string text() const;
  /// Throws Error(data) unless as many of the role's keys signed it as its threshold says.
  void require_signatures(const Keys& keys, const Role& role, const std::string& role_name) const;
};

// Strict reading of the signed part. Throws Error(data): another type, a specification other than 1.x, a member missing
// or out of range, a keyid that is not its key's.
Root root_of(const SignedMetadata& metadata);
Timestamp timestamp_of(const SignedMetadata& metadata);
Snapshot snapshot_of(const SignedMetadata& metadata);
Targets targets_of(const SignedMetadata& metadata);

/// Relative, of parts between slashes that are neither empty nor begin with a dot, of letters a file system takes.
bool is_target_path(const std::string& path);

}  // namespace zonda::edge
