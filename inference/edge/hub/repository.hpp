#pragma once
// The hub's repository: keys, and the static files that any web server can give out.
//
//   HUB/hub.json                how long signatures hold
//   HUB/keys/ROLE.key           of the roles that sign often: targets, assignment, feeds, snapshot, timestamp
//   HUB/public/metadata/        timestamp.json, N.ROLE.json, root.json (what stations are shipped with)
//   HUB/public/targets/         content, by SHA-256 and name
//   HUB/public/log.jsonl        the release log
//
// The keys of the root lie elsewhere, one folder each, two of three needed.
#include <filesystem>
#include <map>
#include <nlohmann/json_fwd.hpp>
#include <set>
#include <string>
#include <vector>

#include "core/time.hpp"
#include "inference/edge/hub/release_log.hpp"
#include "inference/edge/trust/metadata.hpp"

namespace zonda::edge {

/// How long signatures hold.
struct Lifetimes {
  Duration root{std::chrono::hours(24 * 365)}, targets{std::chrono::hours(24 * 365)},
      assignment{std::chrono::hours(24 * 90)}, feeds{std::chrono::hours(24 * 90)},
      snapshot{std::chrono::hours(24 * 30)}, timestamp{std::chrono::hours(24 * 7)};
  Duration of(const std::string& role) const;
};

class Repository {
 public:
  /// Makes keys and first metadata. `root_keys`: a folder for each root key; `threshold` of them sign a root.
  /// Throws Error(usage) where `folder` already is a hub, or the threshold does not fit.
  static Repository create(const std::filesystem::path& folder, const std::vector<std::filesystem::path>& root_keys,
                           int threshold, const Lifetimes& lifetimes, const std::string& passphrase, Time now);
  /// Opens it, for this process alone as long as the object lives. Throws Error(data): no hub there; Error(temporary):
  /// another process has it open.
  explicit Repository(std::filesystem::path folder, std::string passphrase = {});
  ~Repository();
  Repository(Repository&& other) noexcept;
  Repository& operator=(Repository&&) = delete;

  std::filesystem::path public_folder() const { return folder_ / "public"; }
  const Root& root() const { return root_; }
  /// Of role targets, assignment or feeds.
  const Targets& role(const std::string& name) const { return roles_.at(name); }
  const ReleaseLog& log() const { return log_; }

  /// Puts content under a path of a role; it is there for clients after the next publish(). Throws Error(usage) where
  /// the role may not speak of that path, or another content is published under it: content of a path in `models/`
  /// never changes.
  TargetFile put_file(const std::string& role, const std::string& path, const std::filesystem::path& content);
  TargetFile put_text(const std::string& role, const std::string& path, std::string_view content);
  void remove(const std::string& role, const std::string& path);
  /// The bytes of a target. Throws Error(data).
  std::string content(const std::string& role, const std::string& path) const;

  /// Writes `event` into the log, signs every role that changed, then snapshot and timestamp, the timestamp last: until
  /// then clients see what was there before.
  void publish(Time now, const std::string& event, const nlohmann::json& details);
  /// Signs anew what has passed half of its lifetime (the root excepted). Returns the roles that were signed.
  std::vector<std::string> renew(Time now);
  /// Gives `role` a new key and takes back the old one. Roles of the root need enough root keys of `root_keys`; for
  /// role `root` the key of folder `replace` becomes another.
  void rotate(const std::string& role, const std::vector<std::filesystem::path>& root_keys,
              const std::filesystem::path& replace, Time now);

 private:
  Repository(std::filesystem::path folder, std::string passphrase, bool is_new);
  void lock();
  void load();
  SecretKey key(const std::string& role) const;
  const Role& role_keys(const std::string& role) const;
  std::filesystem::path key_file(const std::string& role) const { return folder_ / "keys" / (role + ".key"); }
  std::string write_metadata(const std::string& name, std::int64_t version, const nlohmann::json& content,
                             const std::vector<SecretKey>& keys) const;
  void sign_role(const std::string& name, Time now);
  void sign_snapshot(Time now);
  void sign_timestamp(Time now);
  void sign_root(const std::vector<SecretKey>& keys);
  void require_may_speak(const std::string& role, const std::string& path) const;
  TargetFile put(const std::string& role, const std::string& path, TargetFile file);

  std::filesystem::path folder_;
  std::string passphrase_;
  Lifetimes lifetimes_;
  ReleaseLog log_;
  Root root_;
  std::map<std::string, Targets> roles_;
  std::set<std::string> changed_;
  Snapshot snapshot_;
  Timestamp timestamp_;
  int lock_ = -1;
};

}  // namespace zonda::edge
