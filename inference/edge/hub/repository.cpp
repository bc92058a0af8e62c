#include "inference/edge/hub/repository.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <utility>

#include "core/atomic_file.hpp"
#include "core/checksum.hpp"
#include "core/durable_folder.hpp"
#include "core/error.hpp"
#include "core/json_reader.hpp"

namespace zonda::edge {

namespace fs = std::filesystem;
using nlohmann::json;

namespace {

const std::vector<std::string> target_roles{"targets", "assignment", "feeds"};
const std::vector<std::string> online_roles{"targets", "assignment", "feeds", "snapshot", "timestamp"};

Delegation delegation_of(const std::string& role, const PublicKey& key) {
  return {role, {{key.id()}, 1}, {role == "feeds" ? "feeds/*/*" : role + "/*"}, true};
}

void put_in_place(const fs::path& arriving, const fs::path& file) {
  fs::rename(arriving, file);
  sync_path(file.parent_path().empty() ? fs::path(".") : file.parent_path());
}

/// A key that a rotation wrote and whose root or catalogue stands, but which was not put in place before the process
/// ended; of one whose root never came nothing stays.
void settle(const fs::path& file, const std::vector<std::string>& keyids) {
  const fs::path arriving = file.string() + ".new";
  if (!fs::exists(arriving)) return;
  std::string id;
  try {
    id = PublicKey::from_json(parse_json(read_file(arriving), arriving.string()), arriving.string()).id();
  } catch (const Error&) {  // cut off while it was written
  }
  if (std::find(keyids.begin(), keyids.end(), id) != keyids.end())
    put_in_place(arriving, file);
  else
    fs::remove(arriving);
}

void drop_unused_keys(Root& root) {
  std::erase_if(root.keys, [&](const auto& entry) {
    return std::none_of(root.roles.begin(), root.roles.end(), [&](const auto& role) {
      return std::find(role.second.keyids.begin(), role.second.keyids.end(), entry.first) != role.second.keyids.end();
    });
  });
}

}  // namespace

Duration Lifetimes::of(const std::string& role) const {
  if (role == "root") return root;
  if (role == "targets") return targets;
  if (role == "assignment") return assignment;
  if (role == "feeds") return feeds;
  return role == "snapshot" ? snapshot : timestamp;
}

Repository::Repository(fs::path folder, std::string passphrase, bool is_new)
    : folder_(std::move(folder)), passphrase_(std::move(passphrase)), log_(folder_ / "public" / "log.jsonl") {
  if (is_new == fs::exists(folder_ / "hub.json"))
    fail(is_new ? ErrorKind::usage : ErrorKind::data, "{}: {}", folder_.string(),
         is_new ? "is a hub already" : "no hub there; `zonda hub init` makes one");
  create_durable_folder(folder_);
  lock();
}

Repository::Repository(fs::path folder, std::string passphrase)
    : Repository(std::move(folder), std::move(passphrase), false) {
  load();
}

Repository::Repository(Repository&& other) noexcept
    : folder_(std::move(other.folder_)),
      passphrase_(std::move(other.passphrase_)),
      lifetimes_(other.lifetimes_),
      log_(std::move(other.log_)),
      root_(std::move(other.root_)),
      roles_(std::move(other.roles_)),
      changed_(std::move(other.changed_)),
      snapshot_(std::move(other.snapshot_)),
      timestamp_(std::move(other.timestamp_)),
      lock_(std::exchange(other.lock_, -1)) {}

Repository::~Repository() {
  if (lock_ >= 0) ::close(lock_);
}

void Repository::lock() {
  const fs::path path = folder_ / ".lock";
  lock_ = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (lock_ < 0) fail(ErrorKind::failure, "{}: {}", path.string(), std::strerror(errno));
  if (::flock(lock_, LOCK_EX | LOCK_NB) != 0)
    fail(ErrorKind::temporary, "{}: another process is changing this hub", folder_.string());
}

void Repository::load() {
  const fs::path metadata = public_folder() / "metadata";
  const auto read = [&](const std::string& name) { return SignedMetadata::parse(read_file(metadata / name), name); };
  const json parsed = parse_json(read_file(folder_ / "hub.json"), (folder_ / "hub.json").string());
  const JsonReader lifetimes = JsonReader(parsed, "hub.json").object("lifetimes");
  const auto lifetime = [&](const char* role) { return parse_duration(lifetimes.text(role)); };
  lifetimes_ = {lifetime("root"),  lifetime("targets"),  lifetime("assignment"),
                lifetime("feeds"), lifetime("snapshot"), lifetime("timestamp")};
  root_ = root_of(read("root.json"));
  // What no timestamp speaks of was never published.
  timestamp_ = timestamp_of(read("timestamp.json"));
  snapshot_ = snapshot_of(read(std::to_string(timestamp_.snapshot.version) + ".snapshot.json"));
  for (const std::string& role : target_roles)
    roles_[role] = targets_of(read(fmt::format("{}.{}.json", snapshot_.files.at(role + ".json").version, role)));
  for (const std::string& role : online_roles) settle(key_file(role), role_keys(role).keyids);
}

const Role& Repository::role_keys(const std::string& role) const {
  if (const auto found = root_.roles.find(role); found != root_.roles.end()) return found->second;
  const auto& delegations = roles_.at("targets").delegations;
  return std::find_if(delegations.begin(), delegations.end(), [&](const Delegation& d) { return d.name == role; })
      ->role;
}

SecretKey Repository::key(const std::string& role) const {
  SecretKey secret = SecretKey::read(key_file(role), passphrase_);
  const auto& ids = role_keys(role).keyids;
  if (std::find(ids.begin(), ids.end(), secret.public_key().id()) == ids.end())
    fail(ErrorKind::data, "{}: not the key of role {}; `zonda hub rotate --role {}` gives it another",
         key_file(role).string(), role, role);
  return secret;
}

std::string Repository::write_metadata(const std::string& name, std::int64_t version, const json& content,
                                       const std::vector<SecretKey>& keys) const {
  SignedMetadata metadata{content, {}, name};
  for (const SecretKey& one : keys) metadata.sign(one);
  const std::string text = metadata.text();
  const fs::path folder = public_folder() / "metadata";
  write_file(folder / (name == "timestamp" ? "timestamp.json" : fmt::format("{}.{}.json", version, name)), text);
  if (name == "root") write_file(folder / "root.json", text);
  return text;
}

void Repository::sign_root(const std::vector<SecretKey>& keys) {
  write_metadata("root", root_.version, to_json(root_), keys);
}

void Repository::sign_role(const std::string& name, Time now) {
  Targets& targets = roles_.at(name);
  targets.expires = now + lifetimes_.of(name);
  const LogHead head = log_.head();
  targets.more["release_log"] = {{"entries", head.entries}, {"sha256", head.sha256}};
  const std::string text = write_metadata(name, targets.version, to_json(targets), {key(name)});
  snapshot_.files[name + ".json"] = {targets.version, static_cast<std::int64_t>(text.size()), sha256(text)};
}

void Repository::sign_snapshot(Time now) {
  snapshot_.expires = now + lifetimes_.snapshot;
  const std::string text = write_metadata("snapshot", snapshot_.version, to_json(snapshot_), {key("snapshot")});
  timestamp_.snapshot = {snapshot_.version, static_cast<std::int64_t>(text.size()), sha256(text)};
}

void Repository::sign_timestamp(Time now) {
  timestamp_.expires = now + lifetimes_.timestamp;
  write_metadata("timestamp", timestamp_.version, to_json(timestamp_), {key("timestamp")});
}

Repository Repository::create(const fs::path& folder, const std::vector<fs::path>& root_keys, int threshold,
                              const Lifetimes& lifetimes, const std::string& passphrase, Time now) {
  if (threshold < 1 || static_cast<std::size_t>(threshold) > root_keys.size())
    fail(ErrorKind::usage, "a threshold of {} does not fit {} root keys", threshold, root_keys.size());
  Repository hub(folder, passphrase, true);
  hub.lifetimes_ = lifetimes;
  std::vector<SecretKey> of_root;
  Root& root = hub.root_;
  root.expires = now + lifetimes.root;
  root.roles["root"].threshold = threshold;
  for (const fs::path& path : root_keys) {
    of_root.push_back(SecretKey::generate());
    of_root.back().write(path / "root.key", passphrase);
    const PublicKey& open = of_root.back().public_key();
    root.keys.emplace(open.id(), open);
    root.roles["root"].keyids.push_back(open.id());
  }
  Targets& targets = hub.roles_["targets"];
  hub.roles_["assignment"] = {};
  hub.roles_["feeds"] = {};
  for (const std::string& role : online_roles) {
    const SecretKey secret = SecretKey::generate();
    secret.write(hub.key_file(role), passphrase);
    const PublicKey& open = secret.public_key();
    if (role == "assignment" || role == "feeds") {
      targets.delegation_keys.emplace(open.id(), open);
      targets.delegations.push_back(delegation_of(role, open));
    } else {
      root.keys.emplace(open.id(), open);
      root.roles[role] = {{open.id()}, 1};
    }
  }
  hub.log_.append(now, "init", {{"root", root.roles["root"].keyids}, {"threshold", threshold}});
  hub.sign_root(of_root);
  for (const std::string& role : target_roles) hub.sign_role(role, now);
  hub.sign_snapshot(now);
  hub.sign_timestamp(now);
  json periods = json::object();
  for (const char* role : {"root", "targets", "assignment", "feeds", "snapshot", "timestamp"})
    periods[role] = to_string(lifetimes.of(role));
  // Last: a folder without it is no hub.
  write_file(folder / "hub.json", json{{"schema", "zonda.hub.1"}, {"lifetimes", periods}}.dump(2) + "\n");
  return hub;
}

void Repository::require_may_speak(const std::string& role, const std::string& path) const {
  if (!is_target_path(path)) fail(ErrorKind::usage, "'{}' is not a path of a target", path);
  for (const Delegation& delegation : roles_.at("targets").delegations)
    if (delegation.covers(path) != (delegation.name == role))
      fail(ErrorKind::usage, "role {} does not speak of '{}'", role, path);
}

TargetFile Repository::put(const std::string& role, const std::string& path, TargetFile file) {
  Targets& targets = roles_.at(role);
  const auto there = targets.targets.find(path);
  if (there != targets.targets.end() && there->second.sha256 == file.sha256) return there->second;
  if (there != targets.targets.end() && path.starts_with("models/"))
    fail(ErrorKind::usage, "{}: published with other content; a release never changes, give it another version", path);
  targets.targets[path] = file;
  changed_.insert(role);
  return file;
}

TargetFile Repository::put_text(const std::string& role, const std::string& path, std::string_view content) {
  require_may_speak(role, path);
  const TargetFile file{static_cast<std::int64_t>(content.size()), sha256(content), {}};
  const fs::path address = public_folder() / "targets" / file.address(path);
  if (!fs::exists(address)) write_file(address, content);
  return put(role, path, file);
}

TargetFile Repository::put_file(const std::string& role, const std::string& path, const fs::path& content) {
  require_may_speak(role, path);
  if (!fs::is_regular_file(content)) fail(ErrorKind::data, "{}: not a file", content.string());
  const TargetFile file{static_cast<std::int64_t>(fs::file_size(content)), sha256_file(content), {}};
  const fs::path address = public_folder() / "targets" / file.address(path);
  if (!fs::exists(address)) {
    AtomicFile copy(address);
    fs::copy_file(content, copy.temporary(), fs::copy_options::overwrite_existing);
    if (sha256_file(copy.temporary()) != file.sha256)
      fail(ErrorKind::temporary, "{}: changed while it was read", content.string());
    copy.commit();
  }
  return put(role, path, file);
}

void Repository::remove(const std::string& role, const std::string& path) {
  if (roles_.at(role).targets.erase(path) > 0) changed_.insert(role);
}

std::string Repository::content(const std::string& role, const std::string& path) const {
  const auto found = roles_.at(role).targets.find(path);
  if (found == roles_.at(role).targets.end()) fail(ErrorKind::data, "the hub has no target '{}'", path);
  return read_file(public_folder() / "targets" / found->second.address(path));
}

void Repository::publish(Time now, const std::string& event, const json& details) {
  log_.append(now, event, details);
  for (const std::string& role : changed_) {
    ++roles_.at(role).version;
    sign_role(role, now);
  }
  changed_.clear();
  ++snapshot_.version;
  sign_snapshot(now);
  ++timestamp_.version;
  sign_timestamp(now);
}

std::vector<std::string> Repository::renew(Time now) {
  std::vector<std::string> renewed;
  const auto due = [&](const std::string& role, Time expires) { return expires - now < lifetimes_.of(role) / 2; };
  for (const std::string& role : target_roles) {
    if (!due(role, roles_.at(role).expires)) continue;
    ++roles_.at(role).version;
    sign_role(role, now);
    renewed.push_back(role);
  }
  if (!renewed.empty() || due("snapshot", snapshot_.expires)) {
    ++snapshot_.version;
    sign_snapshot(now);
    renewed.emplace_back("snapshot");
  }
  if (!renewed.empty() || due("timestamp", timestamp_.expires)) {
    ++timestamp_.version;
    sign_timestamp(now);
    renewed.emplace_back("timestamp");
  }
  return renewed;
}

void Repository::rotate(const std::string& role, const std::vector<fs::path>& root_keys, const fs::path& replace,
                        Time now) {
  if (role != "root" && std::find(online_roles.begin(), online_roles.end(), role) == online_roles.end())
    throw Error(ErrorKind::usage, unknown_word("role", role, online_roles));
  const SecretKey fresh = SecretKey::generate();
  const PublicKey& open = fresh.public_key();
  const fs::path file = role == "root" ? replace / "root.key" : key_file(role);
  std::string old;
  // The new key is written beside the old one, which goes when the new root or catalogue stands.
  const fs::path arriving = file.string() + ".new";
  settle(file, role_keys(role).keyids);
  fresh.write(arriving, passphrase_);
  if (role == "assignment" || role == "feeds") {
    Targets& targets = roles_.at("targets");
    for (Delegation& delegation : targets.delegations) {
      if (delegation.name != role) continue;
      old = delegation.role.keyids.front();
      targets.delegation_keys.erase(old);
      targets.delegation_keys.emplace(open.id(), open);
      delegation = delegation_of(role, open);
    }
    changed_.insert({"targets", role});
  } else {
    std::vector<SecretKey> signers;
    for (const fs::path& path : root_keys) signers.push_back(SecretKey::read(path / "root.key", passphrase_));
    const auto holds = [&](const SecretKey& secret) {
      const auto& ids = root_.roles["root"].keyids;
      return std::find(ids.begin(), ids.end(), secret.public_key().id()) != ids.end();
    };
    const auto signing = std::count_if(signers.begin(), signers.end(), holds);
    if (signing < root_.roles["root"].threshold) {
      fs::remove(arriving);
      fail(ErrorKind::usage, "a new root needs {} of the root keys, {} were given", root_.roles["root"].threshold,
           signing);
    }
    Root next = root_;
    ++next.version;
    next.expires = now + lifetimes_.root;
    next.keys.emplace(open.id(), open);
    if (role == "root") {
      old = PublicKey::from_json(parse_json(read_file(file), file.string()), file.string()).id();
      auto& ids = next.roles["root"].keyids;
      const auto place = std::find(ids.begin(), ids.end(), old);
      if (place == ids.end()) fail(ErrorKind::usage, "{}: not a key of this hub's root", file.string());
      *place = open.id();
      signers.push_back(fresh);
    } else {
      old = next.roles[role].keyids.front();
      next.roles[role] = {{open.id()}, 1};
    }
    drop_unused_keys(next);
    root_ = next;
    sign_root(signers);
    if (role == "targets") changed_.insert("targets");
  }
  put_in_place(arriving, file);
  publish(now, "rotate", {{"role", role}, {"new", open.id()}, {"revoked", old}, {"root_version", root_.version}});
}

}  // namespace zonda::edge
