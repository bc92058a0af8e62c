#include "assimilation/quality_control/checks.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <map>
#include <sstream>
#include <tuple>
#include <unordered_map>

#include "assimilation/interfaces/position.hpp"
#include "core/atomic_file.hpp"
#include "core/config/table.hpp"
#include "core/error.hpp"

namespace zonda::assimilation {

using ingest::ObservationTable;
using ingest::QualityFlag;

namespace {

std::uint64_t bits(double value) {
  std::uint64_t made = 0;
  if (std::isnan(value)) return ~made;
  std::memcpy(&made, &value, sizeof(made));
  return made;
}

}  // namespace

void describe(config::Table& table, ValueLimit& c) {
  table.key("variable", c.variable, "Short name").required();
  table.key("minimum", c.minimum, "Least value, SI").required();
  table.key("maximum", c.maximum, "Greatest value, SI").required();
}

const std::vector<ValueLimit>& standard_limits() {
  static const std::vector<ValueLimit> limits{{"2t", 180, 335},   {"2d", 150, 310},       {"t", 150, 335},
                                              {"q", 0, 0.04},     {"r", 0, 105},          {"u", -150, 150},
                                              {"v", -150, 150},   {"10u", -90, 90},       {"10v", -90, 90},
                                              {"sp", 3e4, 1.1e5}, {"msl", 8.7e4, 1.09e5}, {"z", -5000, 5.5e5}};
  return limits;
}

void check_limits(ObservationTable& table, const std::vector<ValueLimit>& own) {
  const auto variables = variable_table();
  std::vector<std::pair<double, double>> limits;
  for (const Variable& variable : variables) limits.emplace_back(variable.valid_min, variable.valid_max);
  for (const auto* list : {&standard_limits(), &own})
    for (const ValueLimit& limit : *list)
      limits[ingest::variable_number(limit.variable)] = {limit.minimum, limit.maximum};
  for (std::size_t i = 0; i < table.size(); ++i) {
    const auto [least, greatest] = limits[table.variable[i]];
    if (!(table.value[i] >= least && table.value[i] <= greatest)) table.reject(i, QualityFlag::bounds);
  }
  reject_wind_partners(table);
}

void check_window(ObservationTable& table, Time first, Time last) {
  for (std::size_t i = 0; i < table.size(); ++i)
    if (table.time[i] < first || table.time[i] > last) table.reject(i, QualityFlag::window);
}

void check_area(ObservationTable& table, double north, double south, double west, double east) {
  const bool whole_circle = east - west >= 360;
  const double width = ingest::turned_longitude(east - west);
  for (std::size_t i = 0; i < table.size(); ++i) {
    const bool in_rows = table.latitude[i] <= north && table.latitude[i] >= south;
    const bool in_columns = whole_circle || ingest::turned_longitude(table.longitude[i] - west) <= width;
    if (!in_rows || !in_columns) table.reject(i, QualityFlag::domain);
  }
}

void check_duplicates(ObservationTable& table) {
  using Key = std::tuple<std::uint32_t, int, int, std::int64_t, long, long, std::uint64_t, std::uint64_t>;
  std::map<Key, std::size_t> seen;
  for (std::size_t i = 0; i < table.size(); ++i) {
    if (!table.accepted(i)) continue;
    const Key key{table.station[i],
                  static_cast<int>(table.kind[i]),
                  table.variable[i],
                  table.time[i].time_since_epoch().count(),
                  std::lround(100 * table.latitude[i]),
                  std::lround(100 * table.longitude[i]) % 36000,
                  bits(table.pressure[i]),
                  bits(table.height[i])};
    if (!seen.emplace(key, i).second) table.reject(i, QualityFlag::duplicate);
  }
}

std::vector<BlacklistRule> read_blacklist(const std::filesystem::path& path) {
  std::istringstream text(read_file(path));
  std::vector<BlacklistRule> rules;
  std::string line;
  for (std::size_t number = 1; std::getline(text, line); ++number) {
    std::istringstream words(line.substr(0, line.find('#')));
    std::vector<std::string> fields;
    for (std::string word; words >> word;) fields.push_back(word);
    if (fields.empty()) continue;
    try {
      if (fields.size() > 4) fail(ErrorKind::usage, "expected STATION [VARIABLE [FIRST [LAST]]]");
      BlacklistRule rule{fields[0], "", {}, {}};
      if (fields.size() > 1 && fields[1] != "*") rule.variable = variable(fields[1]).short_name;
      if (fields.size() > 2 && fields[2] != "*") rule.first = parse_time(fields[2]);
      if (fields.size() > 3 && fields[3] != "*") rule.last = parse_time(fields[3]);
      rules.push_back(std::move(rule));
    } catch (const Error& error) {
      fail(ErrorKind::data, "{}, line {}: {}", path.string(), number, error.what());
    }
  }
  return rules;
}

void apply_blacklist(ObservationTable& table, const std::vector<BlacklistRule>& rules) {
  std::unordered_map<std::string_view, std::vector<const BlacklistRule*>> of_station;
  for (const BlacklistRule& rule : rules) of_station[rule.station].push_back(&rule);
  for (std::size_t i = 0; i < table.size(); ++i)
    for (const std::string_view station : {table.station_name(i), std::string_view("*")})
      if (const auto found = of_station.find(station); found != of_station.end())
        for (const BlacklistRule* rule : found->second)
          if ((rule->variable.empty() || rule->variable == table.info(i).short_name) &&
              (!rule->first || table.time[i] >= *rule->first) && (!rule->last || table.time[i] <= *rule->last))
            table.reject(i, QualityFlag::blacklisted);
}

namespace {

/// A place that a platform reported.
struct Fix {
  Time time;
  Position at;
  std::vector<std::size_t> entries;
};

bool too_fast(const Fix& a, const Fix& b, double fastest) {
  constexpr double clock = 60, place = 2000;  // s, m: what times and positions are reported to
  const double seconds = std::abs(static_cast<double>((b.time - a.time).count())) + clock;
  return SphereMetric().distance(a.at, b.at) - place > fastest * seconds;
}

std::size_t bad_steps(const std::vector<Fix>& track, double fastest) {
  std::size_t count = 0;
  for (std::size_t k = 1; k < track.size(); ++k) count += too_fast(track[k - 1], track[k], fastest) ? 1 : 0;
  return count;
}

/// Removes fixes until every step is possible; true where one was removed.
void mend(std::vector<Fix>& track, double fastest, ObservationTable& table) {
  while (track.size() > 1) {
    std::size_t worst = track.size(), left = bad_steps(track, fastest);
    if (left == 0) return;
    // Removing a fix touches its two steps alone; the later of equals goes.
    std::size_t fewest = left + 1;
    for (std::size_t k = 0; k < track.size(); ++k) {
      std::size_t count = left;
      if (k > 0) count -= too_fast(track[k - 1], track[k], fastest) ? 1 : 0;
      if (k + 1 < track.size()) count -= too_fast(track[k], track[k + 1], fastest) ? 1 : 0;
      if (k > 0 && k + 1 < track.size()) count += too_fast(track[k - 1], track[k + 1], fastest) ? 1 : 0;
      if (count <= fewest) {
        fewest = count;
        worst = k;
      }
    }
    for (const std::size_t i : track[worst].entries) table.reject(i, QualityFlag::track);
    track.erase(track.begin() + static_cast<std::ptrdiff_t>(worst));
  }
}

}  // namespace

void check_tracks(ObservationTable& table, ingest::ReportKind kind, double fastest) {
  std::map<std::uint32_t, std::vector<Fix>> tracks;
  for (std::size_t i = 0; i < table.size(); ++i) {
    if (!table.accepted(i) || table.kind[i] != kind || table.station_name(i) == "unknown") continue;
    std::vector<Fix>& track = tracks[table.station[i]];
    const Position at{table.longitude[i], table.latitude[i], 0};
    if (track.empty() || track.back().time != table.time[i] || !(track.back().at == at))
      track.push_back({table.time[i], at, {}});
    track.back().entries.push_back(i);
  }
  for (auto& [station, track] : tracks) {
    std::stable_sort(track.begin(), track.end(), [](const Fix& a, const Fix& b) { return a.time < b.time; });
    mend(track, fastest, table);
  }
}

void reject_wind_partners(ObservationTable& table) {
  // Readers put the two components of a wind beside each other.
  for (std::size_t i = 0; i + 1 < table.size(); ++i) {
    if (table.info(i).vector_partner != table.info(i + 1).short_name || table.source[i] != table.source[i + 1] ||
        table.station[i] != table.station[i + 1] || bits(table.pressure[i]) != bits(table.pressure[i + 1]))
      continue;
    if (!table.accepted(i)) table.reject(i + 1, table.flag[i]);
    if (!table.accepted(i + 1)) table.reject(i, table.flag[i + 1]);
  }
}

}  // namespace zonda::assimilation
