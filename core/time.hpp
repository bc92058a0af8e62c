#pragma once
// Time: UTC, proleptic Gregorian, whole seconds.
#include <chrono>
#include <string>
#include <string_view>

namespace zonda {

using Time = std::chrono::sys_seconds;
using Duration = std::chrono::seconds;

/// ISO 8601: `2018-10-06`, `2018-10-06T18`, `2018-10-06T18:00`, `2018-10-06 18:00:00Z`. Throws Error(usage).
Time parse_time(std::string_view text);
/// `2018-10-06T18:00:00Z`
std::string to_string(Time time);
/// `2018100618`, for file names.
std::string compact(Time time);

/// `6h`, `30min`, `10d`, `45s`, or ISO 8601 `PT6H`, `P10D`, `P1DT12H`. Non-negative. Throws Error(usage).
Duration parse_duration(std::string_view text);
/// Shortest exact form: `10d`, `6h`, `90min`, `45s`.
std::string to_string(Duration duration);

/// The meaning of a CF time unit: `hours since 1900-01-01 00:00:0.0`.
struct TimeUnit {
  double seconds_per_unit;
  Time origin;
  /// Rounded to the nearest second.
  Time decode(double value) const;
};
/// Throws Error(data) on an unknown unit, or a calendar other than standard, gregorian or proleptic_gregorian.
TimeUnit parse_time_unit(std::string_view units, std::string_view calendar = "standard");

/// Days since 1 January 00 UTC of the same year, with fraction: 0 <= d < 366.
double day_of_year(Time time);
/// Seconds since midnight UTC: 0 <= s < 86400.
double second_of_day(Time time);
/// Fraction of the tropical-calendar year: day_of_year / (365 or 366).
double year_fraction(Time time);

}  // namespace zonda
