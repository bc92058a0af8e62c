#pragma once
// What the hub publishes: bundles as releases, rules, feeds.
#include <filesystem>
#include <string>
#include <vector>

#include "core/time.hpp"
#include "inference/edge/catalogue/assignment_rules.hpp"
#include "inference/edge/catalogue/published_release.hpp"
#include "inference/edge/hub/repository.hpp"

namespace zonda::edge {

struct PublishRequest {
  std::filesystem::path bundle;
  std::string name, version, region;
  std::vector<std::string> parents;   ///< versions of the same name, published before
  std::vector<std::string> hardware;  ///< beside the tags of the bundle's manifest
};

/// Verifies the bundle's every byte and publishes its files. Throws Error(data): damaged; Error(usage): the version is
/// published with other content, or a parent is not published.
PublishedRelease publish_bundle(Repository& hub, const PublishRequest& request, Time now);

/// Throws Error(data): not published.
PublishedRelease published_release(const Repository& hub, const std::string& name, const std::string& version);
/// Versions of a name in the order of the release log.
std::vector<std::string> published_versions(const Repository& hub, const std::string& name);

AssignmentRules published_rules(const Repository& hub);
/// Signs other rules. Throws Error(usage) where a rule names a version that is not published.
void publish_rules(Repository& hub, const AssignmentRules& rules, const std::string& event, Time now);
/// A rule for its region and hardware: a new one, or another version in the place of the present one, whose version the
/// stations outside the first wave keep. Returns the rule as it stands.
AssignmentRule assign(Repository& hub, AssignmentRule rule, Time now);
/// The next wave of a model's rule. Throws Error(usage): no such rule, all waves are out, or it was stopped.
AssignmentRule advance_wave(Repository& hub, const std::string& model, const std::string& region, Time now);
/// All stations go back to the version of before.
AssignmentRule stop_waves(Repository& hub, const std::string& model, const std::string& region,
                          const std::string& reason, Time now);

/// Publishes a feed file and takes feeds of the region out of the list that are older than the newest `keep`.
TargetFile publish_feed(Repository& hub, const std::filesystem::path& feed, int keep, Time now);

}  // namespace zonda::edge
