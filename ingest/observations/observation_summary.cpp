#include "ingest/observations/observation_summary.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <set>

namespace zonda::ingest {
namespace {

using Json = nlohmann::ordered_json;

Json reasons(const std::map<QualityFlag, std::uint64_t>& rejected) {
  Json made = Json::object();
  for (const auto& [flag, count] : rejected) made[std::string(name(flag))] = count;
  return made;
}

std::string reasons_text(const std::map<QualityFlag, std::uint64_t>& rejected) {
  std::string text;
  for (const auto& [flag, count] : rejected)
    text += fmt::format("{}{} {}", text.empty() ? "" : ", ", name(flag), count);
  return text;
}

struct Departures {
  std::uint64_t count = 0;
  double sum = 0, squares = 0;
  void add(double departure) {
    ++count;
    sum += departure;
    squares += departure * departure;
  }
  Json json() const {
    const auto n = static_cast<double>(count);
    return {{"count", count}, {"mean", sum / n}, {"rms", std::sqrt(squares / n)}};
  }
};

/// [used, rejected] departures by kind and variable.
std::map<std::pair<ReportKind, VariableNumber>, std::array<Departures, 2>> departures_of(
    const ObservationTable& table) {
  std::map<std::pair<ReportKind, VariableNumber>, std::array<Departures, 2>> all;
  for (std::size_t i = 0; i < table.size(); ++i)
    if (const double departure = table.value[i] - table.background[i]; std::isfinite(departure))
      all[{table.kind[i], table.variable[i]}][table.accepted(i) ? 0 : 1].add(departure);
  return all;
}

}  // namespace

Json summarise(const ObservationTable& table, const ReadingAccount& account) {
  Json record;
  record["files"] = table.files;
  std::set<std::string_view> stations;
  for (std::size_t i = 0; i < table.size(); ++i) stations.insert(table.station_name(i));
  record["stations"] = stations.size();
  if (table.size() > 0) {
    record["first"] = to_string(*std::min_element(table.time.begin(), table.time.end()));
    record["last"] = to_string(*std::max_element(table.time.begin(), table.time.end()));
  }
  record["balanced"] = account.balanced();
  record["reports"] = Json::array();
  for (const auto& [key, count] : account.reports)
    record["reports"].push_back({{"file", key.file},
                                 {"kind", key.kind.empty() ? "unknown" : key.kind},
                                 {"read", count.read},
                                 {"used", count.used},
                                 {"rejected", reasons(count.rejected)}});
  record["values"] = Json::array();
  const auto departures = departures_of(table);
  for (const auto& [key, count] : count_values(table)) {
    const Variable& variable = variable_table()[key.second];
    Json row{{"kind", name(key.first)}, {"variable", variable.short_name},
             {"unit", variable.unit},   {"read", count.read},
             {"used", count.used},      {"rejected", reasons(count.rejected)}};
    if (count.used > 0) {
      row["minimum"] = count.minimum;
      row["maximum"] = count.maximum;
    }
    if (const auto found = departures.find(key); found != departures.end()) {
      if (found->second[0].count > 0) row["departures"] = found->second[0].json();
      if (found->second[1].count > 0) row["departures_of_rejected"] = found->second[1].json();
    }
    record["values"].push_back(std::move(row));
  }
  record["complaints"] = Json::array();
  for (const Complaint& complaint : account.complaints) record["complaints"].push_back(complaint.text);
  return record;
}

std::string summary_table(const ObservationTable& table, const ReadingAccount& account) {
  std::string text;
  for (const auto& [key, count] : account.reports)
    text += fmt::format("{}: {} reports read, {} used{}{}\n", key.kind.empty() ? "unknown" : key.kind, count.read,
                        count.used, count.rejected.empty() ? "" : "; rejected: ", reasons_text(count.rejected));
  if (table.size() > 0) {
    const auto [first, last] = std::minmax_element(table.time.begin(), table.time.end());
    text += fmt::format("{} to {}\n", to_string(*first), to_string(*last));
    text += fmt::format("{:<10} {:<6} {:>9} {:>9} {:>12} {:>12}  {:<8} {}\n", "kind", "value", "read", "used",
                        "minimum", "maximum", "unit", "rejected");
  }
  for (const auto& [key, count] : count_values(table)) {
    const Variable& variable = variable_table()[key.second];
    const bool any = count.used > 0;
    const auto range = [any](double value) { return any ? fmt::format("{:.6g}", value) : std::string("-"); };
    std::string line = fmt::format("{:<10} {:<6} {:>9} {:>9} {:>12} {:>12}  {:<8} {}", name(key.first),
                                   variable.short_name, count.read, count.used, range(count.minimum),
                                   range(count.maximum), variable.unit, reasons_text(count.rejected));
    line.erase(line.find_last_not_of(' ') + 1);
    text += line + '\n';
  }
  for (std::size_t i = 0; i < account.complaints.size() && i < 10; ++i) text += account.complaints[i].text + '\n';
  if (account.complaints.size() > 10)
    text += fmt::format("... and {}{} more\n", account.complaints.size() - 10,
                        account.complaints.size() == most_complaints ? " or" : "");
  return text;
}

}  // namespace zonda::ingest
