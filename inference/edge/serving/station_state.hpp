#pragma once
// What a station knows at one moment. A state never changes: a new one takes its place whole.
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "inference/edge/correction/corrected_series.hpp"
#include "inference/edge/forecast/coastline.hpp"
#include "inference/edge/forecast/regional_forecast.hpp"

namespace zonda::edge {

enum class Freshness { fresh, stale, degraded };
/// `FRESH`, `STALE`, `DEGRADED`
std::string name_of(Freshness freshness);

struct StationState {
  std::string station = "station";                         ///< its name, for people
  double latitude = 0;                                     ///< degrees north
  double longitude = 0;                                    ///< degrees east
  double elevation = 0;                                    ///< m
  Duration stale_after = std::chrono::hours(24);           ///< age of the analysis
  std::shared_ptr<const RegionalForecast> forecast;        ///< nullptr before the first
  std::vector<CorrectedSeries> corrected;                  ///< at the station; leads as the forecast's
  std::optional<Time> feed_reach;                          ///< how far the boundary feed that is here reaches
  std::vector<std::string> faults;                         ///< what does not work, a sentence each: makes it DEGRADED
  std::shared_ptr<const std::vector<CoastSegment>> coast;  ///< of the region, where it is known
  std::string software;                                    ///< version of the program
};

struct Condition {
  Freshness freshness = Freshness::fresh;
  std::vector<std::string> reasons;  ///< a sentence each; empty where FRESH
};
/// STALE: the analysis is older than it may be, or the forecast has ended. Otherwise DEGRADED with faults or without a
/// forecast.
Condition condition_of(const StationState& state, Time now);

}  // namespace zonda::edge
