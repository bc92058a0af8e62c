#include "inference/edge/trust/metadata.hpp"

#include <fnmatch.h>

#include <algorithm>
#include <set>

#include "core/error.hpp"
#include "core/json_reader.hpp"
#include "inference/edge/trust/canonical_json.hpp"

namespace zonda::edge {
namespace {

using nlohmann::json;

constexpr std::int64_t most = std::int64_t{1} << 53;

json begun(const char* type, std::int64_t version, Time expires) {
  return {{"_type", type}, {"spec_version", "1.0.33"}, {"version", version}, {"expires", to_string(expires)}};
}

json to_json(const Keys& keys) {
  json all = json::object();
  for (const auto& [id, key] : keys) all[id] = key.to_json();
  return all;
}

json to_json(const MetadataFile& file) {
  json value{{"version", file.version}};
  if (file.length > 0) value["length"] = file.length;
  if (!file.sha256.empty()) value["hashes"] = {{"sha256", file.sha256}};
  return value;
}

/// Checks what all types share, and gives their common members.
template <class Metadata>
Metadata common_of(const JsonReader& part, const std::string& type) {
  if (part.text("_type") != type)
    fail(ErrorKind::data, "{}: expected {}, found {}", part.name("_type"), type, part.text("_type"));
  if (!part.text("spec_version").starts_with("1."))
    fail(ErrorKind::data, "{}: expected 1.x, found {}", part.name("spec_version"), part.text("spec_version"));
  Metadata metadata;
  metadata.version = part.integer("version", 1, most);
  const std::string& expires = part.text("expires");
  if (expires.size() != 20 || expires[10] != 'T' || expires.back() != 'Z')
    fail(ErrorKind::data, "{}: expected YYYY-MM-DDTHH:MM:SSZ, found '{}'", part.name("expires"), expires);
  try {
    metadata.expires = parse_time(expires);
  } catch (const Error& error) {
    fail(ErrorKind::data, "{}: {}", part.name("expires"), error.what());
  }
  return metadata;
}

Keys keys_of(const JsonReader& part) {
  Keys keys;
  const JsonReader listed = part.object("keys");
  for (const auto& [id, value] : listed.value().items()) {
    const JsonReader described(value, listed.name(id));
    if (described.text("keytype") != "ed25519") continue;  // of other kinds there may be keys that we do not use
    const PublicKey key = PublicKey::from_json(value, listed.name(id));
    if (key.id() != id) fail(ErrorKind::data, "{}: the keyid of this key is {}", listed.name(id), key.id());
    keys.emplace(id, key);
  }
  return keys;
}

Role role_of(const JsonReader& part) {
  Role role{part.texts("keyids", 64), part.integer("threshold", 1, 64)};
  if (std::set<std::string>(role.keyids.begin(), role.keyids.end()).size() != role.keyids.size())
    fail(ErrorKind::data, "{}: a keyid twice", part.name("keyids"));
  return role;
}

MetadataFile file_of(const JsonReader& part) {
  MetadataFile file{part.integer("version", 1, most), 0, {}};
  if (part.has("length")) file.length = part.integer("length", 1, most);
  if (part.has("hashes")) file.sha256 = part.object("hashes").hexadecimal("sha256", 64);
  return file;
}

std::vector<std::string> parts_of(const std::string& path) {
  std::vector<std::string> parts{""};
  for (const char letter : path) {
    if (letter == '/')
      parts.emplace_back();
    else
      parts.back() += letter;
  }
  return parts;
}

}  // namespace

bool is_target_path(const std::string& path) {
  if (path.empty() || path.size() > 512) return false;
  for (const std::string& part : parts_of(path)) {
    if (part.empty() || part[0] == '.' || part.size() > 180) return false;
    for (const char letter : part)
      if (std::string_view("0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.-_+:").find(letter) ==
          std::string_view::npos)
        return false;
  }
  return true;
}

std::string TargetFile::address(const std::string& path) const {
  const std::size_t slash = path.find_last_of('/');
  return slash == std::string::npos ? sha256 + "." + path
                                    : path.substr(0, slash + 1) + sha256 + "." + path.substr(slash + 1);
}

bool Delegation::covers(const std::string& path) const {
  const auto wanted = parts_of(path);
  return std::any_of(paths.begin(), paths.end(), [&](const std::string& pattern) {
    const auto parts = parts_of(pattern);
    if (parts.size() != wanted.size()) return false;
    for (std::size_t i = 0; i < parts.size(); ++i)
      if (::fnmatch(parts[i].c_str(), wanted[i].c_str(), 0) != 0) return false;
    return true;
  });
}

json to_json(const Root& root) {
  json value = begun("root", root.version, root.expires);
  value["consistent_snapshot"] = true;
  value["keys"] = to_json(root.keys);
  for (const auto& [name, role] : root.roles)
    value["roles"][name] = {{"keyids", role.keyids}, {"threshold", role.threshold}};
  return value;
}

json to_json(const Timestamp& timestamp) {
  json value = begun("timestamp", timestamp.version, timestamp.expires);
  value["meta"] = {{"snapshot.json", to_json(timestamp.snapshot)}};
  return value;
}

json to_json(const Snapshot& snapshot) {
  json value = begun("snapshot", snapshot.version, snapshot.expires);
  value["meta"] = json::object();
  for (const auto& [name, file] : snapshot.files) value["meta"][name] = to_json(file);
  return value;
}

json to_json(const Targets& targets) {
  json value = begun("targets", targets.version, targets.expires);
  value.update(targets.more);
  value["targets"] = json::object();
  for (const auto& [path, file] : targets.targets) {
    json& entry = value["targets"][path];
    entry = {{"length", file.length}, {"hashes", {{"sha256", file.sha256}}}};
    if (!file.custom.is_null()) entry["custom"] = file.custom;
  }
  if (!targets.delegations.empty()) {
    json roles = json::array();
    for (const Delegation& delegation : targets.delegations)
      roles.push_back({{"name", delegation.name},
                       {"keyids", delegation.role.keyids},
                       {"threshold", delegation.role.threshold},
                       {"paths", delegation.paths},
                       {"terminating", delegation.terminating}});
    value["delegations"] = {{"keys", to_json(targets.delegation_keys)}, {"roles", roles}};
  }
  return value;
}

SignedMetadata SignedMetadata::parse(std::string_view text, const std::string& name) {
  const json parsed = parse_json(text, name);
  const JsonReader file(parsed, name);
  SignedMetadata metadata{file.object("signed").value(), {}, name};
  for (const json& item : file.array("signatures", 64)) {
    const JsonReader signature(item, file.name("signatures"));
    // An empty one is a signature still to be made.
    if (signature.text("sig").empty()) continue;
    if (!metadata.signatures.emplace(signature.text("keyid"), signature.text("sig")).second)
      fail(ErrorKind::data, "{}: keyid {} signs twice", name, signature.text("keyid"));
  }
  return metadata;
}

void SignedMetadata::sign(const SecretKey& key) {
  signatures[key.public_key().id()] = key.sign(canonical_json(content));
}

std::string SignedMetadata::text() const {
  json file{{"signed", content}, {"signatures", json::array()}};
  for (const auto& [keyid, signature] : signatures)
    file["signatures"].push_back({{"keyid", keyid}, {"sig", signature}});
  return file.dump();
}

void SignedMetadata::require_signatures(const Keys& keys, const Role& role, const std::string& role_name) const {
  const std::string message = canonical_json(content);
  std::int64_t valid = 0;
  for (const std::string& keyid : role.keyids) {
    const auto key = keys.find(keyid);
    const auto signature = signatures.find(keyid);
    if (key != keys.end() && signature != signatures.end() && key->second.verifies(message, signature->second)) ++valid;
  }
  if (valid < role.threshold)
    fail(ErrorKind::data, "{}: {} of the {} signatures that role {} needs", name, valid, role.threshold, role_name);
}

Root root_of(const SignedMetadata& metadata) {
  const JsonReader part(metadata.content, metadata.name);
  auto root = common_of<Root>(part, "root");
  if (!part.boolean("consistent_snapshot"))
    fail(ErrorKind::data, "{}: expected consistent snapshots", part.name("consistent_snapshot"));
  root.keys = keys_of(part);
  const JsonReader roles = part.object("roles");
  for (const char* name : {"root", "targets", "snapshot", "timestamp"}) root.roles[name] = role_of(roles.object(name));
  return root;
}

Timestamp timestamp_of(const SignedMetadata& metadata) {
  const JsonReader part(metadata.content, metadata.name);
  auto timestamp = common_of<Timestamp>(part, "timestamp");
  timestamp.snapshot = file_of(part.object("meta").object("snapshot.json"));
  return timestamp;
}

Snapshot snapshot_of(const SignedMetadata& metadata) {
  const JsonReader part(metadata.content, metadata.name);
  auto snapshot = common_of<Snapshot>(part, "snapshot");
  const JsonReader files = part.object("meta");
  for (const auto& [name, file] : files.value().items())
    snapshot.files.emplace(name, file_of(JsonReader(file, files.name(name))));
  return snapshot;
}

Targets targets_of(const SignedMetadata& metadata) {
  const JsonReader part(metadata.content, metadata.name);
  auto targets = common_of<Targets>(part, "targets");
  const JsonReader files = part.object("targets");
  for (const auto& [path, value] : files.value().items()) {
    if (!is_target_path(path)) fail(ErrorKind::data, "{}: '{}' is not a path of a target", files.name("path"), path);
    const JsonReader file(value, files.name(path));
    targets.targets.emplace(path,
                            TargetFile{file.integer("length", 0, most), file.object("hashes").hexadecimal("sha256", 64),
                                       file.has("custom") ? file.object("custom").value() : json()});
  }
  if (part.has("delegations")) {
    const JsonReader delegations = part.object("delegations");
    targets.delegation_keys = keys_of(delegations);
    for (const json& value : delegations.array("roles", 16)) {
      const JsonReader role(value, delegations.name("roles"));
      const Delegation delegation{role.text("name"), role_of(role), role.texts("paths", 64),
                                  role.boolean("terminating")};
      if (!is_target_path(delegation.name) || delegation.name.find('/') != std::string::npos ||
          delegation.name == "root" || delegation.name == "targets" || delegation.name == "snapshot" ||
          delegation.name == "timestamp")
        fail(ErrorKind::data, "{}: '{}' cannot be the name of a delegated role", role.name("name"), delegation.name);
      targets.delegations.push_back(delegation);
    }
  }
  for (const auto& [key, value] : metadata.content.items())
    if (key != "_type" && key != "spec_version" && key != "version" && key != "expires" && key != "targets" &&
        key != "delegations")
      targets.more[key] = value;
  return targets;
}

}  // namespace zonda::edge
