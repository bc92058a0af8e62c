#include "ingest/sources/grib_field.hpp"

#include <eccodes.h>
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <limits>
#include <memory>

#include "core/constants.hpp"
#include "core/error.hpp"
#include "core/grid.hpp"
#include "ingest/sources/eccodes_library.hpp"

namespace zonda::ingest {
namespace {

constexpr std::size_t most_points = 200'000'000;
constexpr double missing = 9.87654321e35;

class Handle {
 public:
  explicit Handle(std::span<const std::byte> message)
      : handle_(codes_handle_new_from_message(nullptr, message.data(), message.size())) {
    if (handle_ == nullptr) fail(ErrorKind::data, "ecCodes cannot decode it");
  }
  ~Handle() { codes_handle_delete(handle_); }
  Handle(const Handle&) = delete;
  Handle& operator=(const Handle&) = delete;
  codes_handle* get() const { return handle_; }

  std::string text(const char* key) const {
    char buffer[256] = {};
    std::size_t length = sizeof(buffer);
    return codes_get_string(handle_, key, buffer, &length) == CODES_SUCCESS ? std::string(buffer) : std::string();
  }
  long integer(const char* key, long otherwise) const {
    long value = 0;
    return codes_get_long(handle_, key, &value) == CODES_SUCCESS ? value : otherwise;
  }
  long integer(const char* key) const {
    long value = 0;
    check(codes_get_long(handle_, key, &value), key);
    return value;
  }
  double real(const char* key) const {
    double value = 0;
    check(codes_get_double(handle_, key, &value), key);
    return value;
  }
  std::vector<double> reals(const char* key) const {
    std::size_t n = 0;
    check(codes_get_size(handle_, key, &n), key);
    if (n > most_points) fail(ErrorKind::data, "{} values of '{}'", n, key);
    std::vector<double> values(n);
    check(codes_get_double_array(handle_, key, values.data(), &n), key);
    values.resize(n);
    return values;
  }
  static void check(int status, const char* key) {
    if (status != CODES_SUCCESS) fail(ErrorKind::data, "'{}': {}", key, codes_get_error_message(status));
  }

 private:
  codes_handle* handle_;
};

Time reference_time(const Handle& handle) {
  const long date = handle.integer("dataDate"), clock = handle.integer("dataTime");
  const std::chrono::year_month_day day{std::chrono::year(static_cast<int>(date / 10000)),
                                        std::chrono::month(static_cast<unsigned>(date / 100 % 100)),
                                        std::chrono::day(static_cast<unsigned>(date % 100))};
  if (date < 0 || clock < 0 || !day.ok() || clock > 2359 || clock % 100 > 59)
    fail(ErrorKind::data, "date {} and time {:04} are not valid", date, clock);
  return Time(std::chrono::sys_days(day)) + std::chrono::hours(clock / 100) + std::chrono::minutes(clock % 100);
}

/// Steps in the finest unit that ecCodes can give for this message.
void read_steps(const Handle& handle, GribDescription& field) {
  struct Unit {
    long code;
    long seconds;
  };
  // Code table 4.4: 13 seconds, 0 minutes, 1 hours.
  for (const Unit unit : {Unit{13, 1}, Unit{0, 60}, Unit{1, 3600}}) {
    if (codes_set_long(handle.get(), "stepUnits", unit.code) != CODES_SUCCESS) continue;
    long start = 0, end = 0;
    if (codes_get_long(handle.get(), "startStep", &start) != CODES_SUCCESS) continue;
    if (codes_get_long(handle.get(), "endStep", &end) != CODES_SUCCESS) continue;
    constexpr long most = 1'000'000'000;
    if (std::abs(start) > most || std::abs(end) > most) continue;
    field.start = Duration(start * unit.seconds);
    field.end = Duration(end * unit.seconds);
    return;
  }
  fail(ErrorKind::data, "its step range cannot be read");
}

/// `count` values from `first` on, in equal steps.
std::vector<double> ruler(double first, double step, std::size_t count) {
  std::vector<double> values(count);
  for (std::size_t i = 0; i < count; ++i) values[i] = first + step * static_cast<double>(i);
  return values;
}

void read_geometry(const Handle& handle, GribGeometry& geometry) {
  geometry.grid_type = handle.text("gridType");
  const bool regular = geometry.grid_type == "regular_ll", gaussian = geometry.grid_type == "regular_gg";
  if (!regular && !gaussian) return;
  const long columns = handle.integer("Ni", 0), rows = handle.integer("Nj", 0);
  if (columns < 1 || rows < 1 || columns > 200'000 || rows > 200'000 ||
      static_cast<std::size_t>(columns) * static_cast<std::size_t>(rows) > most_points) {
    fail(ErrorKind::data, "a grid of {} columns and {} rows", columns, rows);
  }
  geometry.columns = static_cast<std::size_t>(columns);
  geometry.rows = static_cast<std::size_t>(rows);
  geometry.columns_first = handle.integer("jPointsAreConsecutive", 0) != 0;
  geometry.alternating = handle.integer("alternativeRowScanning", 0) != 0;
  const double north = handle.real("latitudeOfFirstGridPointInDegrees");
  const double south = handle.real("latitudeOfLastGridPointInDegrees");
  if (gaussian) {
    // The rows of a global Gaussian grid follow from their number.
    const long parallels = handle.integer("N");
    if (parallels < 1 || 2 * parallels != rows)
      fail(ErrorKind::data, "{} rows of a Gaussian grid of number {}; only global ones are read", rows, parallels);
    if (rows > 20'000) fail(ErrorKind::data, "a Gaussian grid of {} rows", rows);
    std::vector<double> sines, weights;
    gauss_legendre(geometry.rows, sines, weights);
    for (const double sine : sines) geometry.latitudes.push_back(std::asin(sine) * (180 / constants::pi));
    if (north < south) std::reverse(geometry.latitudes.begin(), geometry.latitudes.end());
  } else {
    geometry.latitudes = ruler(north, rows > 1 ? (south - north) / static_cast<double>(rows - 1) : 0, geometry.rows);
  }
  const double west = handle.real("longitudeOfFirstGridPointInDegrees");
  const double east = handle.real("longitudeOfLastGridPointInDegrees");
  const bool westward = handle.integer("iScansNegatively", 0) != 0;
  double span = std::fmod(westward ? west - east : east - west, 360.0);
  if (span < 0) span += 360;
  if (span < 1e-6 && columns > 1) span = 360;  // both ends named: the cyclic column is given twice
  const double step = columns > 1 ? span / static_cast<double>(columns - 1) : 0;
  geometry.longitudes = ruler(west, westward ? -step : step, geometry.columns);
}

}  // namespace

GribDescription describe_grib_field(std::span<const std::byte> message) {
  const auto lock = use_eccodes();
  const Handle handle(message);
  GribDescription field;
  field.short_name = handle.text("shortName");
  field.unit = handle.text("units");
  field.level_type = handle.text("typeOfLevel");
  field.step_type = handle.text("stepType");
  field.data_type = handle.text("dataType");
  field.parameter = handle.integer("paramId", 0);
  if (handle.integer("editionNumber") == 2) {
    field.discipline = handle.integer("discipline", -1);
    field.category = handle.integer("parameterCategory", -1);
    field.number = handle.integer("parameterNumber", -1);
  }
  double level = 0;
  if (codes_get_double(handle.get(), "level", &level) == CODES_SUCCESS && std::isfinite(level)) field.level = level;
  field.reference_time = reference_time(handle);
  read_steps(handle, field);
  const bool perturbed = field.data_type == "pf" || field.data_type == "cf";
  if (perturbed || handle.integer("numberOfForecastsInEnsemble", 0) > 0) {
    const long number = handle.integer("number", handle.integer("perturbationNumber", -1));
    if (number >= 0) field.member = static_cast<int>(number);
  }
  read_geometry(handle, field.geometry);
  return field;
}

namespace {

/// The library reads as many bits as the headers promise, past the message's end if need be.
void check_data_section(const Handle& handle, std::size_t message_bytes, long points) {
  const bool first_edition = handle.integer("edition") == 1;
  const long header = first_edition ? 11 : 5,
             section = handle.integer(first_edition ? "section4Length" : "section7Length", 0);
  const double bytes = std::min(static_cast<double>(section - header), static_cast<double>(message_bytes)),
               bits = static_cast<double>(handle.integer("bitsPerValue", 0)),
               coded = static_cast<double>(handle.integer("numberOfCodedValues", points));
  if (handle.text("packingType").starts_with("grid_simple") && bits * coded > 8 * std::max(bytes, 0.0))
    fail(ErrorKind::data, "{} values of {} bits, the data section has {} bytes", coded, bits, std::max(bytes, 0.0));
}

}  // namespace

std::vector<double> decode_grib_field(std::span<const std::byte> message) {
  const auto lock = use_eccodes();
  const Handle handle(message);
  const long columns = handle.integer("Ni", 0), rows = handle.integer("Nj", 0),
             points = handle.integer("numberOfDataPoints");
  if (points < 0 || static_cast<std::size_t>(points) > most_points || columns < 1 || rows < 1 || columns > points ||
      rows > points || columns * rows != points) {
    fail(ErrorKind::data, "{} points for {} columns and {} rows", points, columns, rows);
  }
  check_data_section(handle, message.size(), points);
  Handle::check(codes_set_double(handle.get(), "missingValue", missing), "missingValue");
  std::vector<double> values = handle.reals("values");
  if (values.size() != static_cast<std::size_t>(points))
    fail(ErrorKind::data, "{} values for {} points", values.size(), points);
  for (double& value : values) {
    if (value == missing) value = std::numeric_limits<double>::quiet_NaN();
  }
  return values;
}

void unscan_grib_field(const GribGeometry& geometry, std::vector<double>& values) {
  const std::size_t rows = geometry.rows, columns = geometry.columns;
  const std::size_t outer = geometry.columns_first ? columns : rows, inner = geometry.columns_first ? rows : columns;
  if (geometry.alternating) {
    for (std::size_t o = 1; o < outer; o += 2) {
      const auto begin = values.begin() + static_cast<std::ptrdiff_t>(o * inner);
      std::reverse(begin, begin + static_cast<std::ptrdiff_t>(inner));
    }
  }
  if (!geometry.columns_first) return;
  std::vector<double> turned(values.size());
  for (std::size_t j = 0; j < columns; ++j) {
    for (std::size_t i = 0; i < rows; ++i) turned[i * columns + j] = values[j * rows + i];
  }
  values = std::move(turned);
}

}  // namespace zonda::ingest
