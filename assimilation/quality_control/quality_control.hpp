#pragma once
// Quality control of one cycle, in order: window and area, blacklist, limits, duplicates, tracks, errors; with a
// background: background check, buddies; then thinning.
#include <filesystem>
#include <optional>

#include "assimilation/observations/observation_errors.hpp"
#include "assimilation/quality_control/checks.hpp"
#include "assimilation/quality_control/departure_checks.hpp"
#include "assimilation/quality_control/thinning.hpp"

namespace zonda::assimilation {

struct ThinningConfig {
  std::string kind;
  double spacing = 100e3, depth = 0.1, duration = 3600;
  bool superob = false;
};

struct QualityControlConfig {
  std::vector<double> area;                          ///< north, west, south, east; empty: everywhere
  std::string blacklist;                             ///< file; "": none
  std::vector<ValueLimit> limits;                    ///< in place of the standard ones
  double fastest_aircraft = 500, fastest_ship = 30;  ///< m/s
  ObservationErrorConfig errors;
  std::vector<BackgroundErrorRule> background_errors;
  double background_error_fraction = 1;
  double background_limit = 4;  ///< standard deviations; 0: no check
  double buddy_limit = 4;       ///< 0: no check
  double buddy_length = 300e3;  ///< m
  std::vector<ThinningConfig> thinning;
};
void describe(config::Table& table, BackgroundErrorRule& rule);
void describe(config::Table& table, ThinningConfig& config);
void describe(config::Table& table, QualityControlConfig& config);

/// What needs no background. Throws Error(usage), Error(data) of the blacklist.
void check_observations(ingest::ObservationTable& table, const QualityControlConfig& config, Time first, Time last);
/// What needs table.background, then thinning. `background_error`: [table.size()]; empty: by the configuration.
void check_departures(ingest::ObservationTable& table, const QualityControlConfig& config,
                      ConstView background_error = {});

}  // namespace zonda::assimilation
