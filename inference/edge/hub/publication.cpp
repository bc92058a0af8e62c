#include "inference/edge/hub/publication.hpp"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>

#include "core/error.hpp"
#include "inference/bundle/bundle.hpp"
#include "inference/edge/delta/bundle_delta.hpp"
#include "inference/edge/feed/boundary_feed.hpp"

namespace zonda::edge {

using nlohmann::json;

namespace {

/// A word of a target's path: a name or version.
void require_word(const char* what, const std::string& word) {
  if (!is_target_path(word) || word.find('/') != std::string::npos)
    fail(ErrorKind::usage, "{} '{}': expected letters, digits, '.', '-', '_', '+' or ':'", what, word);
}

bool is_published(const Repository& hub, const std::string& name, const std::string& version) {
  return hub.role("targets").targets.contains(PublishedRelease::target_of(name, version));
}

/// A folder that goes with its object.
struct Workshop {
  explicit Workshop(std::filesystem::path folder) : path(std::move(folder)) {
    std::filesystem::remove_all(path);
    std::filesystem::create_directories(path);
  }
  ~Workshop() {
    std::error_code ignored;
    std::filesystem::remove_all(path, ignored);
  }
  Workshop(const Workshop&) = delete;
  Workshop& operator=(const Workshop&) = delete;
  const std::filesystem::path path;
};

/// What makes the new bundle out of a parent's; nothing where that saves less than half.
std::optional<PublishedDelta> delta_from(Repository& hub, const PublishedRelease& parent, const PublishRequest& request,
                                         const std::string& prefix) {
  const Workshop workshop(hub.public_folder().parent_path() / "workshop");
  const auto base = workshop.path / "base";
  std::filesystem::create_directory(base);
  for (const PublishedFile& file : parent.files) {
    const auto content =
        hub.public_folder() / "targets" / TargetFile{file.length, file.sha256, {}}.address(file.target);
    std::filesystem::create_hard_link(content, base / file.name);
  }
  const std::string name = "from-" + parent.version + ".zdelta";
  const DeltaSummary summary = write_delta(base, request.bundle, workshop.path / name);
  if (2 * summary.bytes > summary.bundle_bytes) return std::nullopt;
  // What stations will do, before they do it.
  if (apply_delta(base, workshop.path / name, workshop.path / "made") != summary.target)
    fail(ErrorKind::failure, "the delta from {} does not give the bundle", parent.version);
  const TargetFile target = hub.put_file("targets", prefix + name, workshop.path / name);
  return PublishedDelta{parent.version, summary.base, {name, prefix + name, target.length, target.sha256}};
}

AssignmentRule& rule_of(AssignmentRules& rules, const std::string& model, const std::string& region) {
  const auto found = std::find_if(rules.rules.begin(), rules.rules.end(), [&](const AssignmentRule& rule) {
    return rule.model == model && (region.empty() || rule.region == region);
  });
  if (found == rules.rules.end()) fail(ErrorKind::usage, "no rule assigns model '{}'", model);
  return *found;
}

}  // namespace

PublishedRelease published_release(const Repository& hub, const std::string& name, const std::string& version) {
  const std::string target = PublishedRelease::target_of(name, version);
  return PublishedRelease::parse(hub.content("targets", target), name, version);
}

std::vector<std::string> published_versions(const Repository& hub, const std::string& name) {
  std::vector<std::string> versions;
  for (const json& entry : hub.log().entries())
    if (entry["event"] == "publish" && entry["details"].value("name", "") == name)
      versions.push_back(entry["details"].value("version", ""));
  return versions;
}

PublishedRelease publish_bundle(Repository& hub, const PublishRequest& request, Time now) {
  require_word("name", request.name);
  require_word("version", request.version);
  const auto bundle = inference::Bundle::open(request.bundle, inference::Verify::contents);
  const inference::BundleManifest& manifest = bundle.manifest();
  PublishedRelease release;
  release.name = request.name;
  release.version = request.version;
  release.region = request.region;
  release.parents = request.parents;
  for (const std::string& parent : request.parents)
    if (!is_published(hub, request.name, parent))
      fail(ErrorKind::usage, "parent {} {} is not published", request.name, parent);
  const std::set<std::string> tags = [&] {
    std::set<std::string> all(manifest.hardware.begin(), manifest.hardware.end());
    all.insert(request.hardware.begin(), request.hardware.end());
    return all;
  }();
  release.hardware.assign(tags.begin(), tags.end());
  const std::string prefix = "models/" + request.name + "/" + request.version + "/";
  std::vector<std::string> names{"manifest.json"};
  for (const auto& file : manifest.files) names.push_back(file.name);
  for (const std::string& name : names) {
    const TargetFile target = hub.put_file("targets", prefix + name, request.bundle / name);
    release.files.push_back({name, prefix + name, target.length, target.sha256});
  }
  for (const std::string& parent : request.parents)
    if (auto delta = delta_from(hub, published_release(hub, request.name, parent), request, prefix))
      release.deltas.push_back(std::move(*delta));
  hub.put_text("targets", PublishedRelease::target_of(request.name, request.version), release.to_json().dump());
  hub.publish(now, "publish", {{"name", request.name}, {"version", request.version}, {"bundle", bundle.identity()}});
  return release;
}

AssignmentRules published_rules(const Repository& hub) {
  if (!hub.role("assignment").targets.contains(AssignmentRules::target)) return {};
  return AssignmentRules::parse(hub.content("assignment", AssignmentRules::target));
}

void publish_rules(Repository& hub, const AssignmentRules& rules, const std::string& event, Time now) {
  for (const AssignmentRule& rule : rules.rules)
    for (const std::string& version : {rule.version, rule.before})
      if (!version.empty() && !is_published(hub, rule.model, version))
        fail(ErrorKind::usage, "{} {} is not published", rule.model, version);
  const json whole = rules.to_json();
  hub.put_text("assignment", AssignmentRules::target, whole.dump());
  hub.publish(now, event, whole["rules"]);
}

AssignmentRule assign(Repository& hub, AssignmentRule rule, Time now) {
  if (rule.percent.empty() || !std::is_sorted(rule.percent.begin(), rule.percent.end()) || rule.percent.front() < 1 ||
      rule.percent.back() > 100)
    fail(ErrorKind::usage, "waves: expected ascending percentages from 1 to 100");
  if (rule.percent.back() != 100) rule.percent.push_back(100);
  AssignmentRules rules = published_rules(hub);
  const auto present = std::find_if(rules.rules.begin(), rules.rules.end(), [&](const AssignmentRule& other) {
    return other.region == rule.region && other.hardware == rule.hardware && other.model == rule.model;
  });
  if (present == rules.rules.end()) {
    // The more a rule asks for, the earlier it stands.
    const auto weight = [](const AssignmentRule& r) { return r.hardware.size() + (r.region.empty() ? 0 : 1); };
    const auto place = std::find_if(rules.rules.begin(), rules.rules.end(),
                                    [&](const AssignmentRule& other) { return weight(other) < weight(rule); });
    rules.rules.insert(place, rule);
  } else {
    // What most stations have is what the others keep.
    if (rule.before.empty()) rule.before = present->percent_now() == 100 ? present->version : present->before;
    if (rule.before == rule.version) rule.before.clear();
    *present = rule;
  }
  publish_rules(hub, rules, "assign", now);
  return rule;
}

AssignmentRule advance_wave(Repository& hub, const std::string& model, const std::string& region, Time now) {
  AssignmentRules rules = published_rules(hub);
  AssignmentRule& rule = rule_of(rules, model, region);
  if (rule.stopped) fail(ErrorKind::usage, "the waves of {} {} were stopped: {}", model, rule.version, rule.reason);
  if (static_cast<std::size_t>(rule.wave) + 1 == rule.percent.size())
    fail(ErrorKind::usage, "{} {} is out for all stations", model, rule.version);
  ++rule.wave;
  const AssignmentRule result = rule;
  publish_rules(hub, rules, "advance", now);
  return result;
}

AssignmentRule stop_waves(Repository& hub, const std::string& model, const std::string& region,
                          const std::string& reason, Time now) {
  AssignmentRules rules = published_rules(hub);
  AssignmentRule& rule = rule_of(rules, model, region);
  rule.stopped = true;
  rule.reason = reason;
  const AssignmentRule result = rule;
  publish_rules(hub, rules, "stop", now);
  return result;
}

TargetFile publish_feed(Repository& hub, const std::filesystem::path& file, int keep, Time now) {
  const BoundaryFeed feed = read_feed(file);
  require_word("region", feed.region);
  const std::string target = feed_target(feed.region, compact(feed.cycle));
  const TargetFile result = hub.put_file("feeds", target, file);
  std::vector<std::string> of_region;
  for (const auto& [path, described] : hub.role("feeds").targets)
    if (path.starts_with("feeds/" + feed.region + "/")) of_region.push_back(path);
  for (std::size_t i = 0; i + static_cast<std::size_t>(std::max(keep, 1)) < of_region.size(); ++i)
    hub.remove("feeds", of_region[i]);
  hub.publish(now, "feed", {{"region", feed.region}, {"cycle", to_string(feed.cycle)}, {"sha256", result.sha256}});
  return result;
}

}  // namespace zonda::edge
