#include "assimilation/diagnostics/departure_statistics.hpp"

#include <cmath>
#include <nlohmann/json.hpp>

namespace zonda::assimilation {
namespace {

using Json = nlohmann::ordered_json;

int nearest_level(double pressure) {
  if (!(pressure > 0)) return 0;
  int nearest = 1000;
  for (const int level : {1000, 850, 700, 500, 300, 200, 100, 50, 10})
    if (std::abs(std::log(pressure / (100.0 * level))) < std::abs(std::log(pressure / (100.0 * nearest))))
      nearest = level;
  return nearest;
}

double root(double mean) {
  return mean > 0 ? std::sqrt(mean) : 0;
}

Json sums(const DepartureSums& s) {
  return {s.count,   s.background,   s.background_square, s.analysis, s.analysis_square,
          s.product, s.error_square, s.spread_square,     s.signal};
}

DepartureSums sums(const Json& json) {
  DepartureSums s;
  std::size_t i = 0;
  for (double* value : {&s.count, &s.background, &s.background_square, &s.analysis, &s.analysis_square, &s.product,
                        &s.error_square, &s.spread_square, &s.signal})
    *value = json.at(i++).get<double>();
  return s;
}

DepartureSums sums_of(const ingest::ObservationTable& table, std::size_t i, double analysis, double spread) {
  const double b = table.value[i] - table.background[i], a = table.value[i] - analysis,
               variance = table.error[i] * table.error[i];
  return {1, b, b * b, a, a * a, a * b, variance, spread * spread, (b - a) * a / variance};
}

}  // namespace

void DepartureSums::add(const DepartureSums& other) {
  count += other.count;
  background += other.background;
  background_square += other.background_square;
  analysis += other.analysis;
  analysis_square += other.analysis_square;
  product += other.product;
  error_square += other.error_square;
  spread_square += other.spread_square;
  signal += other.signal;
}

double DepartureSums::diagnosed_observation_error() const {
  return count > 0 ? root(product / count) : 0;
}

double DepartureSums::diagnosed_background_error() const {
  return count > 0 ? root((background_square - product) / count) : 0;
}

DepartureKey departure_key(const ingest::ObservationTable& table, std::size_t entry) {
  return {std::string(name(table.kind[entry])), table.info(entry).short_name, nearest_level(table.pressure[entry])};
}

DepartureStatistics departure_statistics(const ingest::ObservationTable& table, const std::vector<std::size_t>& used,
                                         ConstView analysis, ConstView spread) {
  DepartureStatistics statistics;
  for (std::size_t n = 0; n < used.size(); ++n) {
    const std::size_t i = used[n];
    statistics[departure_key(table, i)].add(sums_of(table, i, analysis[n], spread[n]));
  }
  return statistics;
}

void add_stations(StationStatistics& stations, const ingest::ObservationTable& table,
                  const std::vector<std::size_t>& used, ConstView analysis) {
  for (std::size_t n = 0; n < used.size(); ++n) {
    const std::size_t i = used[n];
    StationPlace& place = stations[std::string(table.station_name(i))];
    place.latitude = table.latitude[i];
    place.longitude = table.longitude[i];
    place.variables[table.info(i).short_name].add(sums_of(table, i, analysis[n], 0));
  }
}

Json to_record(const DepartureStatistics& statistics) {
  Json list = Json::array();
  for (const auto& [key, value] : statistics)
    list.push_back({{"kind", key.kind}, {"variable", key.variable}, {"level_hpa", key.level}, {"sums", sums(value)}});
  return list;
}

DepartureStatistics departures_of_record(const Json& record) {
  DepartureStatistics statistics;
  for (const Json& item : record)
    statistics[{item.at("kind"), item.at("variable"), item.at("level_hpa")}] = sums(item.at("sums"));
  return statistics;
}

Json to_record(const StationStatistics& stations) {
  Json list = Json::array();
  for (const auto& [station, place] : stations) {
    Json variables = Json::object();
    for (const auto& [variable, value] : place.variables) variables[variable] = sums(value);
    list.push_back({{"station", station},
                    {"latitude", place.latitude},
                    {"longitude", place.longitude},
                    {"sums", std::move(variables)}});
  }
  return list;
}

StationStatistics stations_of_record(const Json& record) {
  StationStatistics stations;
  for (const Json& item : record) {
    StationPlace& place = stations[item.at("station")];
    place.latitude = item.at("latitude");
    place.longitude = item.at("longitude");
    for (const auto& [variable, value] : item.at("sums").items()) place.variables[variable] = sums(value);
  }
  return stations;
}

}  // namespace zonda::assimilation
