#include "inference/edge/correction/sensor_report.hpp"

#include <array>
#include <charconv>
#include <cmath>
#include <set>

#include "core/error.hpp"
#include "core/json_reader.hpp"

namespace zonda::edge {
namespace {

struct Unit {
  std::string_view name;
  double scale, offset;  ///< SI = scale value + offset
};
constexpr Unit units[] = {
    {"K", 1, 0},     {"degC", 1, 273.15},    {"degF", 5.0 / 9, 459.67 * 5 / 9}, {"Pa", 1, 0}, {"hPa", 100, 0},
    {"m s-1", 1, 0}, {"km h-1", 1 / 3.6, 0}, {"kt", 1852.0 / 3600, 0},          {"%", 1, 0},  {"1", 1, 0},
    {"m", 1, 0},     {"mm", 1e-3, 0}};

double to_si(double value, std::string_view unit, const std::string& where) {
  std::vector<std::string> known;
  for (const Unit& u : units) {
    if (u.name == unit) return u.scale * value + u.offset;
    known.emplace_back(u.name);
  }
  fail(ErrorKind::data, "{}: {}", where, unknown_word("unit", unit, known));
}

Time time_of(std::string_view text, const std::string& where) {
  try {
    return parse_time(text);
  } catch (const Error& error) {
    fail(ErrorKind::data, "{}: {}", where, error.what());
  }
}

std::string variable_of(std::string_view text, const std::string& where) {
  const bool plain = !text.empty() && text.size() <= 32 &&
                     text.find_first_not_of("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_") ==
                         std::string_view::npos;
  if (!plain) fail(ErrorKind::data, "{}: expected a variable's short name such as 2t", where);
  return std::string(text);
}

}  // namespace

std::vector<SensorReport> parse_reports_csv(std::string_view text, const std::string& name) {
  std::vector<SensorReport> reports;
  bool with_unit = false, headed = false;
  for (std::size_t line_number = 1; !text.empty(); ++line_number) {
    const std::size_t end = text.find('\n');
    std::string_view line = text.substr(0, end);
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
    if (line.ends_with('\r')) line.remove_suffix(1);
    if (line.empty()) continue;
    const std::string where = fmt::format("{}:{}", name, line_number);
    if (!headed) {
      with_unit = line == "time,variable,value,unit";
      if (!with_unit && line != "time,variable,value")
        fail(ErrorKind::data, "{}: expected the heading time,variable,value or time,variable,value,unit", where);
      headed = true;
      continue;
    }
    std::array<std::string_view, 4> cells;
    const std::size_t columns = with_unit ? 4 : 3;
    for (std::size_t c = 0; c < columns; ++c) {
      const std::size_t comma = c + 1 < columns ? line.find(',') : line.size();
      if (comma == std::string_view::npos) fail(ErrorKind::data, "{}: expected {} columns", where, columns);
      cells[c] = line.substr(0, comma);
      line.remove_prefix(std::min(comma + 1, line.size()));
    }
    double value = 0;
    const auto [stop, fault] = std::from_chars(cells[2].data(), cells[2].data() + cells[2].size(), value);
    if (fault != std::errc() || stop != cells[2].data() + cells[2].size() || !std::isfinite(value))
      fail(ErrorKind::data, "{}: value: '{}' is not a number", where, cells[2]);
    reports.push_back({time_of(cells[0], where + ": time"), variable_of(cells[1], where + ": variable"),
                       with_unit ? to_si(value, cells[3], where + ": unit") : value});
    if (reports.size() > most_reports) fail(ErrorKind::data, "{}: more than {} reports", where, most_reports);
  }
  if (!headed) fail(ErrorKind::data, "{}: empty; expected the heading time,variable,value", name);
  return reports;
}

std::vector<SensorReport> parse_reports_json(std::string_view text, const std::string& name) {
  const nlohmann::json document = parse_json(text, name, 4);
  const JsonReader body(document, name);
  for (const auto& [key, value] : document.items()) {
    if (key != "reports") fail(ErrorKind::data, "{}: unknown member '{}'; expected 'reports'", name, key);
  }
  static const std::set<std::string> known{"time", "variable", "value", "unit"};
  std::vector<SensorReport> reports;
  for (const auto& item : body.array("reports", most_reports)) {
    const JsonReader report(item, fmt::format("{}: reports[{}]", name, reports.size()));
    for (const auto& [key, value] : item.items()) {
      if (!known.contains(key)) fail(ErrorKind::data, "{}: unknown member", report.name(key));
    }
    const double value = report.number("value", -1e12, 1e12);
    reports.push_back({time_of(report.text("time"), report.name("time")),
                       variable_of(report.text("variable"), report.name("variable")),
                       report.has("unit") ? to_si(value, report.text("unit"), report.name("unit")) : value});
  }
  return reports;
}

}  // namespace zonda::edge
