#include "ingest/sources/cf_axes.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <sstream>

#include "core/error.hpp"
#include "ingest/sources/unit_conversion.hpp"

namespace zonda::ingest {
namespace {

constexpr std::size_t most_coordinate_values = 20'000'000;

template <std::size_t N>
bool among(std::string_view text, const std::array<std::string_view, N>& words) {
  return std::find(words.begin(), words.end(), text) != words.end();
}

constexpr std::array<std::string_view, 6> north{"degrees_north", "degree_north", "degrees_N",
                                                "degree_N",      "degreesN",     "degreeN"};
constexpr std::array<std::string_view, 6> east{"degrees_east", "degree_east", "degrees_E",
                                               "degree_E",     "degreesE",    "degreeE"};

CfAxis axis_by_standard_name(std::string_view name) {
  if (name == "latitude") return CfAxis::latitude;
  if (name == "longitude") return CfAxis::longitude;
  if (name == "air_pressure") return CfAxis::pressure;
  if (name == "time") return CfAxis::time;
  if (name == "forecast_reference_time") return CfAxis::reference_time;
  if (name == "forecast_period") return CfAxis::lead;
  if (name == "realization") return CfAxis::member;
  if (name == "height") return CfAxis::height;
  return CfAxis::none;
}

CfAxis axis_by_name(std::string_view name) {
  static constexpr std::array<std::string_view, 4> latitude{"lat", "latitude", "Latitude", "nav_lat"};
  static constexpr std::array<std::string_view, 4> longitude{"lon", "longitude", "Longitude", "nav_lon"};
  static constexpr std::array<std::string_view, 9> pressure{
      "level", "lev", "plev", "isobaricInhPa", "pressure", "isobaric", "pressure_level", "pfull", "isobaricInPa"};
  static constexpr std::array<std::string_view, 3> time{"time", "valid_time", "Time"};
  static constexpr std::array<std::string_view, 6> reference{
      "forecast_reference_time", "reference_time", "init_time", "initial_time", "reftime", "forecast_initial_time"};
  static constexpr std::array<std::string_view, 7> lead{
      "step", "lead_time", "leadtime", "prediction_timedelta", "lead", "forecast_hour", "forecast_period"};
  static constexpr std::array<std::string_view, 6> member{"member",   "number", "realization",
                                                          "ensemble", "ens",    "ensemble_member"};
  static constexpr std::array<std::string_view, 3> height{"height", "heightAboveGround", "height_above_ground"};
  if (among(name, latitude)) return CfAxis::latitude;
  if (among(name, longitude)) return CfAxis::longitude;
  if (among(name, pressure)) return CfAxis::pressure;
  if (among(name, time)) return CfAxis::time;
  if (among(name, reference)) return CfAxis::reference_time;
  if (among(name, lead)) return CfAxis::lead;
  if (among(name, member)) return CfAxis::member;
  if (among(name, height)) return CfAxis::height;
  return CfAxis::none;
}

/// `nanoseconds since ...`: xarray's units below core/time's seconds.
TimeUnit time_unit(const std::string& units, const std::string& calendar) {
  struct Small {
    std::string_view name;
    double seconds;
  };
  for (const Small& small : {Small{"nanoseconds ", 1e-9}, Small{"microseconds ", 1e-6}, Small{"milliseconds ", 1e-3}}) {
    if (units.starts_with(small.name)) {
      TimeUnit unit = parse_time_unit("seconds " + units.substr(small.name.size()), calendar);
      unit.seconds_per_unit *= small.seconds;
      return unit;
    }
  }
  return parse_time_unit(units, calendar);
}

/// The length that ends a name such as `total_precipitation_6hr`; 0 without.
Duration period_in_name(std::string_view name) {
  const std::size_t ending = name.ends_with("hr") ? 2 : name.ends_with("h") ? 1 : 0;
  if (ending == 0) return Duration(0);
  const std::string_view body = name.substr(0, name.size() - ending);
  const std::size_t letters = body.find_last_not_of("0123456789");
  if (letters == std::string_view::npos || body[letters] != '_' || letters + 1 == body.size()) return Duration(0);
  const std::string digits(body.substr(letters + 1));
  return digits.size() > 4 ? Duration(0) : Duration(std::stol(digits) * 3600);
}

/// `time: sum (interval: 6 hours)`; 0 without.
Duration period_in_cell_methods(const std::string& cell_methods) {
  const std::size_t at = cell_methods.find("interval:");
  if (cell_methods.find("time: sum") == std::string::npos || at == std::string::npos) return Duration(0);
  std::istringstream text(cell_methods.substr(at + 9));
  double number = 0;
  std::string unit;
  text >> number >> unit;
  while (!unit.empty() && unit.back() == ')') unit.pop_back();
  if (!(number > 0) || number > 1e6 || unit.empty()) return Duration(0);
  try {
    return Duration(std::llround(number * unit_conversion(unit, "s").factor));
  } catch (const Error&) {
    return Duration(0);
  }
}

}  // namespace

std::string unit_of(const CfArray& array, const NameMapping& mapping) {
  if (const auto found = mapping.units.find(array.name); found != mapping.units.end()) return found->second;
  return array.text("units");
}

CfAxis axis_of(const CfArray& array, const NameMapping& mapping) {
  if (array.type == ElementType::other) return CfAxis::none;
  if (const CfAxis axis = axis_by_standard_name(array.text("standard_name")); axis != CfAxis::none) return axis;
  const std::string unit = unit_of(array, mapping);
  if (among(unit, north)) return CfAxis::latitude;
  if (among(unit, east)) return CfAxis::longitude;
  const CfAxis named = axis_by_name(array.name);
  if (unit.find(" since ") != std::string::npos) {
    return named == CfAxis::reference_time ? CfAxis::reference_time : CfAxis::time;
  }
  if (array.shape.size() > 1) return CfAxis::none;
  if (array.text("axis") == "Z" && is_pressure_unit(unit)) return CfAxis::pressure;
  // A coordinate variable has its dimension's name.
  if (array.shape.size() == 1 && array.dimensions[0] == array.name && is_pressure_unit(unit)) return CfAxis::pressure;
  if (named == CfAxis::pressure && !unit.empty() && !is_pressure_unit(unit)) return CfAxis::none;
  if (named == CfAxis::latitude || named == CfAxis::longitude) {
    return unit.empty() || unit == "degrees" || unit == "degree" ? named : CfAxis::none;
  }
  if (named == CfAxis::time || named == CfAxis::reference_time) return CfAxis::none;  // without "since": no time
  return named;
}

CfCoordinates::CfCoordinates(const CfDataset& dataset, const NameMapping& mapping)
    : dataset_(dataset), mapping_(mapping) {
  for (const CfArray& array : dataset.arrays()) axes_.push_back(axis_of(array, mapping));
  values_.resize(axes_.size());
}

std::optional<std::size_t> CfCoordinates::find(const std::string& name) const {
  const auto& arrays = dataset_.arrays();
  for (std::size_t i = 0; i < arrays.size(); ++i) {
    if (arrays[i].name == name) return i;
  }
  return std::nullopt;
}

std::optional<std::size_t> CfCoordinates::along(const std::string& dimension) const {
  const auto& arrays = dataset_.arrays();
  if (const auto named = find(dimension)) {
    const CfArray& array = arrays[*named];
    if (array.shape.size() == 1 && array.dimensions[0] == dimension && axes_[*named] != CfAxis::none) return named;
  }
  for (std::size_t i = 0; i < arrays.size(); ++i) {
    if (arrays[i].shape.size() == 1 && arrays[i].dimensions[0] == dimension && axes_[i] != CfAxis::none) return i;
  }
  return std::nullopt;
}

std::optional<std::size_t> CfCoordinates::along(const std::string& dimension, CfAxis axis) const {
  const auto& arrays = dataset_.arrays();
  for (std::size_t i = 0; i < arrays.size(); ++i) {
    if (axes_[i] == axis && arrays[i].shape.size() == 1 && arrays[i].dimensions[0] == dimension) return i;
  }
  return std::nullopt;
}

std::optional<std::size_t> CfCoordinates::scalar(const CfArray& array, CfAxis axis) const {
  const auto& arrays = dataset_.arrays();
  const auto is_scalar = [&](std::size_t i) { return axes_[i] == axis && arrays[i].shape.empty(); };
  std::istringstream names(array.text("coordinates"));
  for (std::string name; names >> name;) {
    if (const auto i = find(name); i && is_scalar(*i)) return i;
  }
  // A height belongs to the arrays that name it only: 2 m and 10 m live in one file.
  if (axis == CfAxis::height) return std::nullopt;
  for (std::size_t i = 0; i < arrays.size(); ++i) {
    if (is_scalar(i)) return i;
  }
  return std::nullopt;
}

std::string CfCoordinates::where(std::size_t array) const {
  return fmt::format("{}: coordinate '{}'", dataset_.name(), dataset_.arrays()[array].name);
}

const std::vector<double>& CfCoordinates::values(std::size_t array) const {
  if (!values_[array]) {
    auto values = std::make_unique<std::vector<double>>(read_all(dataset_, array, most_coordinate_values));
    const Packing packing(dataset_.arrays()[array]);
    for (std::size_t i = 0; i < values->size(); ++i) {
      double& value = (*values)[i];
      value = packing(value);
      if (!std::isfinite(value)) fail(ErrorKind::data, "{}: value {} is missing", where(array), i);
    }
    values_[array] = std::move(values);
  }
  return *values_[array];
}

std::vector<Time> CfCoordinates::times(std::size_t array) const {
  const CfArray& info = dataset_.arrays()[array];
  try {
    const TimeUnit unit = time_unit(unit_of(info, mapping_), info.text("calendar"));
    std::vector<Time> times;
    for (const double value : values(array)) times.push_back(unit.decode(value));
    return times;
  } catch (const Error& error) {
    throw Error(ErrorKind::data, where(array) + ": " + error.what());
  }
}

std::vector<Duration> CfCoordinates::leads(std::size_t array) const {
  const CfArray& info = dataset_.arrays()[array];
  std::string unit = unit_of(info, mapping_);
  if (unit.empty() && info.name == "forecast_hour") unit = "hours";
  double seconds = 0;
  try {
    seconds = unit_conversion(unit, "s").factor;
  } catch (const Error& error) {
    throw Error(ErrorKind::data, where(array) + ": " + error.what());
  }
  std::vector<Duration> leads;
  for (const double value : values(array)) {
    if (!(std::abs(value * seconds) < 1e10)) fail(ErrorKind::data, "{}: lead time {} {}", where(array), value, unit);
    leads.emplace_back(std::llround(value * seconds));
  }
  return leads;
}

std::vector<int> CfCoordinates::levels_hpa(std::size_t array) const {
  const CfArray& info = dataset_.arrays()[array];
  std::string unit = unit_of(info, mapping_);
  // Without a unit: the name is one of those that always count in hPa (see axis_of), but for isobaricInPa.
  if (unit.empty()) unit = info.name == "isobaricInPa" ? "Pa" : "hPa";
  UnitConversion to_hpa;
  try {
    to_hpa = unit_conversion(unit, "hPa");
  } catch (const Error& error) {
    throw Error(ErrorKind::data, where(array) + ": " + error.what());
  }
  std::vector<int> levels;
  for (const double value : values(array)) {
    const double level = to_hpa(value);
    const double whole = std::round(level);
    if (!(std::abs(level - whole) < 1e-3) || whole < 1 || whole > 1100) {
      fail(ErrorKind::data, "{}: level {} {} is not a whole number of hPa from 1 to 1100", where(array), value, unit);
    }
    levels.push_back(static_cast<int>(whole));
  }
  return levels;
}

std::vector<std::pair<Time, Time>> CfCoordinates::time_bounds(std::size_t array) const {
  const CfArray& info = dataset_.arrays()[array];
  const auto bounds = find(info.text("bounds"));
  if (!bounds) return {};
  const CfArray& cells = dataset_.arrays()[*bounds];
  const std::size_t n = info.size();
  if (cells.type == ElementType::other || cells.shape.empty() || cells.shape.back() != 2 || cells.size() != 2 * n) {
    return {};
  }
  try {
    // Bounds have the unit of their coordinate (CF 7.1).
    const TimeUnit unit = time_unit(unit_of(info, mapping_), info.text("calendar"));
    const std::vector<double>& edges = values(*bounds);
    std::vector<std::pair<Time, Time>> periods;
    for (std::size_t i = 0; i < n; ++i) periods.emplace_back(unit.decode(edges[2 * i]), unit.decode(edges[2 * i + 1]));
    return periods;
  } catch (const Error& error) {
    throw Error(ErrorKind::data, where(*bounds) + ": " + error.what());
  }
}

std::optional<Time> CfCoordinates::first_time() const {
  std::optional<Time> first;
  for (std::size_t i = 0; i < axes_.size(); ++i) {
    if (axes_[i] != CfAxis::time || dataset_.arrays()[i].shape.size() > 1) continue;
    for (const Time time : times(i)) {
      if (!first || time < *first) first = time;
    }
  }
  return first;
}

std::vector<CfInstant> instants_of(const CfCoordinates& coordinates, const CfArray& array,
                                   const std::string& time_dimension, const std::string& lead_dimension,
                                   bool accumulated) {
  constexpr Time epoch{};
  const Duration told = [&] {
    const Duration in_methods = period_in_cell_methods(array.text("cell_methods"));
    return in_methods.count() > 0 ? in_methods : period_in_name(array.name);
  }();
  std::vector<Time> times, references;
  std::vector<Duration> leads;
  std::vector<std::pair<Time, Time>> bounds;
  if (!time_dimension.empty()) {
    const auto valid = coordinates.along(time_dimension, CfAxis::time);
    const auto reference = coordinates.along(time_dimension, CfAxis::reference_time);
    if (valid) times = coordinates.times(*valid);
    if (valid && accumulated) bounds = coordinates.time_bounds(*valid);
    if (reference) references = coordinates.times(*reference);
    if (const auto lead = coordinates.along(time_dimension, CfAxis::lead); lead && !valid) {
      leads = coordinates.leads(*lead);
    }
  }
  std::vector<CfInstant> instants;
  if (!lead_dimension.empty()) {
    const auto lead_axis = coordinates.along(lead_dimension, CfAxis::lead);
    leads = coordinates.leads(*lead_axis);
    // With a dimension of lead times, the times are those of the forecasts' starts, whatever they are called.
    if (references.empty()) references = times;
    if (references.empty()) {
      auto start = coordinates.scalar(array, CfAxis::reference_time);
      if (!start) start = coordinates.scalar(array, CfAxis::time);
      if (!start) fail(ErrorKind::data, "lead times, but no time that they start from");
      references = coordinates.times(*start);
    }
    for (std::size_t t = 0; t < references.size(); ++t) {
      for (std::size_t l = 0; l < leads.size(); ++l) {
        CfInstant instant{references[t] + leads[l], references[t], Duration(0), t, l};
        if (accumulated) instant.accumulation = told.count() > 0 ? told : leads[l];
        instants.push_back(instant);
      }
    }
  } else if (!time_dimension.empty()) {
    std::optional<Time> start;
    if (const auto scalar = coordinates.scalar(array, CfAxis::reference_time)) start = coordinates.times(*scalar).at(0);
    std::optional<Duration> lead;
    if (const auto scalar = coordinates.scalar(array, CfAxis::lead)) lead = coordinates.leads(*scalar).at(0);
    const std::size_t n = std::max({times.size(), references.size(), leads.size()});
    for (std::size_t t = 0; t < n; ++t) {
      CfInstant instant{epoch, start, Duration(0), t, 0};
      if (!references.empty()) instant.reference_time = references[t];
      if (!times.empty()) {
        instant.valid_time = times[t];
      } else if (instant.reference_time) {
        instant.valid_time = *instant.reference_time + (leads.empty() ? lead.value_or(Duration(0)) : leads[t]);
      } else {
        fail(ErrorKind::data, "lead times, but no time that they start from");
      }
      if (accumulated) {
        if (!bounds.empty()) {
          instant.valid_time = bounds[t].second;
          instant.accumulation = bounds[t].second - bounds[t].first;
        } else {
          instant.accumulation = told;
        }
      }
      instants.push_back(instant);
    }
  } else {
    CfInstant instant{epoch, std::nullopt, Duration(0), 0, 0};
    if (const auto scalar = coordinates.scalar(array, CfAxis::reference_time)) {
      instant.reference_time = coordinates.times(*scalar).at(0);
    }
    if (const auto valid = coordinates.scalar(array, CfAxis::time)) {
      instant.valid_time = coordinates.times(*valid).at(0);
      if (const auto cells = accumulated ? coordinates.time_bounds(*valid) : decltype(bounds){}; !cells.empty()) {
        instant.valid_time = cells[0].second;
        instant.accumulation = cells[0].second - cells[0].first;
      }
    } else if (instant.reference_time) {
      const auto lead = coordinates.scalar(array, CfAxis::lead);
      instant.valid_time = *instant.reference_time + (lead ? coordinates.leads(*lead).at(0) : Duration(0));
    } else {
      instant.valid_time = coordinates.first_time().value_or(epoch);
    }
    if (accumulated && instant.accumulation.count() == 0) instant.accumulation = told;
    instants.push_back(instant);
  }
  std::stable_sort(instants.begin(), instants.end(), [](const CfInstant& a, const CfInstant& b) {
    return std::tie(a.valid_time, a.reference_time) < std::tie(b.valid_time, b.reference_time);
  });
  return instants;
}

}  // namespace zonda::ingest
