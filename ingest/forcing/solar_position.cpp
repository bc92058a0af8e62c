#include "ingest/forcing/solar_position.hpp"

#include <cmath>

#include "core/constants.hpp"

namespace zonda::ingest {

SolarPosition solar_position(Time time) {
  constexpr double degree = constants::pi / 180.0;
  // Days since J2000.0 (2000-01-01 12:00); Unix time 946728000.
  const double days = (static_cast<double>(time.time_since_epoch().count()) - 946728000.0) / 86400.0;
  const double mean_longitude = (280.460 + 0.9856474 * days) * degree;
  const double mean_anomaly = (357.528 + 0.9856003 * days) * degree;
  const double ecliptic_longitude =
      mean_longitude + (1.915 * std::sin(mean_anomaly) + 0.020 * std::sin(2 * mean_anomaly)) * degree;
  const double obliquity = (23.439 - 4e-7 * days) * degree;
  const double right_ascension =
      std::atan2(std::cos(obliquity) * std::sin(ecliptic_longitude), std::cos(ecliptic_longitude));
  return {.declination = std::asin(std::sin(obliquity) * std::sin(ecliptic_longitude)),
          .equation_of_time = std::remainder(mean_longitude - right_ascension, 2 * constants::pi),
          .distance = 1.00014 - 0.01671 * std::cos(mean_anomaly) - 0.00014 * std::cos(2 * mean_anomaly)};
}

double greenwich_hour_angle(Time time) {
  const double mean = (second_of_day(time) / 86400.0 - 0.5) * 2 * constants::pi;
  return std::remainder(mean + solar_position(time).equation_of_time, 2 * constants::pi);
}

}  // namespace zonda::ingest
