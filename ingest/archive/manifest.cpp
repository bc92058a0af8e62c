#include "ingest/archive/manifest.hpp"

#include <algorithm>
#include <charconv>
#include <nlohmann/json.hpp>

#include "core/checksum.hpp"
#include "core/error.hpp"
#include "ingest/archive/layout_json.hpp"

namespace zonda::ingest {
namespace {

using Json = nlohmann::ordered_json;

constexpr const char* kFormat = "zonda archive";
constexpr int kVersion = 1;

std::string hexadecimal(std::uint32_t value) {
  return fmt::format("{:08x}", value);
}

std::uint32_t parse_hexadecimal(const std::string& text) {
  std::uint32_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, 16);
  if (error != std::errc() || end != text.data() + text.size() || text.size() != 8) {
    fail(ErrorKind::data, "'{}' is not a checksum", text);
  }
  return value;
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

std::vector<double> decode_numbers(const Json& json, const char* name, std::size_t channels) {
  auto numbers = json.at(name).get<std::vector<double>>();
  if (numbers.size() != channels)
    fail(ErrorKind::data, "'{}' has {} numbers for {} channels", name, numbers.size(), channels);
  return numbers;
}

Statistics decode_statistics(const Json& json, std::size_t channels) {
  Statistics statistics;
  statistics.first = parse_time(json.at("first").get<std::string>());
  statistics.last = parse_time(json.at("last").get<std::string>());
  statistics.mean = decode_numbers(json, "mean", channels);
  statistics.stddev = decode_numbers(json, "stddev", channels);
  statistics.minimum = decode_numbers(json, "minimum", channels);
  statistics.maximum = decode_numbers(json, "maximum", channels);
  statistics.finite_fraction = decode_numbers(json, "finite_fraction", channels);
  for (const auto& [step, tendency] : json.at("tendencies").items()) {
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

std::vector<UnitRecord> decode_units(const Json& json, std::size_t times) {
  std::vector<UnitRecord> units;
  std::size_t next = 0;
  for (const Json& item : json) {
    UnitRecord unit{item.at("file").get<std::string>(),
                    item.at("first").get<std::size_t>(),
                    item.at("count").get<std::size_t>(),
                    {item.at("bytes").get<std::uint64_t>(), parse_hexadecimal(item.at("crc32c").get<std::string>()),
                     parse_hexadecimal(item.at("index_crc32c").get<std::string>())}};
    if (unit.file.empty() || unit.file.find('/') != std::string::npos || unit.file.front() == '.') {
      fail(ErrorKind::data, "'{}' is not the name of a unit's file", unit.file);
    }
    if (unit.first != next || unit.count == 0 || unit.count > times - next) {
      fail(ErrorKind::data, "the units do not cover the times one after the other");
    }
    next += unit.count;
    units.push_back(std::move(unit));
  }
  if (next != times) fail(ErrorKind::data, "the units hold {} of {} times", next, times);
  return units;
}

Manifest decode_content(const Json& json) {
  Manifest manifest{
      decode_layout(json.at("layout")), decode_axis(json.at("times")), {}, {}, 0, {}, json.at("provenance").dump(), ""};
  manifest.units = decode_units(json.at("units"), manifest.axis.times().size());
  manifest.static_crc32c = parse_hexadecimal(json.at("statics").at("crc32c").get<std::string>());
  for (const Json& field : json.at("statics").at("fields")) {
    manifest.statics.push_back(
        {parse_channel(field.at("channel").get<std::string>()), field.at("offset").get<std::uint64_t>()});
  }
  manifest.statistics = decode_statistics(json.at("statistics"), manifest.layout.channels.size());
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
  try {
    Json json = Json::parse(text);
    if (!json.is_object() || json.value("format", "") != kFormat) fail(ErrorKind::data, "not a {}", kFormat);
    if (json.at("version") != kVersion) {
      fail(ErrorKind::data, "version {}, this program reads version {}", json.at("version").dump(), kVersion);
    }
    // Read from the text alone: a byte that differs, were it only a blank, is damage.
    const auto identity = json.at("identity").get<std::string>();
    const bool canonical = text_of(json) == text;
    json.erase("identity");
    if (!canonical || sha256(text_of(json)) != identity)
      fail(ErrorKind::data, "checksum is wrong: the file is damaged");
    Manifest manifest = decode_content(json);
    manifest.identity = identity;
    return manifest;
  } catch (const Json::exception& error) {
    fail(ErrorKind::data, "{}: {}", file, error.what());
  } catch (const Error& error) {
    fail(ErrorKind::data, "{}: {}", file, error.what());
  }
}

}  // namespace zonda::ingest
