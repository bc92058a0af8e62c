#include "ingest/sources/inspect_source.hpp"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "core/atomic_file.hpp"
#include "core/error.hpp"

namespace zonda::ingest {
namespace {

using nlohmann::json;

void add_statistics(const Source& source, const FieldKey& key, json& entry) {
  std::vector<float> values(source.grid(key.channel).size());
  source.read(key, values);
  double sum = 0, low = INFINITY, high = -INFINITY;
  std::size_t there = 0;
  for (const float value : values) {
    if (std::isnan(value)) continue;
    sum += value;
    low = std::min(low, static_cast<double>(value));
    high = std::max(high, static_cast<double>(value));
    ++there;
  }
  entry["missing"] = values.size() - there;
  if (there == 0) return;
  entry["minimum"] = low;
  entry["maximum"] = high;
  entry["mean"] = sum / static_cast<double>(there);
}

}  // namespace

json inspect_source(const std::filesystem::path& path, const NameMapping& mapping, const InspectOptions& options) {
  const auto source = open_source(path, mapping);
  json report{{"source", source->describe()}, {"channels", json::array()}, {"fields", json::array()}};
  for (const Channel& channel : source->channels()) {
    const auto keys = source->fields_of(channel);
    json entry{{"channel", channel.name()},
               {"variable", channel.variable},
               {"unit", channel.info().unit},
               {"fields", keys.size()}};
    if (channel.level_hpa != 0) entry["level_hpa"] = channel.level_hpa;
    try {
      entry["grid"] = source->grid(channel).to_string();
    } catch (const Error& error) {
      entry["fault"] = error.what();
    }
    if (!keys.empty()) {
      entry["first_time"] = to_string(keys.front().valid_time);
      entry["last_time"] = to_string(keys.back().valid_time);
    }
    report["channels"].push_back(std::move(entry));
  }
  std::size_t index = 0;
  for (const FieldKey& key : source->fields()) {
    if (options.most_fields != 0 && index == options.most_fields) break;
    json entry{{"index", index}, {"channel", key.channel.name()}, {"valid_time", to_string(key.valid_time)}};
    if (key.reference_time) entry["reference_time"] = to_string(*key.reference_time);
    if (key.member) entry["member"] = *key.member;
    if (key.accumulation.count() != 0) entry["accumulation_s"] = key.accumulation.count();
    if (options.statistics) add_statistics(*source, key, entry);
    report["fields"].push_back(std::move(entry));
    ++index;
  }
  report["ignored"] = source->ignored();
  return report;
}

void dump_field(const Source& source, std::size_t index, const std::filesystem::path& target) {
  const auto& fields = source.fields();
  if (index >= fields.size()) fail(ErrorKind::data, "{}: field {} of {}", source.describe(), index, fields.size());
  std::vector<float> values(source.grid(fields[index].channel).size());
  source.read(fields[index], values);
  write_file(target, {reinterpret_cast<const char*>(values.data()), values.size() * sizeof(float)});
}

}  // namespace zonda::ingest
