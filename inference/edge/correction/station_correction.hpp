#pragma once
// What a station learns from its own sensors: the systematic error of the forecast at its place, by variable, lead and
// hour of the day, and takes it off. The random error stays as it is.
#include <deque>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "core/config/table.hpp"
#include "inference/edge/correction/bias_filter.hpp"
#include "inference/edge/correction/corrected_series.hpp"
#include "inference/edge/correction/sensor_quality_control.hpp"
#include "inference/edge/correction/sensor_report.hpp"
#include "inference/edge/forecast/regional_forecast.hpp"

namespace zonda::edge {

struct CorrectedVariable {
  std::string observed;  ///< 2t
  std::string quantity;  ///< of the forecast: 2t, or t1000 where the model has no 2t; "" = as observed
};

struct CorrectionConfig {
  std::vector<CorrectedVariable> variables;
  Duration lead_class = std::chrono::hours(24);  ///< leads within one share a filter
  double independent_hours = 24;
  double memory_days = 180;
};
void describe(config::Table& table, CorrectedVariable& variable);
void describe(config::Table& table, CorrectionConfig& config);

class StationCorrection {
 public:
  /// Degrees north and east. Throws Error(usage) where a variable is named twice.
  StationCorrection(CorrectionConfig config, double latitude, double longitude);

  /// From now on reports are compared with this run too. Throws Error(usage) where the run lacks a quantity,
  /// Error(data) where the station lies outside its region.
  void follow(const RegionalForecast& run);
  /// Checks the reports and learns from what passes. Reports of a variable that is not corrected are rejected.
  ObservationReceipt observe(std::vector<SensorReport> reports);
  /// One series a variable; the same for the same state, whatever was asked before.
  std::vector<CorrectedSeries> correct(const RegionalForecast& run) const;

  /// Atomically; under 1 MB.
  void save(const std::filesystem::path& path) const;
  /// Throws Error(data) naming the file and what is wrong; the state is then as it was. Filters of variables or lead
  /// classes that the configuration no longer has are left out.
  void load(const std::filesystem::path& path);

 private:
  struct Run {
    Time initial{};
    std::vector<Duration> leads;
    std::vector<float> values;  ///< [lead] at the station, SI
    std::optional<double> at(Time valid) const;
  };
  struct Sensor {
    CorrectedVariable variable;
    SensorQualityControl quality;
    std::map<std::int64_t, BiasFilter> filters;  ///< by lead class
    std::deque<Run> runs;                        ///< by initial time
  };
  BiasFilterParameters parameters(const std::string& observed) const;
  std::int64_t class_of(Duration lead) const;
  std::string learn(Sensor& sensor, Time time, double value);
  Run run_at_station(const Sensor& sensor, const RegionalForecast& run) const;

  CorrectionConfig config_;
  double latitude_, longitude_;
  std::vector<Sensor> sensors_;
};

}  // namespace zonda::edge
