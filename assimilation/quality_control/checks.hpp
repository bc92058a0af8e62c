#pragma once
// Checks that need no model: each marks accepted entries of a table with the reason why they are not used.
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "core/grid.hpp"
#include "ingest/observations/observation_table.hpp"

namespace zonda::config {
class Table;
}

namespace zonda::assimilation {

struct ValueLimit {
  std::string variable;
  double minimum = 0, maximum = 0;  ///< SI
};
void describe(config::Table& table, ValueLimit& limit);

/// What can be observed on earth: tighter than the physical ranges of fields where observations are known better (2 m
/// temperature after the WMO archive of weather extremes, -89.2 and 56.7 C, with a margin).
const std::vector<ValueLimit>& standard_limits();

/// Flags `bounds`. `own` limits come before the standard ones and the variable's physical range. A value that is not
/// finite is out of bounds. A wind component takes its partner with it.
void check_limits(ingest::ObservationTable& table, const std::vector<ValueLimit>& own = {});

/// Flags `window` unless first <= time <= last.
void check_window(ingest::ObservationTable& table, Time first, Time last);
/// Flags `domain` outside north, south, west, east (degrees; west > east crosses the meridian).
void check_area(ingest::ObservationTable& table, double north, double south, double west, double east);

/// Flags `duplicate`: the same station, kind, variable, time, place (to 0.01 degrees), pressure and height as an
/// earlier accepted entry. Stations called `unknown` are told apart by their place.
void check_duplicates(ingest::ObservationTable& table);

/// One line of a blacklist: what is not used, from and until when.
struct BlacklistRule {
  std::string station;   ///< `*`: every one
  std::string variable;  ///< "": every one
  std::optional<Time> first, last;
};
/// Lines `STATION [VARIABLE [FIRST [LAST]]]`, `*` for any, `#` begins a comment. Throws Error(data) naming file and
/// line.
std::vector<BlacklistRule> read_blacklist(const std::filesystem::path& path);
/// Flags `blacklisted`.
void apply_blacklist(ingest::ObservationTable& table, const std::vector<BlacklistRule>& rules);

/// Flags `track`: positions of one moving platform (aircraft, ships) that no speed up to `fastest` (m/s) joins to those
/// before and after. Times are taken as exact to a minute. Of a bad pair that goes whose removal mends more.
void check_tracks(ingest::ObservationTable& table, ingest::ReportKind kind, double fastest);

/// Rejects the partner of each rejected wind component of the same report and level, for the same reason.
void reject_wind_partners(ingest::ObservationTable& table);

}  // namespace zonda::assimilation
