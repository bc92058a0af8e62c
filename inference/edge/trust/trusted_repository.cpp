#include "inference/edge/trust/trusted_repository.hpp"

#include <algorithm>

#include "core/atomic_file.hpp"
#include "core/checksum.hpp"
#include "core/error.hpp"
#include "core/log.hpp"

namespace zonda::edge {

namespace fs = std::filesystem;

namespace {

void require_not_expired(const std::string& name, Time expires, Time now) {
  if (expires <= now)
    fail(ErrorKind::data, "{}: expired at {} and it is {}; the repository is left alone or kept from us", name,
         to_string(expires), to_string(now));
}

/// Length and hash as another signed file tells them.
void require_told(const std::string& name, const MetadataFile& told, std::string_view text) {
  if (told.length > 0 && static_cast<std::size_t>(told.length) != text.size())
    fail(ErrorKind::data, "{}: {} bytes, {} were signed for", name, text.size(), told.length);
  if (!told.sha256.empty() && sha256(text) != told.sha256)
    fail(ErrorKind::data, "{}: its SHA-256 is not the one that was signed", name);
}

std::size_t longest(const MetadataFile& told, std::size_t otherwise) {
  return told.length > 0 ? std::min(static_cast<std::size_t>(told.length), otherwise) : otherwise;
}

std::string fetched(MetadataFetcher& fetcher, const std::string& name, std::size_t longest_bytes) {
  auto text = fetcher.fetch(name, longest_bytes);
  if (!text) fail(ErrorKind::data, "{}: the repository has no such file", name);
  if (text->size() > longest_bytes) fail(ErrorKind::data, "{}: more than {} bytes", name, longest_bytes);
  return std::move(*text);
}

}  // namespace

TrustedRepository::TrustedRepository(fs::path directory, std::string_view shipped_root)
    : directory_(std::move(directory)) {
  const std::string text = stored("root.json").value_or(std::string(shipped_root));
  const SignedMetadata metadata = SignedMetadata::parse(text, "root.json");
  root_ = root_of(metadata);
  metadata.require_signatures(root_.keys, root_.roles.at("root"), "root");
  if (!stored("root.json")) store("root.json", text);
  load();
}

std::optional<std::string> TrustedRepository::stored(const std::string& name) const {
  const fs::path path = directory_ / name;
  if (!fs::exists(path)) return std::nullopt;
  return read_file(path);
}

void TrustedRepository::store(const std::string& name, std::string_view text) const {
  write_file(directory_ / name, text);
}

/// What lies on the disk, as far as the present root still vouches for it: each file was trusted when it was written,
/// so its signatures are enough, also where a refresh ended between two of them. Keys that were taken back take their
/// metadata with them, versions included: the way back from a fast-forward (5.3.11).
void TrustedRepository::load() {
  const auto vouched_for = [&](const std::string& role) -> std::optional<SignedMetadata> {
    const auto text = stored(role + ".json");
    if (!text) return std::nullopt;
    try {
      SignedMetadata metadata = SignedMetadata::parse(*text, role + ".json");
      if (const Delegation* by = delegation(role))
        metadata.require_signatures(targets_.delegation_keys, by->role, role);
      else
        metadata.require_signatures(root_.keys, root_.roles.at(role), role);
      return metadata;
    } catch (const Error& error) {
      log::debug("stored metadata are not used: {}", error.what());
      return std::nullopt;
    }
  };
  timestamp_.reset();
  snapshot_.reset();
  targets_ = {};
  delegated_.clear();
  if (const auto metadata = vouched_for("timestamp")) timestamp_ = timestamp_of(*metadata);
  if (const auto metadata = vouched_for("snapshot")) snapshot_ = snapshot_of(*metadata);
  const auto catalogue = vouched_for("targets");
  has_targets_ = catalogue.has_value();
  if (catalogue) targets_ = targets_of(*catalogue);
  for (const Delegation& role : targets_.delegations)
    if (const auto metadata = vouched_for(role.name)) delegated_[role.name] = targets_of(*metadata);
  if (const auto text = stored("last_refresh")) {
    try {
      last_refresh_ = parse_time(*text);
    } catch (const Error&) {
      last_refresh_ = {};
    }
  }
}

bool TrustedRepository::refresh(MetadataFetcher& fetcher, Time now) {
  now = std::max(now, last_refresh_);
  bool news = refresh_root(fetcher, now);
  news = refresh_timestamp(fetcher, now) || news;
  refresh_snapshot(fetcher, now);
  news = refresh_targets(fetcher, now) || news;
  // Only a time at which nothing had expired: a clock that runs ahead leaves no mark.
  last_refresh_ = now;
  store("last_refresh", to_string(now));
  return news;
}

bool TrustedRepository::refresh_root(MetadataFetcher& fetcher, Time now) {
  bool news = false;
  for (int rotation = 0; rotation < MetadataLimits::root_rotations; ++rotation) {
    const std::string name = std::to_string(root_.version + 1) + ".root.json";
    const auto text = fetcher.fetch(name, MetadataLimits::root);
    if (!text) break;
    if (text->size() > MetadataLimits::root)
      fail(ErrorKind::data, "{}: more than {} bytes", name, MetadataLimits::root);
    const SignedMetadata metadata = SignedMetadata::parse(*text, name);
    const Root next = root_of(metadata);
    metadata.require_signatures(root_.keys, root_.roles.at("root"), "root");
    metadata.require_signatures(next.keys, next.roles.at("root"), "root");
    if (next.version != root_.version + 1)
      fail(ErrorKind::data, "{}: version {}, expected {}", name, next.version, root_.version + 1);
    root_ = next;
    store("root.json", *text);
    news = true;
  }
  require_not_expired("root.json", root_.expires, now);
  if (news) load();
  return news;
}

bool TrustedRepository::refresh_timestamp(MetadataFetcher& fetcher, Time now) {
  const std::string name = "timestamp.json";
  const std::string text = fetched(fetcher, name, MetadataLimits::timestamp);
  const SignedMetadata metadata = SignedMetadata::parse(text, name);
  metadata.require_signatures(root_.keys, root_.roles.at("timestamp"), "timestamp");
  const Timestamp next = timestamp_of(metadata);
  if (timestamp_ && next.version < timestamp_->version)
    fail(ErrorKind::data, "{}: version {} after version {}", name, next.version, timestamp_->version);
  if (timestamp_ && next.snapshot.version < timestamp_->snapshot.version)
    fail(ErrorKind::data, "{}: snapshot version {} after version {}", name, next.snapshot.version,
         timestamp_->snapshot.version);
  require_not_expired(name, next.expires, now);
  if (timestamp_ && next.version == timestamp_->version) return false;
  timestamp_ = next;
  store(name, text);
  return true;
}

Snapshot TrustedRepository::verified_snapshot(const std::string& text, const Timestamp& timestamp) const {
  const std::string name = "snapshot.json";
  require_told(name, timestamp.snapshot, text);
  const SignedMetadata metadata = SignedMetadata::parse(text, name);
  metadata.require_signatures(root_.keys, root_.roles.at("snapshot"), "snapshot");
  Snapshot snapshot = snapshot_of(metadata);
  if (snapshot.version != timestamp.snapshot.version)
    fail(ErrorKind::data, "{}: version {}, timestamp says {}", name, snapshot.version, timestamp.snapshot.version);
  if (!snapshot.files.contains("targets.json")) fail(ErrorKind::data, "{}: says nothing of targets.json", name);
  return snapshot;
}

void TrustedRepository::refresh_snapshot(MetadataFetcher& fetcher, Time now) {
  const auto here = stored("snapshot.json");
  if (!snapshot_ || !here || snapshot_->version != timestamp_->snapshot.version ||
      (!timestamp_->snapshot.sha256.empty() && sha256(*here) != timestamp_->snapshot.sha256)) {
    const std::string text = fetched(fetcher, std::to_string(timestamp_->snapshot.version) + ".snapshot.json",
                                     longest(timestamp_->snapshot, MetadataLimits::snapshot));
    const Snapshot next = verified_snapshot(text, *timestamp_);
    if (snapshot_)
      for (const auto& [name, file] : snapshot_->files) {
        const auto now_file = next.files.find(name);
        if (now_file == next.files.end()) fail(ErrorKind::data, "snapshot.json: {} is gone", name);
        if (now_file->second.version < file.version)
          fail(ErrorKind::data, "snapshot.json: {} version {} after version {}", name, now_file->second.version,
               file.version);
      }
    require_not_expired("snapshot.json", next.expires, now);
    snapshot_ = next;
    store("snapshot.json", text);
  }
  require_not_expired("snapshot.json", snapshot_->expires, now);
}

const Delegation* TrustedRepository::delegation(const std::string& role) const {
  const auto found = std::find_if(targets_.delegations.begin(), targets_.delegations.end(),
                                  [&](const Delegation& d) { return d.name == role; });
  return found == targets_.delegations.end() ? nullptr : &*found;
}

Targets TrustedRepository::verified_targets(const std::string& text, const std::string& role) const {
  const std::string name = role + ".json";
  const auto told = snapshot_->files.find(name);
  if (told == snapshot_->files.end()) fail(ErrorKind::data, "snapshot.json: says nothing of {}", name);
  require_told(name, told->second, text);
  const SignedMetadata metadata = SignedMetadata::parse(text, name);
  if (const Delegation* by = role == "targets" ? nullptr : delegation(role))
    metadata.require_signatures(targets_.delegation_keys, by->role, role);
  else
    metadata.require_signatures(root_.keys, root_.roles.at("targets"), role);
  Targets targets = targets_of(metadata);
  if (targets.version != told->second.version)
    fail(ErrorKind::data, "{}: version {}, the snapshot says {}", name, targets.version, told->second.version);
  return targets;
}

bool TrustedRepository::refresh_targets(MetadataFetcher& fetcher, Time now) {
  bool news = false;
  const auto brought = [&](const std::string& role, std::optional<Targets> here) {
    const std::string name = role + ".json";
    const auto told = snapshot_->files.find(name);
    if (told == snapshot_->files.end()) fail(ErrorKind::data, "snapshot.json: says nothing of {}", name);
    std::optional<std::string> text = stored(name);
    if (here && here->version == told->second.version && text &&
        (told->second.sha256.empty() || sha256(*text) == told->second.sha256)) {
      require_not_expired(name, here->expires, now);
      return std::move(*here);
    }
    text = fetched(fetcher, std::to_string(told->second.version) + "." + name,
                   longest(told->second, MetadataLimits::targets));
    Targets next = verified_targets(*text, role);
    require_not_expired(name, next.expires, now);
    store(name, *text);
    news = true;
    return next;
  };
  const bool had = has_targets_;
  targets_ = brought("targets", had ? std::optional(targets_) : std::nullopt);
  has_targets_ = true;
  std::map<std::string, Targets> roles;
  for (const Delegation& role : targets_.delegations) {
    std::optional<Targets> here;
    if (const auto found = delegated_.find(role.name); found != delegated_.end()) here = found->second;
    // Keys of a role that the catalogue has changed: what the old ones signed is fetched anew, and so verified anew.
    if (const auto text = stored(role.name + ".json"); here && text) {
      try {
        SignedMetadata::parse(*text, role.name + ".json")
            .require_signatures(targets_.delegation_keys, role.role, role.name);
      } catch (const Error&) {
        here.reset();
      }
    }
    roles[role.name] = brought(role.name, std::move(here));
  }
  delegated_ = std::move(roles);
  return news;
}

const Targets& TrustedRepository::delegated(const std::string& role) const {
  static const Targets none;
  const auto found = delegated_.find(role);
  return found == delegated_.end() ? none : found->second;
}

std::optional<TargetFile> TrustedRepository::find(const std::string& path) const {
  if (const auto found = targets_.targets.find(path); found != targets_.targets.end()) return found->second;
  for (const Delegation& role : targets_.delegations) {
    if (!role.covers(path)) continue;
    const Targets& of_role = delegated(role.name);
    if (const auto found = of_role.targets.find(path); found != of_role.targets.end()) return found->second;
    if (role.terminating) break;
  }
  return std::nullopt;
}

bool TrustedRepository::fresh(Time now) const {
  now = std::max(now, last_refresh_);
  if (!timestamp_ || !snapshot_ || !has_targets_) return false;
  const bool roles =
      std::all_of(delegated_.begin(), delegated_.end(), [&](const auto& role) { return role.second.expires > now; });
  return roles && root_.expires > now && timestamp_->expires > now && snapshot_->expires > now &&
         targets_.expires > now;
}

void require_target(const std::string& path, const TargetFile& target, std::string_view bytes) {
  if (bytes.size() != static_cast<std::size_t>(target.length))
    fail(ErrorKind::data, "{}: {} bytes, {} were signed for", path, bytes.size(), target.length);
  if (sha256(bytes) != target.sha256) fail(ErrorKind::data, "{}: its SHA-256 is not the one that was signed", path);
}

}  // namespace zonda::edge
