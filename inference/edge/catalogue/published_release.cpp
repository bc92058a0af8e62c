#include "inference/edge/catalogue/published_release.hpp"

#include <algorithm>
#include <set>

#include "core/error.hpp"
#include "core/json_reader.hpp"
#include "inference/edge/trust/metadata.hpp"

namespace zonda::edge {

using nlohmann::json;

namespace {

json json_of(const PublishedFile& file) {
  return {{"name", file.name}, {"target", file.target}, {"length", file.length}, {"sha256", file.sha256}};
}

PublishedFile file_of(const JsonReader& part) {
  PublishedFile file{part.text("name"), part.text("target"), part.integer("length", 0, std::int64_t{1} << 50),
                     part.hexadecimal("sha256", 64)};
  if (!is_target_path(file.name) || file.name.find('/') != std::string::npos)
    fail(ErrorKind::data, "{}: '{}' cannot be the name of a file", part.name("name"), file.name);
  if (!is_target_path(file.target)) fail(ErrorKind::data, "{}: not a target", part.name("target"));
  return file;
}

}  // namespace

json PublishedRelease::to_json() const {
  json value{
      {"schema", "zonda.release.1"}, {"name", name},         {"version", version},     {"region", region},
      {"parents", parents},          {"hardware", hardware}, {"files", json::array()}, {"deltas", json::array()}};
  for (const PublishedFile& file : files) value["files"].push_back(json_of(file));
  for (const PublishedDelta& delta : deltas)
    value["deltas"].push_back({{"from", delta.from}, {"base", delta.base}, {"file", json_of(delta.file)}});
  return value;
}

PublishedRelease PublishedRelease::parse(std::string_view text, const std::string& name, const std::string& version) {
  const std::string path = target_of(name, version);
  const json parsed = parse_json(text, path, 8);
  const JsonReader part(parsed, path);
  if (part.text("schema") != "zonda.release.1")
    fail(ErrorKind::data, "{}: schema '{}', expected zonda.release.1", path, part.text("schema"));
  if (part.text("name") != name || part.text("version") != version)
    fail(ErrorKind::data, "{}: speaks of {} {}", path, part.text("name"), part.text("version"));
  PublishedRelease release{name, version, part.text("region"), part.texts("parents", 64), part.texts("hardware", 64),
                           {},   {}};
  std::set<std::string> names;
  for (const json& item : part.array("files", 256)) {
    release.files.push_back(file_of(JsonReader(item, part.name("files"))));
    if (!names.insert(release.files.back().name).second)
      fail(ErrorKind::data, "{}: '{}' twice", part.name("files"), release.files.back().name);
  }
  for (const json& item : part.array("deltas", 256)) {
    const JsonReader delta(item, part.name("deltas"));
    release.deltas.push_back({delta.text("from"), delta.hexadecimal("base", 64), file_of(delta.object("file"))});
  }
  return release;
}

void PublishedRelease::require_hardware(std::span<const std::string> tags) const {
  for (const std::string& wanted : hardware)
    if (std::find(tags.begin(), tags.end(), wanted) == tags.end())
      fail(ErrorKind::data, "{} {} is made for hardware with '{}', which this station has not", name, version, wanted);
}

std::string feed_target(const std::string& region, const std::string& compact_time) {
  return "feeds/" + region + "/" + compact_time + ".feed";
}

}  // namespace zonda::edge
