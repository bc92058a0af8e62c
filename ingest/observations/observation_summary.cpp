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

/// [used, rejected] departures by kind and variable from `equivalents`, H of a state.
using DeparturesOfKinds = std::map<std::pair<ReportKind, VariableNumber>, std::array<Departures, 2>>;
DeparturesOfKinds departures_of(const ObservationTable& table, const std::vector<double>& equivalents) {
  DeparturesOfKinds all;
  for (std::size_t i = 0; i < table.size(); ++i)
    if (const double departure = table.value[i] - equivalents[i]; std::isfinite(departure))
      all[{table.kind[i], table.variable[i]}][table.accepted(i) ? 0 : 1].add(departure);
  return all;
}

/// Mean and root mean square of the departures of the values that are used; empty where no background is known.
std::string departure_lines(const ObservationTable& table) {
  const DeparturesOfKinds background = departures_of(table, table.background),
                          analysis = departures_of(table, table.analysis);
  std::string text;
  for (const auto& [key, of] : background) {
    if (of[0].count == 0) continue;
    if (text.empty())
      text = fmt::format("{:<10} {:<6} {:>9} {:>12} {:>12} {:>12} {:>12}  {}\n", "departures", "value", "used",
                         "background", "rms", "analysis", "rms", "unit");
    const auto part = [](const Departures& departures, bool square) {
      if (departures.count == 0) return std::string("-");
      const double mean = (square ? departures.squares : departures.sum) / static_cast<double>(departures.count);
      return fmt::format("{:.4g}", square ? std::sqrt(mean) : mean);
    };
    const auto found = analysis.find(key);
    const Departures after = found == analysis.end() ? Departures{} : found->second[0];
    text += fmt::format("{:<10} {:<6} {:>9} {:>12} {:>12} {:>12} {:>12}  {}\n", name(key.first),
                        variable_table()[key.second].short_name, of[0].count, part(of[0], false), part(of[0], true),
                        part(after, false), part(after, true), variable_table()[key.second].unit);
  }
  return text;
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
  const DeparturesOfKinds departures = departures_of(table, table.background),
                          from_analysis = departures_of(table, table.analysis);
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
    if (const auto found = from_analysis.find(key); found != from_analysis.end())
      if (found->second[0].count > 0) row["analysis_departures"] = found->second[0].json();
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
  text += departure_lines(table);
  for (std::size_t i = 0; i < account.complaints.size() && i < 10; ++i) text += account.complaints[i].text + '\n';
  if (account.complaints.size() > 10)
    text += fmt::format("... and {}{} more\n", account.complaints.size() - 10,
                        account.complaints.size() == most_complaints ? " or" : "");
  return text;
}

}  // namespace zonda::ingest
