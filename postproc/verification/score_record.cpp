#include "postproc/verification/score_record.hpp"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>

#include "core/atomic_file.hpp"
#include "core/error.hpp"

namespace zonda::postproc {
namespace {

std::string key(std::string_view variable, int level, std::string_view region, std::string_view metric,
                std::string_view source) {
  return fmt::format("{}|{}|{}|{}|{}", variable, level, region, metric, source);
}

/// Shortest text that reads back to the same number; whole leads without a point.
std::string number(double value) {
  return fmt::format("{}", value);
}

}  // namespace

ScoreTable::ScoreTable(std::vector<ScoreRecord> records) : records_(std::move(records)) {
  for (const ScoreRecord& r : records_)
    index_[key(r.variable, r.level_hpa, r.region, r.metric, r.source)][r.lead_hours] = r.value;
}

ScoreTable ScoreTable::read(const std::filesystem::path& path) {
  const auto json = nlohmann::json::parse(read_file(path), nullptr, false);
  if (!json.is_array()) fail(ErrorKind::data, "{}: not a list of scores", path.string());
  std::vector<ScoreRecord> records;
  try {
    for (const auto& item : json) {
      const auto& level = item.at("level_hpa");
      records.push_back({item.at("variable"), level.is_null() ? 0 : level.get<int>(), item.at("lead_hours"),
                         item.at("region"), item.at("metric"), item.at("source"), item.at("value")});
    }
  } catch (const nlohmann::json::exception& error) {
    fail(ErrorKind::data, "{}: record {}: {}", path.string(), records.size(), error.what());
  }
  return ScoreTable(std::move(records));
}

std::optional<double> ScoreTable::find(const Channel& channel, double lead_hours, std::string_view region,
                                       std::string_view metric, std::string_view source) const {
  const auto found = index_.find(key(channel.variable, channel.level_hpa, region, metric, source));
  if (found == index_.end()) return std::nullopt;
  const auto value = found->second.find(lead_hours);
  if (value == found->second.end()) return std::nullopt;
  return value->second;
}

std::vector<std::pair<double, double>> ScoreTable::curve(const Channel& channel, std::string_view region,
                                                         std::string_view metric, std::string_view source) const {
  const auto found = index_.find(key(channel.variable, channel.level_hpa, region, metric, source));
  if (found == index_.end()) return {};
  return {found->second.begin(), found->second.end()};
}

std::vector<Channel> ScoreTable::channels() const {
  std::vector<Channel> result;
  std::set<Channel> seen;
  for (const ScoreRecord& r : records_)
    if (const Channel channel{r.variable, r.level_hpa}; seen.insert(channel).second) result.push_back(channel);
  return result;
}

std::vector<double> ScoreTable::lead_hours() const {
  std::set<double> leads;
  for (const ScoreRecord& r : records_) leads.insert(r.lead_hours);
  return {leads.begin(), leads.end()};
}

std::vector<std::string> ScoreTable::regions() const {
  std::vector<std::string> result;
  std::set<std::string> seen;
  for (const ScoreRecord& r : records_)
    if (seen.insert(r.region).second) result.push_back(r.region);
  return result;
}

void ScoreTable::write_json(const std::filesystem::path& path) const {
  std::string text = "[\n";
  for (const ScoreRecord& r : records_) {
    text += fmt::format(
        R"({{"variable":"{}","level_hpa":{},"lead_hours":{},"region":"{}","metric":"{}","source":"{}","value":{}}})",
        r.variable, r.level_hpa > 0 ? std::to_string(r.level_hpa) : "null", number(r.lead_hours), r.region, r.metric,
        r.source, number(r.value));
    text += &r == &records_.back() ? "\n" : ",\n";
  }
  write_file(path, text + "]\n");
}

void ScoreTable::write_csv(const std::filesystem::path& path) const {
  std::string text = "variable,level_hpa,lead_hours,region,metric,source,value\n";
  for (const ScoreRecord& r : records_)
    text += fmt::format("{},{},{},{},{},{},{}\n", r.variable, r.level_hpa > 0 ? std::to_string(r.level_hpa) : "",
                        number(r.lead_hours), r.region, r.metric, r.source, number(r.value));
  write_file(path, text);
}

}  // namespace zonda::postproc
