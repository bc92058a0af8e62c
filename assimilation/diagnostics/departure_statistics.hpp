#pragma once
// Departures of observations from background and analysis, and what they tell of errors and of the observations' worth.
#include <map>
#include <nlohmann/json_fwd.hpp>
#include <span>
#include <string>
#include <tuple>
#include <vector>

#include "assimilation/interfaces/vectors.hpp"
#include "ingest/observations/observation_table.hpp"

namespace zonda::assimilation {

/// Sums over observations of one kind, variable and level; d_b = y - H(x_b), d_a = y - H(x_a), s the ensemble's spread
/// in observed values.
struct DepartureSums {
  double count = 0, background = 0, background_square = 0, analysis = 0, analysis_square = 0;
  double product = 0;        ///< d_b d_a
  double error_square = 0;   ///< sigma_o^2
  double spread_square = 0;  ///< s_b^2
  double signal = 0;         ///< (d_b - d_a) d_a / sigma_o^2

  void add(const DepartureSums& other);
  /// Errors that the departures tell (Desroziers et al. 2005, eqs 1 and 2): sqrt(mean d_a d_b) is that of the
  /// observations, sqrt(mean (d_b - d_a) d_b) that of the background; 0 where the mean is negative.
  double diagnosed_observation_error() const;
  double diagnosed_background_error() const;
  /// tr(HK) from E[(d_b - d_a) d_a / sigma_o^2], which an optimal analysis has (of the same relations).
  double degrees_of_freedom_for_signal() const { return signal; }
};

/// Kind of report, variable, and the nearest standard level in hPa (0: at the surface).
struct DepartureKey {
  std::string kind, variable;
  int level = 0;
  auto operator<=>(const DepartureKey&) const = default;
};

DepartureKey departure_key(const ingest::ObservationTable& table, std::size_t entry);

using DepartureStatistics = std::map<DepartureKey, DepartureSums>;

/// Of the entries `used`: `analysis` and `spread` [entry of used] are H(x_a) and s; table.background is H(x_b).
DepartureStatistics departure_statistics(const ingest::ObservationTable& table, const std::vector<std::size_t>& used,
                                         ConstView analysis, ConstView spread);

/// Sums by station and variable: `count`, `background`, `background_square`, `analysis_square` alone are read.
struct StationPlace {
  double latitude = 0, longitude = 0;
  std::map<std::string, DepartureSums> variables;
};
using StationStatistics = std::map<std::string, StationPlace>;
void add_stations(StationStatistics& stations, const ingest::ObservationTable& table,
                  const std::vector<std::size_t>& used, ConstView analysis);

nlohmann::ordered_json to_record(const DepartureStatistics& statistics);
DepartureStatistics departures_of_record(const nlohmann::ordered_json& record);
nlohmann::ordered_json to_record(const StationStatistics& stations);
StationStatistics stations_of_record(const nlohmann::ordered_json& record);

}  // namespace zonda::assimilation
