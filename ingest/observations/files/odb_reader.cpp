#include "ingest/observations/files/odb_reader.hpp"

#include <fmt/format.h>
#include <odc/api/odc.h>

#include <array>
#include <chrono>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <iostream>
#include <memory>
#include <mutex>
#include <optional>

#include "core/error.hpp"

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
  switch (std::isfinite(obstype) ? static_cast<int>(obstype) : 0) {
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

struct ReaderClose {
  void operator()(odc_reader_t* reader) const { odc_close(reader); }
};
struct FrameFree {
  void operator()(odc_frame_t* frame) const { odc_free_frame(frame); }
};
struct DecoderFree {
  void operator()(odc_decoder_t* decoder) const { odc_free_decoder(decoder); }
};

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
  explicit OdbFile(const std::filesystem::path& path) : file_(path.string()) {
    file_number_ = result_.table.file_number(file_);
    odc_reader_t* reader = nullptr;
    check(odc_open_path(&reader, file_.c_str()), "cannot be opened");
    reader_.reset(reader);
    odc_missing_double(&missing_double_);
    long missing = 0;
    odc_missing_integer(&missing);
    missing_integer_ = static_cast<double>(missing);
  }

  ReadObservations read() && {
    odc_frame_t* raw = nullptr;
    check(odc_new_frame(&raw, reader_.get()), "cannot be read");
    const std::unique_ptr<odc_frame_t, FrameFree> frame(raw);
    constexpr long rows_at_once = 100'000;
    bool any = false;
    for (int status = 0; (status = odc_next_frame_aggregated(frame.get(), rows_at_once)) != ODC_ITERATION_COMPLETE;) {
      check(status, "a frame cannot be read");
      any = true;
      read_frame(frame.get());
    }
    if (!any) fail(ErrorKind::data, "{}: no ODB-2 frame in this file", file_);
    return std::move(result_);
  }

 private:
  struct Field {
    std::size_t offset = 0, bytes = 0;  ///< in a decoded row
    bool text = false;
  };

  void check(int status, const char* what) const {
    if (status != ODC_SUCCESS) fail(ErrorKind::data, "{}: {}: odc says: {}", file_, what, odc_error_string(status));
  }

  void find_columns(const odc_frame_t* frame) {
    int count = 0;
    check(odc_frame_column_count(frame, &count), "columns");
    fields_.fill({});
    std::size_t offset = 0;
    for (int c = 0; c < count; ++c) {
      const char* full_name = nullptr;
      int type = 0, bytes = 0, bits = 0;
      check(odc_frame_column_attributes(frame, c, &full_name, &type, &bytes, &bits), "columns");
      const std::string_view name = std::string_view(full_name).substr(0, std::string_view(full_name).find('@'));
      for (std::size_t k = 0; k < column_count; ++k)
        if (fields_[k].bytes == 0 && (name == column_names[k][0] || name == column_names[k][1]))
          fields_[k] = {offset, static_cast<std::size_t>(bytes), type == ODC_STRING};
      offset += static_cast<std::size_t>(bytes);
    }
    for (std::size_t k = 0; k < required_columns; ++k)
      if (fields_[k].bytes == 0) fail(ErrorKind::data, "{}: no column '{}'", file_, column_names[k][0]);
  }

  void read_frame(odc_frame_t* frame) {
    find_columns(frame);
    odc_decoder_t* raw = nullptr;
    check(odc_new_decoder(&raw), "decoder");
    const std::unique_ptr<odc_decoder_t, DecoderFree> decoder(raw);
    check(odc_decoder_defaults_from_frame(decoder.get(), frame), "decoder");
    long rows = 0;
    check(odc_decode(decoder.get(), frame, &rows), "a frame cannot be decoded");
    const void* data = nullptr;
    long width = 0, height = 0;
    bool column_major = false;
    check(odc_decoder_data_array(decoder.get(), &data, &width, &height, &column_major), "a frame cannot be decoded");
    if (column_major) fail(ErrorKind::failure, "{}: odc gave columns where rows were expected", file_);
    for (long r = 0; r < rows; ++r) read_row(static_cast<const char*>(data) + r * width, ++row_);
  }

  double number(const char* row, Column column) const {
    const Field& field = fields_[column];
    if (field.bytes != sizeof(double) || field.text) return not_known;
    double value = 0;
    std::memcpy(&value, row + field.offset, sizeof(value));
    return value == missing_double_ || value == missing_integer_ ? not_known : value;
  }

  std::string text(const char* row, Column column) const {
    const Field& field = fields_[column];
    if (!field.text) return fmt::format("{:.0f}", number(row, column));
    std::string result(row + field.offset, field.bytes);
    result.resize(std::min(result.find('\0'), result.size()));
    while (!result.empty() && result.back() == ' ') result.pop_back();
    result.erase(0, std::min(result.find_first_not_of(' '), result.size()));
    return result;
  }

  void read_row(const char* row, std::size_t number_of_row) {
    Observation entry;
    const std::string station = text(row, statid);
    entry.station = station;
    entry.kind = kind_of(number(row, obstype));
    entry.source = {file_number_, static_cast<std::uint32_t>(number_of_row), 0};
    const auto reject = [&](QualityFlag reason, const std::string& why) {
      result_.account.rejected(file_, name(entry.kind), reason,
                               fmt::format("{}, row {}, station {}: {}", file_, number_of_row, station, why));
    };
    const double code = number(row, varno), latitude = settled_latitude(number(row, lat)), longitude = number(row, lon);
    if (!is_position(latitude, longitude))
      return reject(QualityFlag::position, fmt::format("latitude {:g} and longitude {:g}", latitude, longitude));
    const auto time = time_of(number(row, date), number(row, time_of_day));
    if (!time) return reject(QualityFlag::time, "no valid date and time");
    const VariableCode* known = nullptr;
    for (const VariableCode& candidate : codes)
      if (candidate.varno == code) known = &candidate;
    if (known == nullptr) return reject(QualityFlag::unsupported, fmt::format("varno {:g} is not read", code));
    entry.value = number(row, obsvalue);
    if (!std::isfinite(entry.value)) return reject(QualityFlag::missing, "no value");
    entry.variable = variable_number(known->variable);
    entry.latitude = latitude;
    entry.longitude = turned_longitude(longitude);
    entry.height = number(row, stalt);
    entry.time = *time;
    entry.error = number(row, error);
    if (variable_table()[entry.variable].level_kind == LevelKind::pressure) {
      const double type = number(row, vertco_type);
      entry.pressure = !(type > 1) ? number(row, vertco) : not_known;  // 1: pressure
      if (!(entry.pressure > 0 && entry.pressure < 2e5)) entry.flag = QualityFlag::level;
    }
    result_.table.add(entry);
    result_.account.used(file_, name(entry.kind));
  }

  std::string file_;
  std::uint32_t file_number_ = 0;
  std::unique_ptr<odc_reader_t, ReaderClose> reader_;
  std::array<Field, column_count> fields_{};
  double missing_double_ = 0, missing_integer_ = 0;
  std::size_t row_ = 0;
  ReadObservations result_;
};

/// odc and eckit tell of their exceptions on std::cout, which is for results: while this lives it is silent.
class QuietOutput {
 public:
  QuietOutput() : before_(std::cout.rdbuf(nullptr)) {}
  ~QuietOutput() {
    std::cout.rdbuf(before_);
    std::cout.clear();
  }
  QuietOutput(const QuietOutput&) = delete;
  QuietOutput& operator=(const QuietOutput&) = delete;

 private:
  std::streambuf* before_;
};

int start_odc() {
  for (const char* setting :
       {"ECKIT_EXCEPTION_IS_SILENT", "ECKIT_ASSERT_FAILED_IS_SILENT", "ECKIT_SERIOUS_BUG_IS_SILENT"})
    ::setenv(setting, "1", 0);
  return odc_initialise_api();
}

}  // namespace

ReadObservations read_odb(const std::filesystem::path& path) {
  static std::mutex mutex;  // the library's settings are global
  const std::lock_guard lock(mutex);
  const QuietOutput quiet;
  static const int started = start_odc();
  if (started != ODC_SUCCESS) fail(ErrorKind::failure, "odc cannot be started: {}", odc_error_string(started));
  return OdbFile(path).read();
}

}  // namespace zonda::ingest
