#pragma once
// What the station's own sensors say, as it arrives: CSV files, CSV or JSON over HTTP.
#include <string>
#include <string_view>
#include <vector>

#include "core/time.hpp"

namespace zonda::edge {

struct SensorReport {
  Time time{};
  std::string variable;  ///< short name of what is measured: 2t, msl, 10si, r
  double value = 0;      ///< SI
};

/// What became of reports.
struct ObservationReceipt {
  std::size_t accepted = 0;
  std::vector<std::string> rejected;  ///< a reason each: `2t at 2026-01-10T06:00:00Z: ...`
};

/// A body holds at most this many.
inline constexpr std::size_t most_reports = 100'000;

/// `time,variable,value[,unit]` with that heading; empty lines are passed over. Times are ISO 8601 UTC; units are SI
/// unless given: K, degC, degF, Pa, hPa, m s-1, km h-1, kt, %, 1, m, mm. Throws Error(data) naming line and column.
std::vector<SensorReport> parse_reports_csv(std::string_view text, const std::string& name);
/// `{"reports": [{"time": ..., "variable": ..., "value": ..., "unit": ...}]}`; the same rules, no other members.
std::vector<SensorReport> parse_reports_json(std::string_view text, const std::string& name);

}  // namespace zonda::edge
