#include "ingest/archive/manifest.hpp"

#include <limits>
#include <nlohmann/json.hpp>

#include "core/checksum.hpp"
#include "core/error.hpp"
#include "core/json_reader.hpp"
#include "ingest/archive/layout_json.hpp"

namespace zonda::ingest {
namespace {

using Json = nlohmann::ordered_json;

constexpr const char* kFormat = "zonda archive";
constexpr int kVersion = 1;

std::string hexadecimal(std::uint32_t value) {
  return fmt::format("{:08x}", value);
}

std::uint32_t checksum(const JsonReader& json, const char* key) {
  constexpr std::size_t digits = 8;
  return static_cast<std::uint32_t>(std::stoul(json.hexadecimal(key, digits), nullptr, 16));
}

Json encode(const Statistics& statistics) {
  Json json;
  json["first"] = to_string(statistics.first);
  json["last"] = to_string(statistics.last);
  json["mean"] = statistics.mean;
  json["stddev"] = statistics.stddev;
  json["minimum"] = statistics.minimum;
  json["maximum"] = statistics.maximum;
  json["finite_fraction"] = statistics.finite_fraction;
  json["tendencies"] = Json::object();
  for (const auto& [step, tendency] : statistics.tendencies) {
    json["tendencies"][to_string(step)] = {{"mean", tendency.mean}, {"stddev", tendency.stddev}};
  }
  return json;
}

std::vector<double> decode_numbers(const JsonReader& json, const char* name, std::size_t channels) {
  const auto& values = json.array(name, channels);
  if (values.size() != channels)
    fail(ErrorKind::data, "{}: {} numbers for {} channels", json.name(name), values.size(), channels);
  std::vector<double> numbers;
  for (const auto& value : values) {
    if (!value.is_number()) fail(ErrorKind::data, "{}: expected numbers, found {}", json.name(name), value.type_name());
    numbers.push_back(value.get<double>());
  }
  return numbers;
}

Statistics decode_statistics(const JsonReader& json, std::size_t channels) {
  Statistics statistics;
  statistics.first = parse_time(json.text("first"));
  statistics.last = parse_time(json.text("last"));
  statistics.mean = decode_numbers(json, "mean", channels);
  statistics.stddev = decode_numbers(json, "stddev", channels);
  statistics.minimum = decode_numbers(json, "minimum", channels);
  statistics.maximum = decode_numbers(json, "maximum", channels);
  statistics.finite_fraction = decode_numbers(json, "finite_fraction", channels);
  const JsonReader tendencies = json.object("tendencies");
  for (const auto& [step, value] : tendencies.value().items()) {
    const JsonReader tendency = tendencies.object(step);
    statistics.tendencies[parse_duration(step)] = {decode_numbers(tendency, "mean", channels),
                                                   decode_numbers(tendency, "stddev", channels)};
  }
  return statistics;
}

Json encode_content(const Manifest& manifest) {
  Json json;
  json["format"] = kFormat;
  json["version"] = kVersion;
  json["layout"] = encode_layout(manifest.layout);
  json["times"] = encode_axis(manifest.axis);
  json["units"] = Json::array();
  for (const UnitRecord& unit : manifest.units) {
    json["units"].push_back({{"file", unit.file},
                             {"first", unit.first},
                             {"count", unit.count},
                             {"bytes", unit.files.bytes},
                             {"crc32c", hexadecimal(unit.files.crc32c)},
                             {"index_crc32c", hexadecimal(unit.files.index_crc32c)}});
  }
  Json fields = Json::array();
  for (const StaticRecord& field : manifest.statics) {
    fields.push_back({{"channel", field.channel.name()}, {"offset", field.offset}});
  }
  json["statics"] = {{"crc32c", hexadecimal(manifest.static_crc32c)}, {"fields", fields}};
  json["statistics"] = encode(manifest.statistics);
  json["provenance"] = Json::parse(manifest.provenance);
  return json;
}

std::vector<UnitRecord> decode_units(const JsonReader& json, std::size_t times) {
  constexpr std::int64_t most = std::numeric_limits<std::int64_t>::max();
  std::vector<UnitRecord> units;
  std::size_t next = 0;
  for (const auto& item : json.array("units", times)) {
    const JsonReader entry(item, json.name("units"));
    UnitRecord unit{entry.text("file"),
                    static_cast<std::size_t>(entry.integer("first", 0, most)),
                    static_cast<std::size_t>(entry.integer("count", 1, most)),
                    {static_cast<std::uint64_t>(entry.integer("bytes", 0, most)), checksum(entry, "crc32c"),
                     checksum(entry, "index_crc32c")}};
    if (unit.file.empty() || unit.file.find('/') != std::string::npos || unit.file.front() == '.') {
      fail(ErrorKind::data, "'{}' is not the name of a unit's file", unit.file);
    }
    if (unit.first != next || unit.count > times - next) {
      fail(ErrorKind::data, "the units do not cover the times one after the other");
    }
    next += unit.count;
    units.push_back(std::move(unit));
  }
  if (next != times) fail(ErrorKind::data, "the units hold {} of {} times", next, times);
  return units;
}

Manifest decode_content(const JsonReader& json, std::string provenance) {
  Manifest manifest{decode_layout(json.object("layout")),
                    decode_axis(json.object("times")),
                    {},
                    {},
                    0,
                    {},
                    std::move(provenance),
                    ""};
  manifest.units = decode_units(json, manifest.axis.times().size());
  const JsonReader statics = json.object("statics");
  manifest.static_crc32c = checksum(statics, "crc32c");
  constexpr std::size_t most_fields = 10'000;
  for (const auto& item : statics.array("fields", most_fields)) {
    const JsonReader field(item, statics.name("fields"));
    const std::int64_t offset = field.integer("offset", 0, std::numeric_limits<std::int64_t>::max());
    manifest.statics.push_back({parse_channel(field.text("channel")), static_cast<std::uint64_t>(offset)});
  }
  manifest.statistics = decode_statistics(json.object("statistics"), manifest.layout.channels.size());
  return manifest;
}

std::string text_of(const Json& json) {
  return json.dump(1) + "\n";
}

}  // namespace

std::string encode_manifest(Manifest& manifest) {
  Json json = encode_content(manifest);
  manifest.identity = sha256(text_of(json));
  json["identity"] = manifest.identity;
  return text_of(json);
}

Manifest decode_manifest(const std::string& text, const std::string& file) {
  const nlohmann::json content = parse_json(text, file);
  if (!content.is_object() || content.value("format", nlohmann::json()) != kFormat)
    fail(ErrorKind::data, "{}: not a {}", file, kFormat);
  const JsonReader reader(content, file);
  if (reader.integer("version", 0, std::numeric_limits<int>::max()) != kVersion) {
    fail(ErrorKind::data, "{}: version {}, this program reads version {}", file, content.at("version").dump(),
         kVersion);
  }
  // Read from the text alone: a byte that differs, were it only a blank, is damage.
  Json ordered = Json::parse(text);
  const bool canonical = text_of(ordered) == text;
  ordered.erase("identity");
  const std::string& identity = reader.text("identity");
  if (!canonical || sha256(text_of(ordered)) != identity)
    fail(ErrorKind::data, "{}: checksum is wrong: the file is damaged", file);
  reader.object("provenance");
  try {
    Manifest manifest = decode_content(reader, ordered.at("provenance").dump());
    manifest.identity = identity;
    return manifest;
  } catch (const Error& error) {
    if (std::string_view(error.what()).starts_with(file)) throw Error(ErrorKind::data, error.what());
    fail(ErrorKind::data, "{}: {}", file, error.what());
  }
}

}  // namespace zonda::ingest
