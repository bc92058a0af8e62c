#pragma once
// Who runs what: target `assignment/rules.json` of role `assignment`. The catalogue says what exists, the assignment
// what a station should run (Uptane's image repository and director); a model that is not in both is not installed.
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace zonda::edge {

/// What a station says of itself.
struct StationTraits {
  std::string id;  ///< the id of its key
  std::string region;
  std::vector<std::string> hardware;
};

struct AssignedModel {
  std::string name, version;
  bool canary = false;  ///< in the wave of a version that others do not have yet
  friend bool operator==(const AssignedModel&, const AssignedModel&) = default;
};

/// A version goes out in waves: `percent[wave]` of the stations, chosen by their ids, have it; the others keep
/// `before`. A gate between waves looks at the reports of those that have it.
struct AssignmentRule {
  std::string region;                 ///< of the stations it is for; empty: any
  std::vector<std::string> hardware;  ///< tags they must have
  std::string model, version;
  std::string before;             ///< version of the others; empty: they get none by this rule
  std::vector<int> percent{100};  ///< of stations, ascending, the last 100
  int wave = 0;
  bool stopped = false;     ///< everybody has `before`
  std::string reason;       ///< why it was stopped
  int failing_percent = 5;  ///< of the reporting stations that have the version: more stop the waves
  int least_reports = 3;    ///< of such stations, before a gate opens or the waves stop

  bool is_for(const StationTraits& station) const;
  int percent_now() const { return stopped ? 0 : percent[static_cast<std::size_t>(wave)]; }
};

struct AssignmentRules {
  static constexpr const char* target = "assignment/rules.json";
  std::vector<AssignmentRule> rules;  ///< the first that is for a station decides

  nlohmann::json to_json() const;
  static AssignmentRules parse(std::string_view text);
  std::optional<AssignedModel> assigned(const StationTraits& station) const;
};

/// In [0, 100): where a station stands in the waves of a version. Uniform over stations, independent between versions.
double place_in_waves(const std::string& station, const std::string& model, const std::string& version);

}  // namespace zonda::edge
