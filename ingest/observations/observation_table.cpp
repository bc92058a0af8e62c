#include "ingest/observations/observation_table.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "core/error.hpp"

namespace zonda::ingest {

std::string_view name(ReportKind kind) {
  switch (kind) {
    case ReportKind::synop:
      return "synop";
    case ReportKind::ship:
      return "ship";
    case ReportKind::temp:
      return "temp";
    case ReportKind::aircraft:
      return "aircraft";
    case ReportKind::station:
      return "station";
    case ReportKind::satellite:
      return "satellite";
  }
  return "unknown";
}

const std::vector<ReportKind>& report_kinds() {
  using enum ReportKind;
  static const std::vector<ReportKind> kinds{synop, ship, temp, aircraft, station, satellite};
  return kinds;
}

ReportKind parse_report_kind(std::string_view text) {
  std::vector<std::string> known;
  for (const ReportKind kind : report_kinds()) {
    if (name(kind) == text) return kind;
    known.emplace_back(name(kind));
  }
  throw Error(ErrorKind::usage, unknown_word("kind of report", text, known));
}

VariableNumber variable_number(std::string_view name) {
  return static_cast<VariableNumber>(&variable(name) - variable_table().data());
}

double turned_longitude(double degrees_east) {
  const double turned = degrees_east - 360 * std::floor(degrees_east / 360);
  return turned >= 360 ? 0 : turned;
}

double settled_latitude(double degrees_north) {
  return std::abs(degrees_north) < 90 + 1e-6 ? std::clamp(degrees_north, -90.0, 90.0) : degrees_north;
}

bool is_position(double latitude, double longitude) {
  return std::abs(latitude) <= 90 && std::abs(longitude) <= 360;
}

void ObservationTable::add(const Observation& observation) {
  station.push_back(station_number(observation.station));
  kind.push_back(observation.kind);
  latitude.push_back(observation.latitude);
  longitude.push_back(observation.longitude);
  height.push_back(observation.height);
  pressure.push_back(observation.pressure);
  time.push_back(observation.time);
  variable.push_back(observation.variable);
  value.push_back(observation.value);
  error.push_back(observation.error);
  background.push_back(not_known);
  analysis.push_back(not_known);
  bias.push_back(0);
  flag.push_back(observation.flag);
  given_flag.push_back(observation.flag);
  source.push_back(observation.source);
}

Observation ObservationTable::operator[](std::size_t i) const {
  return {stations[station[i]], kind[i],  latitude[i], longitude[i], height[i], pressure[i], time[i],
          variable[i],          value[i], error[i],    flag[i],      source[i]};
}

std::string ObservationTable::describe(std::size_t i) const {
  const SourcePosition& from = source[i];
  std::string text = from.file < files.size() ? files[from.file] : std::string("made here");
  if (from.message > 0) text += fmt::format(", message {}", from.message);
  if (from.subset > 0) text += fmt::format(", subset {}", from.subset);
  text += fmt::format(", station {}, {}", station_name(i), info(i).short_name);
  if (std::isfinite(pressure[i])) text += fmt::format(" at {:g} hPa", pressure[i] / 100);
  return text + fmt::format(" {:g} {} at {}", value[i], info(i).unit, to_string(time[i]));
}

std::uint32_t ObservationTable::station_number(std::string_view station_id) {
  const auto [at, made] =
      station_numbers_.emplace(std::string(station_id), static_cast<std::uint32_t>(stations.size()));
  if (made) stations.emplace_back(station_id);
  return at->second;
}

std::uint32_t ObservationTable::file_number(std::string_view path) {
  const auto at = static_cast<std::size_t>(std::find(files.begin(), files.end(), path) - files.begin());
  if (at == files.size()) files.emplace_back(path);
  return static_cast<std::uint32_t>(at);
}

std::vector<std::size_t> ObservationTable::used() const {
  std::vector<std::size_t> entries;
  for (std::size_t i = 0; i < size(); ++i)
    if (accepted(i)) entries.push_back(i);
  return entries;
}

ObservationTable ObservationTable::select(const std::vector<std::size_t>& which) const {
  ObservationTable chosen;
  chosen.files = files;
  for (const std::size_t i : which) {
    chosen.add((*this)[i]);
    chosen.take_results(*this, i);
  }
  return chosen;
}

void ObservationTable::take_results(const ObservationTable& other, std::size_t i) {
  background.back() = other.background[i];
  analysis.back() = other.analysis[i];
  bias.back() = other.bias[i];
  given_flag.back() = other.given_flag[i];
}

void ObservationTable::append(const ObservationTable& other) {
  for (std::size_t i = 0; i < other.size(); ++i) {
    Observation observation = other[i];
    if (observation.source.file < other.files.size())
      observation.source.file = file_number(other.files[observation.source.file]);
    add(observation);
    take_results(other, i);
  }
}

}  // namespace zonda::ingest
