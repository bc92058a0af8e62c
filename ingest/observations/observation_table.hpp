#pragma once
// Observations in memory: one entry is one value of one variable at one point and time. Struct of arrays.
#include <array>
#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "core/time.hpp"
#include "core/variables.hpp"
#include "ingest/observations/quality_flag.hpp"

namespace zonda::ingest {

enum class ReportKind : std::uint8_t { synop, ship, temp, aircraft, station, satellite };

std::string_view name(ReportKind kind);
const std::vector<ReportKind>& report_kinds();
/// Throws Error(usage) naming the nearest kind.
ReportKind parse_report_kind(std::string_view text);

/// The number of a variable in variable_table().
using VariableNumber = std::uint16_t;
/// By short name or alias. Throws Error(usage).
VariableNumber variable_number(std::string_view name);

inline constexpr double not_known = std::numeric_limits<double>::quiet_NaN();

/// Where an entry comes from: message (row) and subset of a file, counted from 1; subset 0 where there is none.
struct SourcePosition {
  std::uint32_t file = 0, message = 0, subset = 0;
  friend auto operator<=>(const SourcePosition&, const SourcePosition&) = default;
};

/// One entry, by value.
struct Observation {
  std::string_view station;
  ReportKind kind = ReportKind::station;
  double latitude = not_known, longitude = not_known;  ///< degrees north; degrees east in [0, 360)
  double height = not_known;                           ///< m above mean sea level: of the station or sensor
  double pressure = not_known;                         ///< Pa; not known for values at the surface
  Time time{};
  VariableNumber variable = 0;
  double value = not_known, error = not_known;  ///< SI; the error is a standard deviation
  QualityFlag flag = QualityFlag::accepted;
  SourcePosition source;
};

class ObservationTable {
 public:
  std::size_t size() const { return value.size(); }
  void add(const Observation& observation);
  Observation operator[](std::size_t i) const;
  const Variable& info(std::size_t i) const { return variable_table()[variable[i]]; }
  bool accepted(std::size_t i) const { return flag[i] == QualityFlag::accepted; }
  std::string_view station_name(std::size_t i) const { return stations[station[i]]; }
  /// Marks an accepted entry as rejected; the first reason stays.
  void reject(std::size_t i, QualityFlag reason) {
    if (accepted(i)) flag[i] = reason;
  }
  /// `FILE, message 7, subset 2, station 10033, 2t 372.1 K at 2018-11-02T12:00:00Z`
  std::string describe(std::size_t i) const;

  std::uint32_t station_number(std::string_view name);
  std::uint32_t file_number(std::string_view path);
  /// Entries whose flag is `accepted`, in order.
  std::vector<std::size_t> used() const;
  /// The entries `which`, in that order.
  ObservationTable select(const std::vector<std::size_t>& which) const;
  void append(const ObservationTable& other);

  std::vector<std::string> stations, files;
  std::vector<std::uint32_t> station;
  std::vector<ReportKind> kind;
  std::vector<double> latitude, longitude, height, pressure;
  std::vector<Time> time;
  std::vector<VariableNumber> variable;
  std::vector<double> value, error;
  std::vector<double> background;  ///< H(x_b) where it was computed, else not known
  std::vector<double> analysis;    ///< H(x_a) likewise
  std::vector<double> bias;        ///< taken off `value`, 0 where there is none
  std::vector<QualityFlag> flag;
  std::vector<QualityFlag> given_flag;  ///< the entry came with
  std::vector<SourcePosition> source;

 private:
  /// Of another table's entry, what it did; for the last entry.
  void take_results(const ObservationTable& other, std::size_t i);
  std::unordered_map<std::string, std::uint32_t> station_numbers_;
};

/// Longitude in [0, 360).
double turned_longitude(double degrees_east);
/// A latitude that packing moved just beyond a pole is the pole.
double settled_latitude(double degrees_north);
/// Whether -90 <= latitude <= 90 and |longitude| <= 360.
bool is_position(double latitude, double longitude);

}  // namespace zonda::ingest
