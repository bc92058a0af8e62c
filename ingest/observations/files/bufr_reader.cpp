#include "ingest/observations/files/bufr_reader.hpp"

#include <fmt/format.h>

#include <chrono>
#include <cmath>
#include <optional>

#include "core/constants.hpp"
#include "core/error.hpp"
#include "core/humidity.hpp"
#include "core/standard_atmosphere.hpp"
#include "ingest/observations/files/bufr_message.hpp"
#include "ingest/observations/wind_components.hpp"

namespace zonda::ingest {
namespace {

using Report = std::vector<BufrValue>;
using enum BufrElement;

/// The first value of an element that is there and not missing.
double first(const Report& report, BufrElement element) {
  for (const BufrValue& value : report)
    if (value.element == element && std::isfinite(value.number)) return value.number;
  return not_known;
}

double first_of(const Report& report, std::initializer_list<BufrElement> elements) {
  for (const BufrElement element : elements)
    if (const double value = first(report, element); std::isfinite(value)) return value;
  return not_known;
}

std::string first_text(const Report& report, BufrElement element) {
  for (const BufrValue& value : report)
    if (value.element == element && !value.text.empty()) return value.text;
  return "";
}

std::string station_id(const Report& report) {
  const double block = first(report, block_number), number = first(report, station_number);
  if (std::isfinite(block) && std::isfinite(number))
    return fmt::format("{:02}{:03}", static_cast<int>(block), static_cast<int>(number));
  for (const BufrElement element : {ship_identifier, registration_number, flight_number, short_station_name})
    if (const std::string text = first_text(report, element); !text.empty()) return text;
  if (const double buoy = first(report, buoy_identifier); std::isfinite(buoy)) return fmt::format("{:.0f}", buoy);
  if (const std::string local = first_text(report, wigos_local); !local.empty()) {
    const auto part = [&](BufrElement element) { return std::max(0.0, std::fmax(0, first(report, element))); };
    return fmt::format("{:.0f}-{:.0f}-{:.0f}-{}", part(wigos_series), part(wigos_issuer), part(wigos_issue), local);
  }
  return "unknown";
}

std::optional<Time> report_time(const Report& report) {
  const double y = first(report, year), m = first(report, month), d = first(report, day), h = first(report, hour);
  const double min = std::fmax(0, first(report, minute)), s = std::fmax(0, first(report, second));
  if (!(y >= 1 && y <= 9999 && m >= 1 && m <= 12 && d >= 1 && d <= 31 && h >= 0 && h <= 24)) return std::nullopt;
  if (!(min < 60 && s < 61)) return std::nullopt;
  const std::chrono::year_month_day date{std::chrono::year(static_cast<int>(y)),
                                         std::chrono::month(static_cast<unsigned>(m)),
                                         std::chrono::day(static_cast<unsigned>(d))};
  if (!date.ok()) return std::nullopt;
  return Time(std::chrono::sys_days(date)) + std::chrono::hours(static_cast<int>(h)) +
         std::chrono::minutes(static_cast<int>(min)) + std::chrono::seconds(static_cast<int>(s));
}

std::optional<ReportKind> kind_of(int category, const Report* report) {
  switch (category) {
    case 0:
      return report != nullptr && !first_text(*report, ship_identifier).empty() &&
                     !std::isfinite(first(*report, block_number))
                 ? ReportKind::ship
                 : ReportKind::synop;
    case 1:
      return ReportKind::ship;
    case 2:
      return ReportKind::temp;
    case 4:
      return ReportKind::aircraft;
    default:
      return std::nullopt;
  }
}

/// Puts the values of one report into a table.
class ReportReader {
 public:
  ReportReader(ObservationTable& table, const Observation& header) : table_(table), header_(header) {}

  std::size_t values() const { return added_; }

  void surface(const Report& report) {
    const double ground = first_of(report, {ground_height, station_height});
    const double barometer = first_of(report, {barometer_height, ground_height, station_height});
    add_surface("sp", first(report, station_pressure), barometer);
    add_surface("msl", first(report, mean_sea_level_pressure), 0);
    add_surface("2t", first_of(report, {temperature_2m, temperature}), ground);
    add_surface("2d", first_of(report, {dew_point_2m, dew_point}), ground);
    const bool ten_metres = std::isfinite(first(report, wind_speed_10m));
    const double direction = first(report, ten_metres ? wind_direction_10m : wind_direction);
    const double speed = first(report, ten_metres ? wind_speed_10m : wind_speed);
    add_wind("10u", "10v", direction, speed, not_known, ground);
    // High stations give the height of a pressure level in place of the pressure at sea level.
    if (const double p = first(report, pressure); std::isfinite(p))
      add("z", first_of(report, {geopotential, geopotential_height}), p, not_known);
  }

  void sounding(const Report& report) {
    Level level;
    const Time launch = header_.time;
    const double at_latitude = header_.latitude, at_longitude = header_.longitude;
    for (const BufrValue& value : report) {
      switch (value.element) {
        case BufrElement::time_period:
          level.next_elapsed = value.number;
          break;
        case BufrElement::pressure:
          flush(level);
          level = {.pressure = value.number, .elapsed = level.next_elapsed};
          header_.time = launch;
          header_.latitude = at_latitude;
          header_.longitude = at_longitude;
          if (std::abs(level.elapsed) < 86400) header_.time += Duration(std::llround(level.elapsed));
          break;
        case latitude_displacement:
          if (std::abs(at_latitude + value.number) <= 90) header_.latitude = at_latitude + value.number;
          break;
        case longitude_displacement:
          if (std::isfinite(value.number)) header_.longitude = turned_longitude(at_longitude + value.number);
          break;
        case geopotential:
        case geopotential_height:
          level.geopotential = value.number;
          break;
        case temperature:
          level.temperature = value.number;
          break;
        case dew_point:
          level.dew_point = value.number;
          break;
        case wind_direction:
          level.direction = value.number;
          break;
        case wind_speed:
          level.speed = value.number;
          break;
        default:
          break;
      }
    }
    flush(level);
  }

  void aircraft(const Report& report) {
    const double altitude = first_of(report, {flight_level, height});
    double p = first(report, pressure);
    if (!std::isfinite(p) && altitude > -1000 && altitude < 20000) p = standard_pressure(altitude);
    add("t", first(report, temperature), p, altitude);
    add_wind("u", "v", first(report, wind_direction), first(report, wind_speed), p, altitude);
  }

 private:
  struct Level {
    double pressure = not_known, elapsed = 0, next_elapsed = 0, geopotential = not_known, temperature = not_known,
           dew_point = not_known, direction = not_known, speed = not_known;
  };

  void flush(const Level& level) {
    add("z", level.geopotential, level.pressure, not_known);
    add("t", level.temperature, level.pressure, not_known);
    double humidity = not_known;
    if (level.dew_point > 100 && level.pressure > 0) {
      const double e = saturation_vapour_pressure(level.dew_point);
      humidity = e < level.pressure ? specific_humidity(e, level.pressure) : not_known;
    }
    add("q", humidity, level.pressure, not_known);
    add_wind("u", "v", level.direction, level.speed, level.pressure, not_known);
  }

  void add_surface(const char* name, double value, double at_height) {
    if (std::isfinite(value)) put(name, value, not_known, at_height, QualityFlag::accepted);
  }

  void add(const char* name, double value, double at_pressure, double at_height) {
    if (!std::isfinite(value)) return;
    const bool placed = at_pressure > 0 && at_pressure < 2e5;
    put(name, value, at_pressure, at_height, placed ? QualityFlag::accepted : QualityFlag::level);
  }

  void add_wind(const char* eastward, const char* northward, double direction, double speed, double at_pressure,
                double at_height) {
    if (!std::isfinite(direction) || !std::isfinite(speed)) return;
    const bool surface = eastward[0] == '1';
    const bool placed = surface || (at_pressure > 0 && at_pressure < 2e5);
    const bool possible = direction >= 0 && direction <= 360 && speed >= 0;
    const QualityFlag flag = !possible ? QualityFlag::bounds : placed ? QualityFlag::accepted : QualityFlag::level;
    const WindComponents wind = wind_components(direction, speed);
    put(eastward, wind.eastward, at_pressure, at_height, flag);
    put(northward, wind.northward, at_pressure, at_height, flag);
  }

  void put(const char* name, double value, double at_pressure, double at_height, QualityFlag flag) {
    Observation entry = header_;
    entry.variable = variable_number(name);
    entry.value = value;
    entry.pressure = at_pressure;
    entry.height = at_height;
    entry.flag = flag;
    table_.add(entry);
    ++added_;
  }

  ObservationTable& table_;
  Observation header_;
  std::size_t added_ = 0;
};

class FileReader {
 public:
  explicit FileReader(const std::string& file) : file_(file) { file_number_ = result_.table.file_number(file); }

  void message(const BufrMessage& message, std::string_view bytes) {
    if (!message.damage.empty()) {
      reject("", QualityFlag::damaged, message.number, 0, "", message.damage);
      return;
    }
    const std::string_view body = bytes.substr(message.offset, message.length);
    DecodedBufr decoded;
    try {
      decoded = inspect_bufr(body);
      if (!kind_of(decoded.category, nullptr)) {
        reject_all(decoded, QualityFlag::unsupported, message.number,
                   fmt::format("data category {} is not read", decoded.category));
        return;
      }
      decoded = decode_bufr(body);
    } catch (const Error& error) {
      if (error.kind() != ErrorKind::data) throw;
      const bool unit = std::string_view(error.what()).find("cannot be converted") != std::string_view::npos;
      reject_all(decoded, unit ? QualityFlag::unit : QualityFlag::damaged, message.number, error.what());
      return;
    }
    for (std::size_t s = 0; s < decoded.reports.size(); ++s)
      report(decoded.reports[s], *kind_of(decoded.category, &decoded.reports[s]), message.number,
             decoded.subsets > 1 ? s + 1 : 0);
  }

  ReadObservations result() && { return std::move(result_); }

 private:
  void report(const Report& report, ReportKind kind, std::size_t number, std::size_t subset) {
    const std::string station = station_id(report);
    Observation header;
    header.station = station;
    header.kind = kind;
    header.source = {file_number_, static_cast<std::uint32_t>(number), static_cast<std::uint32_t>(subset)};
    const double lat = settled_latitude(first(report, latitude)), lon = first(report, longitude);
    if (!is_position(lat, lon)) {
      reject(name(kind), QualityFlag::position, number, subset, station,
             fmt::format("latitude {:g} and longitude {:g}", lat, lon));
      return;
    }
    const auto time = report_time(report);
    if (!time) {
      reject(name(kind), QualityFlag::time, number, subset, station, "no valid date and time");
      return;
    }
    header.latitude = lat;
    header.longitude = turned_longitude(lon);
    header.time = *time;
    ReportReader reader(result_.table, header);
    if (kind == ReportKind::temp) {
      reader.sounding(report);
    } else if (kind == ReportKind::aircraft) {
      reader.aircraft(report);
    } else {
      reader.surface(report);
    }
    if (reader.values() == 0) {
      reject(name(kind), QualityFlag::missing, number, subset, station, "no value of a variable that is read");
      return;
    }
    result_.account.used(file_, name(kind));
  }

  void reject_all(const DecodedBufr& decoded, QualityFlag reason, std::size_t number, const std::string& why) {
    const auto kind = kind_of(decoded.category, nullptr);
    for (std::size_t s = 0; s < std::max<std::size_t>(decoded.subsets, 1); ++s)
      reject(kind ? name(*kind) : "", reason, number, decoded.subsets > 1 ? s + 1 : 0, "", why);
  }

  void reject(std::string_view kind, QualityFlag reason, std::size_t number, std::size_t subset,
              const std::string& station, const std::string& why) {
    std::string text = fmt::format("{}, message {}", file_, number);
    if (subset > 0) text += fmt::format(", subset {}", subset);
    if (!station.empty()) text += ", station " + station;
    result_.account.rejected(file_, kind, reason, text + ": " + why);
  }

  std::string file_;
  std::uint32_t file_number_ = 0;
  ReadObservations result_;
};

}  // namespace

ReadObservations read_bufr(std::string_view bytes, const std::string& file) {
  const std::vector<BufrMessage> messages = scan_bufr(bytes);
  if (messages.empty()) fail(ErrorKind::data, "{}: no BUFR message in this file", file);
  FileReader reader(file);
  for (const BufrMessage& message : messages) reader.message(message, bytes);
  return std::move(reader).result();
}

}  // namespace zonda::ingest
