#include "core/time.hpp"

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>
#include <cmath>
#include <optional>

#include "core/error.hpp"

namespace zonda {
namespace {

using std::chrono::days;
using std::chrono::sys_days;

/// A fixed number of decimal digits; advances the text.
std::optional<int> digits(std::string_view& text, std::size_t least, std::size_t most) {
  std::size_t n = 0;
  int value = 0;
  while (n < most && n < text.size() && text[n] >= '0' && text[n] <= '9') value = value * 10 + (text[n++] - '0');
  if (n < least) return std::nullopt;
  text.remove_prefix(n);
  return value;
}

bool take(std::string_view& text, std::string_view any_of) {
  if (text.empty() || any_of.find(text.front()) == std::string_view::npos) return false;
  text.remove_prefix(1);
  return true;
}

/// Before its reform the standard (mixed) calendar is the Julian one, in which e.g. 1-1-1 is two days earlier.
sys_days mixed_calendar_day(std::chrono::year_month_day date) {
  using namespace std::chrono;
  if (date >= year{1582} / October / 15) return sys_days(date);
  // Day number from March on, when leap days come last (Richards 2013, in the Explanatory Supplement, section 15.11).
  const int m = static_cast<int>(static_cast<unsigned>(date.month())),
            d = static_cast<int>(static_cast<unsigned>(date.day()));
  const int back = (14 - m) / 12, y = static_cast<int>(date.year()) + 4800 - back, march = m + 12 * back - 3;
  const int julian_day = d + (153 * march + 2) / 5 + 365 * y + y / 4 - 32083;
  return sys_days(days(julian_day - 2440588));
}

/// Date and optional clock; `strict` wants two digits each, CF origins also write `1900-1-1 0:0:0.0`.
std::optional<Time> scan_time(std::string_view text, bool strict, bool mixed_calendar = false) {
  const std::size_t least = strict ? 2 : 1;
  const auto year = digits(text, strict ? 4 : 1, 4);
  if (!year || !take(text, "-")) return std::nullopt;
  const auto month = digits(text, least, 2);
  if (!month || !take(text, "-")) return std::nullopt;
  const auto day = digits(text, least, 2);
  if (!day) return std::nullopt;
  const std::chrono::year_month_day date{std::chrono::year{*year}, std::chrono::month(static_cast<unsigned>(*month)),
                                         std::chrono::day(static_cast<unsigned>(*day))};
  if (!date.ok()) return std::nullopt;
  int hour = 0, minute = 0, second = 0;
  if (take(text, "T ")) {
    if (!strict) {
      while (take(text, " ")) {
      }
    }
    if (!text.empty() || strict) {
      const auto h = digits(text, least, 2);
      if (!h) return std::nullopt;
      hour = *h;
      if (take(text, ":")) {
        const auto m = digits(text, least, 2);
        if (!m) return std::nullopt;
        minute = *m;
        if (take(text, ":")) {
          const auto s = digits(text, least, 2);
          if (!s) return std::nullopt;
          second = *s;
          if (take(text, ".")) {
            while (!text.empty() && std::isdigit(static_cast<unsigned char>(text.front()))) {
              if (text.front() != '0') return std::nullopt;  // whole seconds only
              text.remove_prefix(1);
            }
          }
        }
      }
      while (!strict && take(text, " ")) {
      }
      if (text == "UTC" || text == "GMT" || text == "+00:00" || text == "+0:00" || text == "00:00") text = {};
      take(text, "Z");
    }
  }
  if (!text.empty() || hour > 23 || minute > 59 || second > 59) return std::nullopt;
  return Time(mixed_calendar ? mixed_calendar_day(date) : sys_days(date)) + std::chrono::hours(hour) +
         std::chrono::minutes(minute) + std::chrono::seconds(second);
}

/// Number of seconds in a unit's name, 0 if unknown.
double unit_seconds(std::string_view name) {
  struct Unit {
    std::string_view name;
    double seconds;
  };
  static constexpr std::array units{
      Unit{"second", 1},  Unit{"sec", 1},   Unit{"s", 1},    Unit{"minute", 60}, Unit{"min", 60},
      Unit{"hour", 3600}, Unit{"hr", 3600}, Unit{"h", 3600}, Unit{"day", 86400}, Unit{"d", 86400},
  };
  std::string lower(name);
  std::transform(lower.begin(), lower.end(), lower.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  for (const Unit& unit : units) {
    if (lower == unit.name || (unit.name.size() > 1 && lower == std::string(unit.name) + "s")) return unit.seconds;
  }
  return 0;
}

}  // namespace

Time parse_time(std::string_view text) {
  if (const auto time = scan_time(text, true)) return *time;
  fail(ErrorKind::usage, "'{}' is not a date; expected ISO 8601 in UTC such as 2018-10-06 or 2018-10-06T18:00:00Z",
       text);
}

std::string to_string(Time time) {
  const auto day = std::chrono::floor<days>(time);
  const std::chrono::year_month_day date{day};
  const std::chrono::hh_mm_ss clock{time - day};
  return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}Z", static_cast<int>(date.year()),
                     static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()), clock.hours().count(),
                     clock.minutes().count(), clock.seconds().count());
}

std::string compact(Time time) {
  const std::string iso = to_string(time);
  std::string text = iso.substr(0, 4) + iso.substr(5, 2) + iso.substr(8, 2) + iso.substr(11, 2);
  if (iso.substr(14, 5) != "00:00") text += iso.substr(14, 2) + iso.substr(17, 2);
  return text;
}

Duration parse_duration(std::string_view text) {
  const auto bad = [&]() -> Duration {
    fail(ErrorKind::usage,
         "'{}' is not a duration; expected a number and a unit such as 6h, 30min, 10d or ISO 8601 such as PT6H", text);
  };
  std::string_view rest = text;
  std::int64_t total = 0;
  const auto number = [&]() -> std::optional<std::int64_t> {
    std::int64_t value = 0;
    const auto [end, error] = std::from_chars(rest.data(), rest.data() + rest.size(), value);
    if (error != std::errc() || value < 0 || value > 1'000'000'000) return std::nullopt;
    rest.remove_prefix(static_cast<std::size_t>(end - rest.data()));
    return value;
  };
  if (take(rest, "P")) {
    bool clock = false, any = false;
    while (!rest.empty()) {
      if (!clock && take(rest, "T")) {
        clock = true;
        any = false;
        continue;
      }
      const auto value = number();
      if (!value || rest.empty()) return bad();
      const char unit = rest.front();
      rest.remove_prefix(1);
      if (!clock && unit == 'D')
        total += *value * 86400;
      else if (!clock && unit == 'W')
        total += *value * 7 * 86400;
      else if (clock && unit == 'H')
        total += *value * 3600;
      else if (clock && unit == 'M')
        total += *value * 60;
      else if (clock && unit == 'S')
        total += *value;
      else
        return bad();
      any = true;
    }
    if (!any) return bad();
    return Duration(total);
  }
  const auto value = number();
  if (!value) return bad();
  std::int64_t unit = 0;
  if (rest == "s")
    unit = 1;
  else if (rest == "min")
    unit = 60;
  else if (rest == "h")
    unit = 3600;
  else if (rest == "d")
    unit = 86400;
  if (unit == 0) return bad();
  return Duration(*value * unit);
}

std::string to_string(Duration duration) {
  const auto s = duration.count();
  if (s != 0 && s % 86400 == 0) return fmt::format("{}d", s / 86400);
  if (s % 3600 == 0) return fmt::format("{}h", s / 3600);
  if (s % 60 == 0) return fmt::format("{}min", s / 60);
  return fmt::format("{}s", s);
}

Time TimeUnit::decode(double value) const {
  const double seconds = value * seconds_per_unit;
  if (!(std::abs(seconds) < 1e13)) fail(ErrorKind::data, "time value {} is out of range", value);
  return origin + Duration(std::llround(seconds));
}

TimeUnit parse_time_unit(std::string_view units, std::string_view calendar) {
  if (!calendar.empty() && calendar != "standard" && calendar != "gregorian" && calendar != "proleptic_gregorian") {
    fail(ErrorKind::data, "calendar '{}' is not supported; expected standard, gregorian or proleptic_gregorian",
         calendar);
  }
  const auto bad = [&]() -> TimeUnit {
    fail(ErrorKind::data, "time unit '{}' is not understood; expected e.g. 'hours since 1900-01-01 00:00:00'", units);
  };
  const std::size_t space = units.find(' ');
  if (space == std::string_view::npos) return bad();
  const double seconds = unit_seconds(units.substr(0, space));
  std::string_view rest = units.substr(space);
  while (take(rest, " ")) {
  }
  if (seconds == 0 || !rest.starts_with("since ")) return bad();
  rest.remove_prefix(6);
  const auto origin = scan_time(rest, false, calendar != "proleptic_gregorian");
  if (!origin) return bad();
  return TimeUnit{seconds, *origin};
}

double day_of_year(Time time) {
  const auto day = std::chrono::floor<days>(time);
  const std::chrono::year_month_day date{day};
  const Time start = sys_days(date.year() / std::chrono::January / 1);
  return static_cast<double>((time - start).count()) / 86400.0;
}

double second_of_day(Time time) {
  return static_cast<double>((time - Time(std::chrono::floor<days>(time))).count());
}

double year_fraction(Time time) {
  const std::chrono::year_month_day date{std::chrono::floor<days>(time)};
  return day_of_year(time) / (date.year().is_leap() ? 366.0 : 365.0);
}

}  // namespace zonda
