#pragma once
// The forecast at a point, and its forms.
#include <optional>
#include <string>
#include <vector>

#include "inference/edge/forecast/quantity.hpp"
#include "inference/edge/serving/station_state.hpp"

namespace zonda::edge {

/// How a run that was asked for went.
struct DemandReply {
  std::string deadline;
  int member = 0;
  bool computed = false;  ///< else the last scheduled run is what is answered
  bool in_time = false;
  double milliseconds = 0;
  std::string reason;  ///< why it was not computed
};

struct PointForecast {
  const StationState& state;  ///< with a forecast
  Condition condition;
  double latitude = 0, longitude = 0;  ///< degrees north and east
  std::vector<Quantity> quantities{};
  std::vector<std::vector<double>> series{};        ///< [quantity][lead], SI
  std::vector<const CorrectedSeries*> corrected{};  ///< of these quantities, where the point is the station's
  std::optional<DemandReply> demand{};
};

/// CoverageJSON 1.0 (OGC 21-069r2): a Coverage over a PointSeries domain. Corrected values are parameters
/// `NAME_corrected` and `NAME_uncertainty`; run and condition are in `zonda:run` and `zonda:condition`.
std::string to_coverage_json(const PointForecast& point);
/// One row a lead; the heading gives each column's unit: `2t [K]`.
std::string to_csv(const PointForecast& point);
/// A flat form for small programs.
std::string to_json(const PointForecast& point);

/// Initial time, end, identities of model and feed, token level and its skill.
std::string run_json(const RegionalForecast& run);
/// udunits to UCUM: `m s-1` -> `m.s-1`.
std::string ucum(const std::string& unit);

}  // namespace zonda::edge
