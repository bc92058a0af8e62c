#include "inference/edge/catalogue/assignment_rules.hpp"

#include <algorithm>

#include "core/checksum.hpp"
#include "core/error.hpp"
#include "core/json_reader.hpp"

namespace zonda::edge {

using nlohmann::json;

bool AssignmentRule::is_for(const StationTraits& station) const {
  return (region.empty() || region == station.region) &&
         std::all_of(hardware.begin(), hardware.end(), [&](const std::string& tag) {
           return std::find(station.hardware.begin(), station.hardware.end(), tag) != station.hardware.end();
         });
}

json AssignmentRules::to_json() const {
  json all = json::array();
  for (const AssignmentRule& rule : rules)
    all.push_back({{"region", rule.region},
                   {"hardware", rule.hardware},
                   {"model", rule.model},
                   {"version", rule.version},
                   {"before", rule.before},
                   {"percent", rule.percent},
                   {"wave", rule.wave},
                   {"stopped", rule.stopped},
                   {"reason", rule.reason},
                   {"gate", {{"failing_percent", rule.failing_percent}, {"least_reports", rule.least_reports}}}});
  return {{"schema", "zonda.assignment.1"}, {"rules", all}};
}

AssignmentRules AssignmentRules::parse(std::string_view text) {
  const json parsed = parse_json(text, target, 8);
  const JsonReader file(parsed, target);
  if (file.text("schema") != "zonda.assignment.1")
    fail(ErrorKind::data, "{}: schema '{}', expected zonda.assignment.1", target, file.text("schema"));
  AssignmentRules rules;
  for (const json& item : file.array("rules", 4096)) {
    const JsonReader part(item, file.name("rules"));
    AssignmentRule rule;
    rule.region = part.text("region");
    rule.hardware = part.texts("hardware", 64);
    rule.model = part.text("model");
    rule.version = part.text("version");
    rule.before = part.text("before");
    rule.percent.clear();
    for (const std::int64_t percent : part.integers("percent", 1, 100, 32))
      rule.percent.push_back(static_cast<int>(percent));
    if (rule.percent.empty() || !std::is_sorted(rule.percent.begin(), rule.percent.end()))
      fail(ErrorKind::data, "{}: expected ascending numbers", part.name("percent"));
    rule.wave = static_cast<int>(part.integer("wave", 0, static_cast<std::int64_t>(rule.percent.size()) - 1));
    rule.stopped = part.boolean("stopped");
    rule.reason = part.text("reason");
    const JsonReader gate = part.object("gate");
    rule.failing_percent = static_cast<int>(gate.integer("failing_percent", 0, 100));
    rule.least_reports = static_cast<int>(gate.integer("least_reports", 1, 1'000'000));
    rules.rules.push_back(std::move(rule));
  }
  return rules;
}

double place_in_waves(const std::string& station, const std::string& model, const std::string& version) {
  const std::string digest = sha256(station + "\n" + model + "\n" + version);
  return static_cast<double>(std::stoul(digest.substr(0, 8), nullptr, 16)) / 4294967296.0 * 100.0;
}

std::optional<AssignedModel> AssignmentRules::assigned(const StationTraits& station) const {
  for (const AssignmentRule& rule : rules) {
    if (!rule.is_for(station)) continue;
    if (place_in_waves(station.id, rule.model, rule.version) < rule.percent_now())
      return AssignedModel{rule.model, rule.version, rule.percent_now() < 100};
    if (!rule.before.empty()) return AssignedModel{rule.model, rule.before, false};
  }
  return std::nullopt;
}

}  // namespace zonda::edge
