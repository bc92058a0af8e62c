#include "assimilation/observations/observation_errors.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <span>

#include "core/config/table.hpp"
#include "core/error.hpp"
#include "core/humidity.hpp"

namespace zonda::assimilation {
namespace {

using ingest::ReportKind;

struct Level {
  double hpa, error;
};

// ECMWF's prescribed errors: IFS Documentation Cy25r1 (2002), Part I, chapter 2, by standard level.
constexpr std::array sounding_temperature{Level{10, 2.5},  Level{20, 2.2},  Level{30, 2.0},  Level{50, 1.9},
                                          Level{70, 1.8},  Level{100, 1.7}, Level{150, 1.6}, Level{200, 1.5},
                                          Level{250, 1.5}, Level{300, 1.4}, Level{400, 1.2}, Level{500, 1.2},
                                          Level{700, 1.3}, Level{850, 1.5}, Level{1000, 1.7}};
constexpr std::array sounding_wind{Level{10, 4.5},  Level{20, 3.6},  Level{30, 3.3},  Level{50, 3.2},
                                   Level{70, 3.2},  Level{100, 3.3}, Level{150, 3.4}, Level{200, 3.5},
                                   Level{250, 3.5}, Level{300, 3.7}, Level{400, 3.5}, Level{500, 3.0},
                                   Level{700, 2.5}, Level{850, 2.3}, Level{1000, 2.3}};
/// m
constexpr std::array sounding_height{Level{10, 40},    Level{20, 32},    Level{30, 25},    Level{50, 22.5},
                                     Level{70, 19.5},  Level{100, 18.1}, Level{150, 15.2}, Level{200, 13.2},
                                     Level{250, 11.8}, Level{300, 10.7}, Level{400, 9.8},  Level{500, 8.4},
                                     Level{700, 5.2},  Level{850, 4.4},  Level{1000, 4.3}};
constexpr std::array aircraft_temperature{Level{10, 2.2},  Level{20, 2.0},  Level{30, 1.8},  Level{50, 1.6},
                                          Level{70, 1.5},  Level{200, 1.4}, Level{250, 1.3}, Level{300, 1.3},
                                          Level{400, 1.2}, Level{700, 1.2}, Level{850, 1.3}, Level{1000, 1.4}};
constexpr std::array aircraft_wind{Level{400, 4.0}, Level{500, 3.5}, Level{700, 3.0}, Level{850, 2.5}};
constexpr std::array cloud_motion{Level{10, 5.7},  Level{20, 5.0},  Level{300, 5.0},
                                  Level{400, 4.3}, Level{500, 3.5}, Level{700, 2.0}};
/// Of the height of a pressure at the surface, m, by the density of the standard atmosphere there.
constexpr double land_height = 7, ship_height = 11.5, standard_density = 1.225;

double at_pressure(std::span<const Level> levels, double pressure) {
  const double hpa = std::clamp(pressure / 100, levels.front().hpa, levels.back().hpa);
  std::size_t k = 1;
  while (k + 1 < levels.size() && levels[k].hpa < hpa) ++k;
  const Level &above = levels[k - 1], &below = levels[k];
  const double w = std::log(hpa / above.hpa) / std::log(below.hpa / above.hpa);
  return above.error + w * (below.error - above.error);
}

/// ISO 2533 up to 20 km, where humidity matters.
double standard_temperature(double pressure) {
  return std::max(216.65, 288.15 * std::pow(pressure / 101325, 287.05287 * 0.0065 / 9.80665));
}

}  // namespace

double standard_observation_error(ReportKind kind, std::string_view variable, double pressure) {
  const bool aloft = pressure > 0;
  const bool ship = kind == ReportKind::ship;
  if (variable == "sp" || variable == "msl")
    return constants::gravity * standard_density * (ship ? ship_height : land_height);
  if (variable == "2t" || variable == "2d") return ship ? 1.8 : 2;
  if (variable == "10u" || variable == "10v") return ship ? 2.4 : 3;
  if (variable == "sst") return 0.5;
  if (variable == "r") return aloft ? 17 : 13;
  if (aloft && variable == "q") {
    const double saturation = saturation_vapour_pressure(standard_temperature(pressure));
    return 0.2 * specific_humidity(std::min(saturation, 0.5 * pressure), pressure);
  }
  const bool aircraft = kind == ReportKind::aircraft;
  if (aloft && variable == "t")
    return at_pressure(aircraft ? std::span<const Level>(aircraft_temperature) : sounding_temperature, pressure);
  if (aloft && (variable == "u" || variable == "v"))
    return at_pressure(aircraft                        ? std::span<const Level>(aircraft_wind)
                       : kind == ReportKind::satellite ? std::span<const Level>(cloud_motion)
                                                       : sounding_wind,
                       pressure);
  if (aloft && variable == "z") return constants::gravity * at_pressure(sounding_height, pressure);
  return std::numeric_limits<double>::quiet_NaN();
}

void assign_errors(ingest::ObservationTable& table, const ObservationErrorConfig& config) {
  const auto by_number = [](const std::vector<ErrorRule>& rules) {
    std::map<ingest::VariableNumber, double> made;
    for (const ErrorRule& rule : rules) made[ingest::variable_number(rule.variable)] = rule.error;
    return made;
  };
  const auto own = by_number(config.errors), unresolved = by_number(config.representativeness);
  for (std::size_t i = 0; i < table.size(); ++i) {
    if (!table.accepted(i)) continue;
    double error = table.error[i];
    if (!(error > 0)) {
      const auto rule = own.find(table.variable[i]);
      error = rule != own.end()
                  ? rule->second
                  : standard_observation_error(table.kind[i], table.info(i).short_name, table.pressure[i]);
    }
    if (const auto rule = unresolved.find(table.variable[i]); rule != unresolved.end())
      error = std::hypot(error, rule->second);
    table.error[i] = error * config.inflation;
    if (!(table.error[i] > 0)) table.reject(i, ingest::QualityFlag::unsupported);
  }
}

void describe(config::Table& table, ErrorRule& c) {
  table.key("variable", c.variable, "Short name").required();
  table.key("error", c.error, "Standard deviation, SI").required().range(0, 1e7);
}

void describe(config::Table& table, ObservationErrorConfig& c) {
  table.list("errors", c.errors, "Errors in place of the tables'");
  table.list("representativeness", c.representativeness, "Added in quadrature: what the grid does not resolve");
  table.key("inflation", c.inflation, "Factor of all errors").range(0.01, 100);
}

}  // namespace zonda::assimilation
