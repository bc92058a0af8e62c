#include "inference/edge/correction/station_correction.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <set>

#include "core/error.hpp"
#include "inference/edge/forecast/quantity.hpp"

namespace zonda::edge {
namespace {

/// Runs remembered for each variable: ten days of six-hourly ones.
constexpr std::size_t most_runs = 40;
/// Observations a filter wants before it tells how sure it is.
constexpr std::size_t enough = 24;

double first_deviation(const std::string& observed) {
  if (observed == "msl" || observed == "sp") return 150;
  if (observed == "r" || observed == "2r") return 10;
  return 2;
}

}  // namespace

void describe(config::Table& table, CorrectedVariable& v) {
  table.key("observed", v.observed, "Short name of what the sensor measures: 2t, msl, 10si").required();
  table.key("quantity", v.quantity, "What of the forecast it corrects; empty: the same name");
}

void describe(config::Table& table, CorrectionConfig& c) {
  table.list("variables", c.variables, "What the station's sensors correct");
  table.key("lead_class", c.lead_class, "Leads within such a span share a filter");
  table.key("independent_hours", c.independent_hours, "Errors so far apart are independent of one another")
      .range(1, 240);
  table.key("memory_days", c.memory_days, "How slowly a bias changes").range(1, 1000);
}

StationCorrection::StationCorrection(CorrectionConfig config, double latitude, double longitude)
    : config_(std::move(config)), latitude_(latitude), longitude_(longitude) {
  if (config_.lead_class <= Duration::zero()) fail(ErrorKind::usage, "correction.lead_class must be longer than 0");
  std::set<std::string> seen;
  for (CorrectedVariable& variable : config_.variables) {
    if (variable.quantity.empty()) variable.quantity = variable.observed;
    if (!seen.insert(variable.observed).second)
      fail(ErrorKind::usage, "correction.variables: '{}' is named twice", variable.observed);
    sensors_.push_back({variable, SensorQualityControl(default_limits(variable.observed)), {}, {}});
  }
}

BiasFilterParameters StationCorrection::parameters(const std::string& observed) const {
  BiasFilterParameters p;
  p.independent_hours = config_.independent_hours;
  p.memory_days = config_.memory_days;
  p.first_deviation = first_deviation(observed);
  return p;
}

std::int64_t StationCorrection::class_of(Duration lead) const {
  return lead.count() <= 0 ? 0 : (lead.count() - 1) / config_.lead_class.count();
}

std::optional<double> StationCorrection::Run::at(Time valid) const {
  const Duration lead = valid - initial;
  const auto after = std::lower_bound(leads.begin(), leads.end(), lead);
  if (after == leads.end()) return std::nullopt;
  const auto k = static_cast<std::size_t>(after - leads.begin());
  if (*after == lead) return values[k];
  if (k == 0) return std::nullopt;
  const double share =
      static_cast<double>((lead - leads[k - 1]).count()) / static_cast<double>((leads[k] - leads[k - 1]).count());
  return (1 - share) * static_cast<double>(values[k - 1]) + share * static_cast<double>(values[k]);
}

StationCorrection::Run StationCorrection::run_at_station(const Sensor& sensor, const RegionalForecast& run) const {
  const auto place = bilinear_weights(run.grid, latitude_, longitude_);
  if (!place)
    fail(ErrorKind::data, "the station at {:.4g} N, {:.4g} E lies outside the forecast's region {}", latitude_,
         longitude_, run.grid.to_string());
  const std::vector<Quantity> all = quantities_of(run.channels);
  const std::vector<double> series = point_series(run, find_quantity(all, sensor.variable.quantity), *place);
  return {run.initial, run.leads, {series.begin(), series.end()}};
}

void StationCorrection::follow(const RegionalForecast& run) {
  for (Sensor& sensor : sensors_) {
    Run at_station = run_at_station(sensor, run);
    std::erase_if(sensor.runs, [&](const Run& old) { return old.initial == run.initial; });
    const auto later =
        std::find_if(sensor.runs.begin(), sensor.runs.end(), [&](const Run& old) { return old.initial > run.initial; });
    sensor.runs.insert(later, std::move(at_station));
    if (sensor.runs.size() > most_runs) sensor.runs.pop_front();
  }
}

std::string StationCorrection::learn(Sensor& sensor, Time time, double value) {
  if (std::string reason = sensor.quality.check(time, value); !reason.empty()) return reason;
  // Of each class the run with the shortest lead: the newest.
  std::map<std::int64_t, double> errors;
  for (auto run = sensor.runs.rbegin(); run != sensor.runs.rend(); ++run) {
    if (run->initial >= time) continue;
    if (const auto forecast = run->at(time)) errors.emplace(class_of(time - run->initial), *forecast - value);
  }
  if (errors.empty()) return "";
  if (std::string reason = sensor.quality.check_departure(errors.begin()->second); !reason.empty()) return reason;
  for (const auto& [lead_class, error] : errors)
    sensor.filters.try_emplace(lead_class, parameters(sensor.variable.observed)).first->second.observe(time, error);
  return "";
}

ObservationReceipt StationCorrection::observe(std::vector<SensorReport> reports) {
  std::stable_sort(reports.begin(), reports.end(),
                   [](const SensorReport& a, const SensorReport& b) { return a.time < b.time; });
  ObservationReceipt receipt;
  for (const SensorReport& report : reports) {
    const auto sensor = std::find_if(sensors_.begin(), sensors_.end(),
                                     [&](const Sensor& s) { return s.variable.observed == report.variable; });
    const std::string reason =
        sensor == sensors_.end() ? "not a variable that is corrected" : learn(*sensor, report.time, report.value);
    if (reason.empty()) {
      ++receipt.accepted;
    } else {
      receipt.rejected.push_back(fmt::format("{} at {}: {}", report.variable, to_string(report.time), reason));
    }
  }
  return receipt;
}

std::vector<CorrectedSeries> StationCorrection::correct(const RegionalForecast& run) const {
  std::vector<CorrectedSeries> all;
  const std::vector<Quantity> quantities = quantities_of(run.channels);
  for (const Sensor& sensor : sensors_) {
    const Quantity& quantity = find_quantity(quantities, sensor.variable.quantity);
    const Run here = run_at_station(sensor, run);
    const QualityLimits limits = default_limits(sensor.variable.observed);
    CorrectedSeries series{sensor.variable.observed, quantity.name, quantity.unit, {}, {}, {}};
    for (std::size_t k = 0; k < here.leads.size(); ++k) {
      const auto forecast = static_cast<double>(here.values[k]);
      const auto filter = sensor.filters.find(class_of(here.leads[k]));
      const bool known = filter != sensor.filters.end();
      series.forecast.push_back(forecast);
      series.corrected.push_back(known ? std::clamp(forecast - filter->second.correction(run.valid(k)),
                                                    std::min(limits.least, forecast), std::max(limits.most, forecast))
                                       : forecast);
      series.uncertainty.push_back(known && filter->second.observations() >= enough
                                       ? filter->second.uncertainty(run.valid(k))
                                       : std::numeric_limits<double>::quiet_NaN());
    }
    all.push_back(std::move(series));
  }
  return all;
}

}  // namespace zonda::edge
