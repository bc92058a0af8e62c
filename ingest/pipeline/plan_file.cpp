#include "ingest/pipeline/plan_file.hpp"

#include <algorithm>
#include <array>

#include "core/atomic_file.hpp"
#include "core/checksum.hpp"
#include "core/config/table.hpp"
#include "core/error.hpp"
#include "ingest/archive/journal.hpp"
#include "ingest/archive/layout_json.hpp"

namespace zonda::ingest {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

constexpr const char* kFormat = "zonda archive plan";

PlanFile decode_plan(const std::string& text, const std::string& file) {
  const nlohmann::json content = parse_json(text, file);
  if (!content.is_object() || content.value("format", nlohmann::json()) != kFormat)
    fail(ErrorKind::data, "not a {}", kFormat);
  const JsonReader json(content, file);
  IngestPlan plan{decode_layout(json.object("layout")), {}, decode_axis(json.object("times")), {}, {}, {}};
  constexpr std::size_t most = 10'000'000;
  for (const std::string& name : json.texts("statics", most)) plan.statics.push_back(parse_channel(name));
  for (const auto& item : json.array("units", most)) {
    const JsonReader unit(item, json.name("units"));
    plan.units.push_back({unit.text("file"), static_cast<std::size_t>(unit.integer("first", 0, most)),
                          static_cast<std::size_t>(unit.integer("count", 0, most))});
  }
  plan.sources = json.texts("sources", most);
  json.object("configuration");
  return {std::move(plan), Json::parse(text).at("configuration")};
}

bool may_differ(const std::string& key, Change change) {
  if (key == "restart" || key == "statistics") return true;
  constexpr std::array<std::string_view, 4> of_append{"sources", "end", "missing", "unit_bytes"};
  return change == Change::append && std::find(of_append.begin(), of_append.end(), key) != of_append.end();
}

bool is_ours(const fs::path& path) {
  const std::string name = path.filename().string(), extension = path.extension().string();
  if (name == kManifestName || name == kStaticName) return true;
  const bool temporary = name.starts_with('.') && name.ends_with(".tmp");
  return temporary || (name.starts_with("fields-") && (extension == ".h5" || extension == ".index"));
}

}  // namespace

std::string encode_plan(const PlanFile& file) {
  const IngestPlan& plan = file.plan;
  Json statics = Json::array(), units = Json::array();
  for (const Channel& channel : plan.statics) statics.push_back(channel.name());
  for (const PlannedUnit& unit : plan.units) {
    units.push_back({{"file", unit.file}, {"first", unit.first}, {"count", unit.count}});
  }
  const Json json{{"format", kFormat},
                  {"layout", encode_layout(plan.layout)},
                  {"statics", statics},
                  {"times", encode_axis(plan.axis)},
                  {"units", units},
                  {"sources", plan.sources},
                  {"configuration", file.configuration}};
  return json.dump(1) + "\n";
}

std::optional<PlanFile> read_plan(const fs::path& archive) {
  const fs::path path = archive / kPlanName;
  if (!fs::exists(path)) return std::nullopt;
  try {
    return decode_plan(read_file(path), path.string());
  } catch (const Error& error) {
    if (std::string_view(error.what()).starts_with(path.string())) throw Error(ErrorKind::data, error.what());
    fail(ErrorKind::data, "{}: {}", path.string(), error.what());
  }
}

void remove_archive(const fs::path& archive) {
  if (!fs::exists(archive)) return;
  fs::remove(archive / kManifestName);  // first, so that nobody reads an archive that is being taken apart
  std::vector<fs::path> doomed;
  for (const auto& entry : fs::directory_iterator(archive)) {
    if (entry.is_regular_file() && is_ours(entry.path())) doomed.push_back(entry.path());
  }
  for (const fs::path& path : doomed) fs::remove(path);
  fs::remove_all(archive / "journal");
  fs::remove(archive / kPlanName);
}

Json configuration_of(const IngestConfig& config) {
  return config::dump(config);
}

IngestConfig config_of(const Json& configuration) {
  IngestConfig config;
  config::read(config::parse_yaml(config::to_yaml(configuration), kPlanName), config);
  return config;
}

std::string forbidden_changes(const Json& archive, const Json& configuration, Change change) {
  std::string changes;
  for (const auto& [key, value] : configuration.items()) {
    if (may_differ(key, change)) continue;
    const Json before = archive.contains(key) ? archive.at(key) : Json(nullptr);
    if (before == value) continue;
    changes += fmt::format("{}key '{}': the archive was made with {}, the configuration says {}",
                           changes.empty() ? "" : "; ", key, before.dump(), value.dump());
    if (key == "end" && change == Change::resume) changes += " (append adds times)";
  }
  return changes;
}

std::string unit_configuration(const PlanFile& file) {
  Json deciding = file.configuration;
  for (const char* key : {"sources", "start", "end", "missing", "unit_bytes", "statistics", "statics", "restart"}) {
    deciding.erase(key);
  }
  deciding["layout"] = encode_layout(file.plan.layout);
  deciding["step"] = to_string(file.plan.axis.step);
  return sha256(deciding.dump());
}

}  // namespace zonda::ingest
