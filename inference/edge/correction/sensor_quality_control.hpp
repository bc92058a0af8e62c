#pragma once
// Whether a sensor's report may teach the correction: a few wrong ones must not fabricate an error that is not there.
// Checks in the order of WMO-No. 8 (part V, chapter 1): limits, step in time, persistence (stuck sensor); then the
// departure from the forecast against its own recent spread in robust measure (median and median absolute deviation).
#include <optional>
#include <string>
#include <vector>

#include "core/time.hpp"

namespace zonda::edge {

struct QualityLimits {
  double least = 0, most = 0;  ///< SI
  double step = 0;             ///< largest change within an hour, SI; grows with the square root of a longer time
  Duration stuck{0};           ///< a value that stays exactly equal for longer is a stuck sensor; 0 = never
  double departure = 5;        ///< largest departure from the recent median, robust standard deviations
  double departure_floor = 0;  ///< the robust standard deviation is not taken smaller than this, SI
  double jump = 6;             ///< largest step between departures, robust standard deviations of the recent steps
};

/// Limits of what is measured; pressure, temperature, humidity, wind have their own, others those of the variable
/// table.
QualityLimits default_limits(const std::string& variable);

/// One sensor. Reports come in the order of their times.
class SensorQualityControl {
 public:
  explicit SensorQualityControl(QualityLimits limits) : limits_(limits) {}
  /// "" where the report may be used, otherwise why not.
  std::string check(Time time, double value);
  /// The same for its departure from a forecast (SI): far from the recent ones, or a jump away from the last one that
  /// the next report does not confirm. What passes joins the recent ones.
  std::string check_departure(double departure);
  const std::vector<float>& departures() const { return departures_; }
  void restore(std::vector<float> departures) { departures_ = std::move(departures); }

 private:
  std::string judge_departure(double departure);
  double robust_deviation(std::vector<float> magnitudes) const;
  static constexpr std::size_t recent = 240;  ///< departures kept: ten days of hourly ones
  static constexpr std::size_t enough = 12;   ///< departures before they are judged
  QualityLimits limits_;
  bool any_ = false;
  Time last_time_{}, since_{};
  double held_ = 0;
  struct Reference {
    Time time{};
    double value = 0;
  };
  std::optional<Reference> reference_, before_;  ///< of the step check: the last report, and the last before it
  int refused_in_a_row_ = 0;
  std::vector<float> departures_;
  int departures_refused_ = 0;
  std::optional<double> unconfirmed_;  ///< the departure that jumped last
};

}  // namespace zonda::edge
