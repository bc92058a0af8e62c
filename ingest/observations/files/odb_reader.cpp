#include "ingest/observations/files/odb_reader.hpp"

#include <fmt/format.h>

#include <array>
#include <chrono>
#include <cmath>
#include <optional>

#include "core/error.hpp"
#include "core/mapped_file.hpp"
#include "ingest/observations/files/odb2_frames.hpp"

namespace zonda::ingest {
namespace {

struct VariableCode {
  int varno;
  const char* variable;
};
/// varno of ECMWF's ODB governance; 107 is the pressure at the station, 110 that at the surface.
constexpr std::array codes{VariableCode{1, "z"},    VariableCode{2, "t"},    VariableCode{3, "u"},
                           VariableCode{4, "v"},    VariableCode{7, "q"},    VariableCode{29, "r"},
                           VariableCode{39, "2t"},  VariableCode{40, "2d"},  VariableCode{41, "10u"},
                           VariableCode{42, "10v"}, VariableCode{107, "sp"}, VariableCode{108, "msl"},
                           VariableCode{110, "sp"}};

ReportKind kind_of(double obstype) {
  switch (obstype >= 1 && obstype < 8 ? static_cast<int>(obstype) : 0) {
    case 1:
      return ReportKind::synop;
    case 2:
      return ReportKind::aircraft;
    case 3:
    case 7:
      return ReportKind::satellite;
    case 4:
      return ReportKind::ship;
    case 5:
    case 6:
      return ReportKind::temp;
    default:
      return ReportKind::station;
  }
}

enum Column : std::size_t {
  lat,
  lon,
  date,
  time_of_day,
  statid,
  varno,
  obsvalue,
  stalt,
  obstype,
  vertco_type,
  vertco,
  error,
  column_count
};
constexpr std::size_t required_columns = stalt;
constexpr std::array<std::array<const char*, 2>, column_count> column_names{
    {{"lat", "lat"},
     {"lon", "lon"},
     {"date", "date"},
     {"time", "time"},
     {"statid", "statid"},
     {"varno", "varno"},
     {"obsvalue", "obsvalue"},
     {"stalt", "stalt"},
     {"obstype", "obstype"},
     {"vertco_type", "vertco_type"},
     {"vertco_reference_1", "vertco_reference_1"},
     {"final_obs_error", "obs_error"}}};

std::optional<Time> time_of(double yyyymmdd, double hhmmss) {
  if (!(yyyymmdd >= 1e4 && yyyymmdd < 1e8 && hhmmss >= 0 && hhmmss < 240000)) return std::nullopt;
  const auto d = static_cast<unsigned>(yyyymmdd), t = static_cast<unsigned>(hhmmss);
  const std::chrono::year_month_day day{std::chrono::year(static_cast<int>(d / 10000)),
                                        std::chrono::month(d / 100 % 100), std::chrono::day(d % 100)};
  if (!day.ok() || t / 100 % 100 > 59 || t % 100 > 59) return std::nullopt;
  return Time(std::chrono::sys_days(day)) + std::chrono::hours(t / 10000) + std::chrono::minutes(t / 100 % 100) +
         std::chrono::seconds(t % 100);
}

class OdbFile {
 public:
  OdbFile(std::string_view bytes, std::string file) : file_(std::move(file)), frames_(bytes, file_) {
    file_number_ = result_.table.file_number(file_);
  }

  ReadObservations read() && {
    bool any = false;
    for (; frames_.next_frame(); any = true) {
      find_columns();
      while (frames_.next_row()) read_row(++row_);
    }
    if (!any) fail(ErrorKind::data, "{}: no ODB-2 frame in this file", file_);
    return std::move(result_);
  }

 private:
  void find_columns() {
    fields_.fill(std::nullopt);
    for (std::size_t c = 0; c < frames_.columns(); ++c) {
      const std::string_view full = frames_.name(c), name = full.substr(0, full.find('@'));
      for (std::size_t k = 0; k < column_count; ++k)
        if (!fields_[k] && (name == column_names[k][0] || name == column_names[k][1])) fields_[k] = c;
    }
    for (std::size_t k = 0; k < required_columns; ++k)
      if (!fields_[k]) fail(ErrorKind::data, "{}: no column '{}'", file_, column_names[k][0]);
  }

  double number(Column column) const { return fields_[column] ? frames_.number(*fields_[column]) : not_known; }

  std::string text(Column column) const {
    const std::size_t field = *fields_[column];
    return frames_.is_text(field) ? std::string(frames_.text(field)) : fmt::format("{:.0f}", frames_.number(field));
  }

  void read_row(std::size_t number_of_row) {
    Observation entry;
    const std::string station = text(statid);
    entry.station = station;
    entry.kind = kind_of(number(obstype));
    entry.source = {file_number_, static_cast<std::uint32_t>(number_of_row), 0};
    const auto reject = [&](QualityFlag reason, const std::string& why) {
      result_.account.rejected(file_, name(entry.kind), reason,
                               fmt::format("{}, row {}, station {}: {}", file_, number_of_row, station, why));
    };
    const double code = number(varno), latitude = settled_latitude(number(lat)), longitude = number(lon);
    if (!is_position(latitude, longitude))
      return reject(QualityFlag::position, fmt::format("latitude {:g} and longitude {:g}", latitude, longitude));
    const auto time = time_of(number(date), number(time_of_day));
    if (!time) return reject(QualityFlag::time, "no valid date and time");
    const VariableCode* known = nullptr;
    for (const VariableCode& candidate : codes)
      if (candidate.varno == code) known = &candidate;
    if (known == nullptr) return reject(QualityFlag::unsupported, fmt::format("varno {:g} is not read", code));
    entry.value = number(obsvalue);
    if (!std::isfinite(entry.value)) return reject(QualityFlag::missing, "no value");
    entry.variable = variable_number(known->variable);
    entry.latitude = latitude;
    entry.longitude = turned_longitude(longitude);
    entry.height = number(stalt);
    entry.time = *time;
    entry.error = number(error);
    if (variable_table()[entry.variable].level_kind == LevelKind::pressure) {
      const double type = number(vertco_type);
      entry.pressure = !(type > 1) ? number(vertco) : not_known;  // 1: pressure
      if (!(entry.pressure > 0 && entry.pressure < 2e5)) entry.flag = QualityFlag::level;
    }
    result_.table.add(entry);
    result_.account.used(file_, name(entry.kind));
  }

  std::string file_;
  Odb2Frames frames_;
  std::uint32_t file_number_ = 0;
  std::array<std::optional<std::size_t>, column_count> fields_;
  std::size_t row_ = 0;
  ReadObservations result_;
};

}  // namespace

ReadObservations read_odb(std::string_view bytes, const std::string& file) {
  return OdbFile(bytes, file).read();
}

ReadObservations read_odb(const std::filesystem::path& path) {
  const auto file = MappedFile::open(path);
  return read_odb({reinterpret_cast<const char*>(file->bytes().data()), file->bytes().size()}, path.string());
}

}  // namespace zonda::ingest
