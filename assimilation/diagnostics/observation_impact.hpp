#pragma once
// What observations did to a later forecast, summed up by kind, variable and level, and by station.
#include <map>
#include <nlohmann/json_fwd.hpp>
#include <string>

#include "assimilation/diagnostics/departure_statistics.hpp"

namespace zonda::assimilation {

struct ImpactSums {
  double count = 0, share = 0, useful = 0;  ///< share: of the change of the forecast's error; useful: those below 0
  void add(const ImpactSums& other);
};

struct ObservationImpact {
  double analyses = 0;                              ///< that the sums are over
  double background_error = 0, analysis_error = 0;  ///< of the forecasts from both, J/kg
  std::map<DepartureKey, ImpactSums> by_kind;
  std::map<std::string, std::pair<StationPlace, ImpactSums>> by_station;
  /// Of the shares; near analysis_error - background_error.
  double total() const;
  void add(const ObservationImpact& other);
};

/// `shares` [entry of used].
ObservationImpact sum_impacts(const ingest::ObservationTable& table, const std::vector<std::size_t>& used,
                              ConstView shares, double background_error, double analysis_error);

nlohmann::ordered_json to_record(const ObservationImpact& impact);
ObservationImpact impact_of_record(const nlohmann::ordered_json& record);

}  // namespace zonda::assimilation
