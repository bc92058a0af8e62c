#include "assimilation/experiments/osse/synthetic_observations.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "assimilation/experiments/osse/station_network.hpp"
#include "assimilation/observations/atmosphere_observations.hpp"
#include "assimilation/observations/column_operator.hpp"
#include "assimilation/observations/horizontal_stencil.hpp"
#include "core/error.hpp"
#include "core/philox.hpp"

namespace zonda::assimilation {
namespace {

constexpr double hpa = 100;
/// Soundings begin this far above the ground, as a fraction of its pressure.
constexpr double lowest_sounding = 0.98;
constexpr double least_humidity_error = 1e-6;

bool at_the_surface(const std::string& kind) {
  return kind == "surface" || kind == "buoys";
}

std::vector<Station> stations_of(const NetworkConfig& config) {
  constexpr std::size_t buoys_begin = 100000;  // where no station stands
  const auto count = static_cast<std::size_t>(config.stations);
  if (config.kind == "buoys") return even_network(count, buoys_begin, "B");
  return populated_network(count, 0, config.kind == "surface" ? "S" : "R");
}

std::vector<std::string> default_variables(const std::string& kind) {
  if (at_the_surface(kind)) return {"sp"};
  if (kind == "swath") return {"t"};
  return {"u", "v", "t", "q"};
}

}  // namespace

void describe(config::Table& table, NetworkConfig& c) {
  table.key("kind", c.kind, "Soundings, stations at the surface, buoys, or the swath of a polar orbiter")
      .one_of({"soundings", "surface", "buoys", "swath"});
  table
      .key("stations", c.stations,
           "How many; soundings and stations are denser over northern land, buoys equally everywhere")
      .range(1, 1e6);
  table.key("spacing", c.spacing, "Between points of a swath, m").range(1e4, 5e6);
  table.key("half_width", c.half_width, "Of a swath, m").range(0, 5e6);
  table.key("variables", c.variables, "Default: u, v, t, q of soundings, sp at the surface and of buoys, t of a swath");
  table.key("levels", c.levels, "hPa, of soundings and swaths");
}

void describe(config::Table& table, SyntheticConfig& c) {
  table.list("networks", c.networks, "Default: 417 soundings, and surface pressure at as many stations");
  table.key("wind_error", c.wind_error, "Standard deviation, m/s").range(1e-6, 100);
  table.key("temperature_error", c.temperature_error, "K").range(1e-6, 100);
  table.key("humidity_error", c.humidity_error, "At most, kg/kg").range(1e-9, 1);
  table.key("humidity_fraction", c.humidity_fraction, "Of the true humidity, that its errors do not exceed")
      .range(1e-3, 1);
  table.key("geopotential_error", c.geopotential_error, "m2/s2").range(1e-3, 1e5);
  table.key("pressure_error", c.pressure_error, "Pa").range(1e-3, 1e4);
  table
      .key("station_bias", c.station_bias,
           "Standard deviation of what each station errs by all the time, over that of its errors")
      .range(0, 100);
  table.key("seed", c.seed, "Of the errors");
}

SyntheticObservations::SyntheticObservations(const SyntheticConfig& config, const AtmosphereLayout& layout,
                                             Duration window)
    : config_(config), layout_(layout), window_(window) {
  std::vector<NetworkConfig> networks = config_.networks;
  if (networks.empty()) {
    networks.emplace_back();
    networks.emplace_back().kind = "surface";
  }
  for (const NetworkConfig& network : networks) networks_.push_back(make(network));
}

SyntheticObservations::Network SyntheticObservations::make(const NetworkConfig& config) const {
  Network network{config.kind == "soundings"    ? ingest::ReportKind::temp
                  : at_the_surface(config.kind) ? ingest::ReportKind::synop
                                                : ingest::ReportKind::satellite,
                  {},
                  {},
                  {},
                  config.levels,
                  config};
  const bool chosen = !config.variables.empty();
  for (const std::string& variable : chosen ? config.variables : default_variables(config.kind)) {
    error_of(variable);
    if (can_observe(variable, layout_)) {
      network.variables.push_back(variable);
    } else if (chosen) {
      fail(ErrorKind::usage, "observations.synthetic.networks: {} cannot be observed in this model's state", variable);
    }
  }
  if (at_the_surface(config.kind)) network.levels = {0};
  if (config.kind != "swath")
    for (const Station& station : stations_of(config)) {
      network.stations.push_back(station.name);
      network.places.push_back({station.latitude, station.longitude, height(station.latitude, station.longitude)});
    }
  return network;
}

double SyntheticObservations::height(double latitude, double longitude) const {
  if (layout_.orography.empty()) return 0;
  const auto stencil = horizontal_stencil(layout_.grid, latitude, longitude);
  double sum = 0;
  if (stencil)
    for (std::size_t i = 0; i < 4; ++i) sum += stencil->weight[i] * layout_.orography[stencil->index[i]];
  return sum;
}

double SyntheticObservations::error_of(const std::string& variable) const {
  if (variable == "u" || variable == "v" || variable == "10u" || variable == "10v") return config_.wind_error;
  if (variable == "t" || variable == "2t") return config_.temperature_error;
  if (variable == "q") return config_.humidity_error;
  if (variable == "z") return config_.geopotential_error;
  if (variable == "sp" || variable == "msl") return config_.pressure_error;
  fail(ErrorKind::usage,
       "observations.synthetic: no error is known of '{}', expected z, u, v, t, q, 2t, 10u, 10v, sp or msl", variable);
}

double SyntheticObservations::bias_of(std::string_view station, const std::string& variable) const {
  if (config_.station_bias == 0) return 0;
  return config_.station_bias * Philox(config_.seed, fmt::format("bias of {} at {}", variable, station)).normal(0);
}

std::size_t SyntheticObservations::largest_count(Time time) const {
  std::size_t count = 0;
  for (const Network& network : networks_) {
    const std::size_t places =
        network.config.kind == "swath"
            ? orbital_swath(time - window_ / 2, window_, network.config.spacing, network.config.half_width).size()
            : network.places.size();
    count += places * network.levels.size() * network.variables.size();
  }
  return count;
}

ingest::ReadObservations SyntheticObservations::observe(ConstView truth, Time time, std::size_t cycle, bool perfect,
                                                        const SlotShare& share) const {
  const Duration length = share.length > Duration{0} ? share.length : window_;
  ingest::ReadObservations read;
  const std::uint32_t file = read.table.file_number("synthetic");
  std::vector<AtmosphericObservation> wanted;
  for (const Network& network : networks_) {
    std::vector<Place> places = network.places;
    if (network.config.kind == "swath")
      for (const SwathPoint& point :
           orbital_swath(time - length / 2, length, network.config.spacing, network.config.half_width))
        places.push_back({point.latitude, point.longitude, height(point.latitude, point.longitude)});
    for (std::size_t s = 0; s < places.size(); ++s) {
      if (!network.stations.empty() && s % share.of != share.slot) continue;
      const std::string station = network.stations.empty() ? "satellite" : network.stations[s];
      for (const int level : network.levels)
        for (const std::string& variable : network.variables) {
          ingest::Observation entry;
          entry.station = station;
          entry.kind = network.kind;
          entry.latitude = places[s].latitude;
          entry.longitude = places[s].longitude;
          entry.height = places[s].height;
          if (level > 0) entry.pressure = hpa * level;
          entry.time = time;
          entry.variable = ingest::variable_number(variable);
          entry.error = error_of(variable);
          entry.source = {file, static_cast<std::uint32_t>(s + 1), 0};
          read.table.add(entry);
        }
    }
  }
  // What the state cannot give, and what lies below the true ground, is never seen.
  const TimeSlots now{};
  AtmosphereLayout present = layout_;
  present.slots = 1;
  const ConstView slot = truth.last(layout_.slot_size);
  std::vector<std::size_t> seen;
  {
    ingest::ObservationTable& table = read.table;
    reject_uncovered(table, present, now);
    ingest::ObservationTable ground;
    std::vector<std::size_t> aloft = table.used();
    const bool has_ground = can_observe("sp", present);
    for (const std::size_t i : aloft) {
      ingest::Observation entry = table[i];
      entry.variable = ingest::variable_number("sp");
      entry.pressure = ingest::not_known;
      ground.add(entry);
    }
    if (has_ground) observe_background(ground, present, now, slot);
    for (std::size_t n = 0; n < aloft.size(); ++n)
      if (!has_ground || !(table.pressure[aloft[n]] > lowest_sounding * ground.background[n])) seen.push_back(aloft[n]);
  }
  read.table = read.table.select(seen);
  observe_background(read.table, present, now, slot);
  const Philox random(config_.seed, share.of == 1
                                        ? fmt::format("observation errors of cycle {}", cycle)
                                        : fmt::format("observation errors of cycle {}, slot {}", cycle, share.slot));
  const int humidity = ingest::variable_number("q");
  for (std::size_t n = 0; n < seen.size(); ++n) {
    if (read.table.variable[n] == humidity)
      read.table.error[n] =
          std::clamp(config_.humidity_fraction * read.table.background[n], least_humidity_error, read.table.error[n]);
    const double error = random.normal(seen[n]) + bias_of(read.table.station_name(n), read.table.info(n).short_name);
    read.table.value[n] = read.table.background[n] + (perfect ? 0 : read.table.error[n] * error);
    read.table.background[n] = ingest::not_known;
  }
  for (std::size_t n = 0; n < seen.size(); ++n)
    if (n == 0 || read.table.source[n] != read.table.source[n - 1] || read.table.kind[n] != read.table.kind[n - 1])
      read.account.used("synthetic", name(read.table.kind[n]));
  return read;
}

}  // namespace zonda::assimilation
