#include "ingest/observations/files/column_map.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <map>

#include "core/atomic_file.hpp"
#include "core/config/table.hpp"
#include "core/error.hpp"
#include "ingest/observations/wind_components.hpp"
#include "ingest/sources/unit_conversion.hpp"

namespace zonda::ingest {
namespace {

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && text.front() == ' ') text.remove_prefix(1);
  while (!text.empty() && text.back() == ' ') text.remove_suffix(1);
  return text;
}

std::optional<double> number(std::string_view text) {
  text = trimmed(text);
  if (text.starts_with('+')) text.remove_prefix(1);
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || !std::isfinite(value)) return std::nullopt;
  return value;
}

/// By a pattern of %Y %m %d %H %M %S and text that must be there; the rest of the field is free.
std::optional<Time> time_by_pattern(std::string_view text, std::string_view pattern) {
  int year = 0;
  unsigned month = 1, day = 1, hour = 0, minute = 0, second = 0;
  for (std::size_t p = 0; p < pattern.size(); ++p) {
    if (pattern[p] != '%' || p + 1 == pattern.size()) {
      if (!text.starts_with(pattern[p])) return std::nullopt;
      text.remove_prefix(1);
      continue;
    }
    const char field = pattern[++p];
    const std::size_t width = field == 'Y' ? 4 : 2;
    if (text.size() < width) return std::nullopt;
    unsigned value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + width, value);
    if (error != std::errc() || end != text.data() + width) return std::nullopt;
    text.remove_prefix(width);
    switch (field) {
      case 'Y':
        year = static_cast<int>(value);
        break;
      case 'm':
        month = value;
        break;
      case 'd':
        day = value;
        break;
      case 'H':
        hour = value;
        break;
      case 'M':
        minute = value;
        break;
      case 'S':
        second = value;
        break;
      default:
        return std::nullopt;
    }
  }
  const std::chrono::year_month_day date{std::chrono::year(year), std::chrono::month(month), std::chrono::day(day)};
  if (!date.ok() || hour > 24 || minute > 59 || second > 60) return std::nullopt;
  return Time(std::chrono::sys_days(date)) + std::chrono::hours(hour) + std::chrono::minutes(minute) +
         std::chrono::seconds(second);
}

class TimeReader {
 public:
  explicit TimeReader(const std::string& format) : format_(format) {
    if (format.find(" since ") != std::string::npos) unit_ = parse_time_unit(format);
  }
  std::optional<Time> operator()(std::string_view text) const {
    if (unit_) {
      const auto value = number(text);
      return value && std::abs(*value) < 1e15 ? std::optional(unit_->decode(*value)) : std::nullopt;
    }
    if (format_ != "iso") return time_by_pattern(text, format_);
    try {
      return parse_time(text);
    } catch (const Error&) {
      return std::nullopt;
    }
  }

 private:
  std::string format_;
  std::optional<TimeUnit> unit_;
};

struct Place {
  double latitude = not_known, longitude = not_known, height = not_known;
};

class ColumnReader {
 public:
  ColumnReader(const TextTable& rows, const ColumnMap& map, std::string file)
      : rows_(rows),
        map_(map),
        file_(std::move(file)),
        kind_(parse_report_kind(map.kind)),
        read_time_(map.time_format) {
    file_number_ = result_.table.file_number(file_);
    station_ = column(map.station);
    time_ = column(map.time);
    height_ = optional_column(map.height);
    if (map.stations.empty()) {
      latitude_ = column(map.latitude);
      longitude_ = column(map.longitude);
    } else {
      read_stations();
    }
    if (!map.pressure.empty()) {
      pressure_ = column(map.pressure);
      pressure_conversion_ = unit_conversion(map.pressure_unit, "Pa");
    }
    if (map.wind_direction.empty() != map.wind_speed.empty())
      fail(ErrorKind::usage, "wind_direction and wind_speed are given together or not at all");
    if (!map.wind_speed.empty()) {
      direction_ = column(map.wind_direction);
      speed_ = column(map.wind_speed);
      speed_conversion_ = conversion(map.wind_speed_unit, *speed_, "m s-1");
    }
    if (map.values.empty() && !speed_) fail(ErrorKind::usage, "no column of values is named");
    if (map.name_column.empty() != map.value_column.empty())
      fail(ErrorKind::usage, "name_column and value_column are given together or not at all");
    if (!map.name_column.empty()) {
      name_ = column(map.name_column);
      value_ = column(map.value_column);
    }
    for (const ValueColumn& value : map.values) {
      const std::size_t at = name_ ? *value_ : column(value.column);
      const VariableNumber variable = variable_number(value.variable);
      targets_.push_back({at, value.column, variable, conversion(value.unit, at, variable_table()[variable].unit),
                          value.error.value_or(not_known)});
    }
  }

  ReadObservations read() && {
    for (std::size_t r = 0; r < rows_.rows.size(); ++r) row(rows_.rows[r], rows_.first_row + r);
    return std::move(result_);
  }

 private:
  struct Target {
    std::size_t column;
    std::string name;
    VariableNumber variable;
    UnitConversion convert;
    double error;
  };

  std::size_t column(const std::string& name) const {
    if (const auto found = rows_.find(name)) return *found;
    throw Error(ErrorKind::data, file_ + ": " + unknown_word("column", name, rows_.names));
  }
  std::optional<std::size_t> optional_column(const std::string& name) const {
    return name.empty() ? std::nullopt : std::optional(column(name));
  }
  UnitConversion conversion(const std::string& said, std::size_t at, const std::string& target) const {
    const std::string unit = !said.empty() ? said : name_ ? target : rows_.units[at];
    try {
      return unit_conversion(unit.empty() ? target : unit, target);
    } catch (const Error& error) {
      fail(ErrorKind::data, "{}, column '{}': {}", file_, rows_.names[at], error.what());
    }
  }

  void read_stations() {
    const TextTable list = parse_csv(read_file(map_.stations), map_.separator.front(), map_.stations);
    const auto need = [&](const std::string& name) {
      if (const auto found = list.find(name)) return *found;
      throw Error(ErrorKind::data, map_.stations + ": " + unknown_word("column", name, list.names));
    };
    const std::size_t id = need(map_.station), lat = need(map_.latitude), lon = need(map_.longitude);
    const auto height = map_.height.empty() ? std::nullopt : list.find(map_.height);
    for (const auto& fields : list.rows) {
      if (fields.size() != list.names.size()) continue;
      places_[fields[id]] = {number(fields[lat]).value_or(not_known), number(fields[lon]).value_or(not_known),
                             height ? number(fields[*height]).value_or(not_known) : not_known};
    }
  }

  bool missing(std::string_view field) const {
    field = trimmed(field);
    return field.empty() || std::find(map_.missing.begin(), map_.missing.end(), field) != map_.missing.end();
  }

  void reject(QualityFlag reason, std::size_t number, std::string_view station, const std::string& why) {
    std::string text = fmt::format("{}, row {}", file_, number);
    if (!station.empty()) text += fmt::format(", station {}", station);
    result_.account.rejected(file_, name(kind_), reason, text + ": " + why);
  }

  void row(const std::vector<std::string>& fields, std::size_t row_number) {
    if (fields.size() != rows_.names.size()) {
      reject(QualityFlag::damaged, row_number, "",
             fmt::format("{} fields, expected {}", fields.size(), rows_.names.size()));
      return;
    }
    Observation entry;
    entry.station = trimmed(fields[station_]);
    entry.kind = kind_;
    entry.source = {file_number_, static_cast<std::uint32_t>(row_number), 0};
    Place place;
    if (map_.stations.empty()) {
      place = {number(fields[*latitude_]).value_or(not_known), number(fields[*longitude_]).value_or(not_known),
               height_ ? number(fields[*height_]).value_or(not_known) : not_known};
    } else if (const auto found = places_.find(std::string(entry.station)); found != places_.end()) {
      place = found->second;
    }
    if (!is_position(place.latitude, place.longitude)) {
      reject(QualityFlag::position, row_number, entry.station,
             fmt::format("latitude {:g} and longitude {:g}", place.latitude, place.longitude));
      return;
    }
    const auto time = read_time_(trimmed(fields[time_]));
    if (!time) {
      reject(QualityFlag::time, row_number, entry.station, fmt::format("'{}' is no time", fields[time_]));
      return;
    }
    entry.latitude = place.latitude;
    entry.longitude = turned_longitude(place.longitude);
    entry.height = place.height;
    entry.time = *time;
    if (pressure_) {
      if (const auto p = number(fields[*pressure_])) entry.pressure = pressure_conversion_(*p);
      if (!(entry.pressure > 0 && entry.pressure < 2e5)) entry.flag = QualityFlag::level;
    }
    const std::size_t before = result_.table.size();
    bool known_name = !name_;
    for (const Target& target : targets_) {
      if (name_ && fields[*name_] != target.name) continue;
      known_name = true;
      value(entry, fields[target.column], target);
    }
    if (speed_) wind(entry, fields[*direction_], fields[*speed_]);
    if (!known_name) {
      reject(QualityFlag::unsupported, row_number, entry.station,
             fmt::format("'{}' is no value that is asked for", fields[*name_]));
    } else if (result_.table.size() == before) {
      reject(QualityFlag::missing, row_number, entry.station, "no value");
    } else {
      result_.account.used(file_, name(kind_));
    }
  }

  void value(Observation entry, const std::string& field, const Target& target) {
    if (missing(field)) return;
    entry.variable = target.variable;
    entry.error = target.error;
    if (variable_table()[target.variable].level_kind == LevelKind::pressure && !pressure_)
      entry.flag = QualityFlag::level;
    if (const auto read = number(field)) {
      entry.value = target.convert(*read);
    } else {
      entry.flag = QualityFlag::damaged;
      result_.account.complain(QualityFlag::damaged,
                               fmt::format("{}, row {}, station {}, {}: '{}' is no number", file_, entry.source.message,
                                           entry.station, target.name, field));
    }
    result_.table.add(entry);
  }

  void wind(Observation entry, const std::string& direction_field, const std::string& speed_field) {
    if (missing(direction_field) || missing(speed_field)) return;
    const auto direction = number(direction_field), speed = number(speed_field);
    WindComponents components{not_known, not_known};
    if (!direction || !speed) {
      entry.flag = QualityFlag::damaged;
      result_.account.complain(QualityFlag::damaged,
                               fmt::format("{}, row {}, station {}, wind: '{}' and '{}' are no numbers", file_,
                                           entry.source.message, entry.station, direction_field, speed_field));
    } else {
      const double metres_per_second = speed_conversion_(*speed);
      components = wind_components(*direction, metres_per_second);
      if (!(*direction >= 0 && *direction <= 360 && metres_per_second >= 0)) entry.flag = QualityFlag::bounds;
    }
    entry.variable = variable_number(pressure_ ? "u" : "10u");
    entry.value = components.eastward;
    result_.table.add(entry);
    entry.variable = variable_number(pressure_ ? "v" : "10v");
    entry.value = components.northward;
    result_.table.add(entry);
  }

  const TextTable& rows_;
  const ColumnMap& map_;
  std::string file_;
  std::uint32_t file_number_ = 0;
  ReportKind kind_;
  TimeReader read_time_;
  std::size_t station_ = 0, time_ = 0;
  std::optional<std::size_t> latitude_, longitude_, height_, pressure_, direction_, speed_, name_, value_;
  UnitConversion pressure_conversion_, speed_conversion_;
  std::map<std::string, Place> places_;
  std::vector<Target> targets_;
  ReadObservations result_;
};

}  // namespace

void describe(config::Table& table, ValueColumn& c) {
  table.key("column", c.column, "Column of the value, or the name found in `name_column`").required();
  table.key("variable", c.variable, "Short name: 2t, 2d, 10u, 10v, sp, msl, t, q, u, v, z").required();
  table.key("unit", c.unit, "Unit of the column; default: as the file says, else SI");
  table.key("error", c.error, "Standard deviation of the observation error, SI").range(0, 1e6);
}

void describe(config::Table& table, ColumnMap& c) {
  std::vector<std::string> kinds;
  for (const ReportKind kind : report_kinds()) kinds.emplace_back(name(kind));
  table.key("kind", c.kind, "Kind of report").one_of(kinds);
  table.key("station", c.station, "Column of the station's name");
  table.key("latitude", c.latitude, "Column of the latitude, degrees north");
  table.key("longitude", c.longitude, "Column of the longitude, degrees east");
  table.key("height", c.height, "Column of the height, m above sea level");
  table.key("pressure", c.pressure, "Column of the pressure of upper-air values");
  table.key("pressure_unit", c.pressure_unit, "Its unit");
  table.key("time", c.time, "Column of the time, UTC");
  table.key("time_format", c.time_format,
            "iso, a CF unit such as `seconds since 1970-01-01`, or a pattern of %Y %m %d %H %M %S");
  table.key("wind_direction", c.wind_direction, "Column of the direction that the wind comes from, degrees");
  table.key("wind_speed", c.wind_speed, "Column of the wind speed");
  table.key("wind_speed_unit", c.wind_speed_unit, "Its unit; default: as the file says, else m s-1");
  table.key("name_column", c.name_column, "Where a row holds one value: column of its name");
  table.key("value_column", c.value_column, "Where a row holds one value: its column");
  table.list("values", c.values, "Columns of values");
  table.key("missing", c.missing, "Fields that mean a missing value, besides the empty one");
  table.key("separator", c.separator, "Between the fields of a CSV file");
  table.key("stations", c.stations, "CSV file with the stations' places, columns named as here");
  table.check("separator", [&c] { return c.separator.size() == 1 ? "" : "expected one character"; });
}

ReadObservations read_columns(const TextTable& rows, const ColumnMap& map, const std::string& file) {
  return ColumnReader(rows, map, file).read();
}

ReadObservations read_csv(const std::filesystem::path& path, const ColumnMap& map) {
  if (map.separator.size() != 1) fail(ErrorKind::usage, "separator '{}', expected one character", map.separator);
  return read_columns(parse_csv(read_file(path), map.separator.front(), path.string()), map, path.string());
}

}  // namespace zonda::ingest
