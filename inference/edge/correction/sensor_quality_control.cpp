#include "inference/edge/correction/sensor_quality_control.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "core/variables.hpp"

namespace zonda::edge {
namespace {

double median(std::vector<float> values) {
  if (values.empty()) return 0;
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return static_cast<double>(*middle);
}

}  // namespace

QualityLimits default_limits(const std::string& variable) {
  using std::chrono::hours;
  // Steps after WMO-No. 8, part V, annex 1.B, widened to an hour.
  if (variable == "2t") return {213.15, 333.15, 8, hours(12), 5, 0.3};
  if (variable == "2d") return {193.15, 308.15, 8, hours(24), 5, 0.3};
  if (variable == "msl" || variable == "sp") return {3e4, 1.1e5, 700, hours(24), 5, 30};
  if (variable == "10si" || variable == "10fg") return {0, 80, 15, hours(48), 5, 0.5, 5};
  if (variable == "r" || variable == "2r") return {0, 103, 40, hours(0), 5, 2};
  if (const Variable* known = find_variable(variable))
    return {known->valid_min, known->valid_max, known->valid_max - known->valid_min, hours(0), 5, 0};
  return {-1e12, 1e12, 1e12, hours(0), 5, 0};
}

std::string SensorQualityControl::check(Time time, double value) {
  if (!(value >= limits_.least && value <= limits_.most))
    return fmt::format("{:.6g} is outside {:.6g} to {:.6g}", value, limits_.least, limits_.most);
  if (any_ && time <= last_time_) return "not later than the report before it";
  if (reference_) {
    const double hours = static_cast<double>((time - reference_->time).count()) / 3600;
    const double allowed = limits_.step * std::sqrt(std::clamp(hours, 1.0, 24.0));
    // Three in a row that agree with each other are a new level, not errors.
    if (std::abs(value - reference_->value) > allowed && ++refused_in_a_row_ < 4)
      return fmt::format("a step of {:.6g} in {:.2g} h; at most {:.6g}", value - reference_->value, hours, allowed);
  }
  refused_in_a_row_ = 0;
  if (!any_ || value != held_) {
    held_ = value;
    since_ = time;
  }
  any_ = true;
  last_time_ = time;
  before_ = reference_;
  reference_ = {time, value};
  if (limits_.stuck > Duration::zero() && time - since_ > limits_.stuck)
    return fmt::format("stuck at {:.6g} for {}", value, to_string(Duration(time - since_)));
  return "";
}

double SensorQualityControl::robust_deviation(std::vector<float> magnitudes) const {
  return std::max({1.4826 * median(std::move(magnitudes)), limits_.departure_floor, 1e-9});
}

std::string SensorQualityControl::check_departure(double departure) {
  std::string reason = judge_departure(departure);
  // The step to the next report is from the last one that was believed.
  if (!reason.empty()) reference_ = before_;
  return reason;
}

std::string SensorQualityControl::judge_departure(double departure) {
  std::vector<float> spreads, steps;
  const double middle = departures_.empty() ? departure : median(departures_);
  for (std::size_t i = 0; i < departures_.size(); ++i) {
    spreads.push_back(std::abs(departures_[i] - static_cast<float>(middle)));
    if (i > 0) steps.push_back(std::abs(departures_[i] - departures_[i - 1]));
  }
  if (departures_.size() >= enough) {
    const double robust = (departure - middle) / robust_deviation(std::move(spreads));
    if (std::abs(robust) > limits_.departure) {
      if (++departures_refused_ < 24) return fmt::format("{:.3g} robust deviations from the recent departures", robust);
      // A forecast that changed (another model) departs for good: after a day of refusals the past is forgotten.
      departures_.clear();
      steps.clear();
    }
  }
  if (!departures_.empty()) {
    const double step_deviation = robust_deviation(std::move(steps));
    const auto jumps_from = [&](double other) { return std::abs(departure - other) > limits_.jump * step_deviation; };
    const double step = departure - static_cast<double>(departures_.back());
    if (jumps_from(static_cast<double>(departures_.back())) && !(unconfirmed_ && !jumps_from(*unconfirmed_))) {
      unconfirmed_ = departure;
      return fmt::format("a jump of {:.3g} robust deviations", step / step_deviation);
    }
  }
  unconfirmed_.reset();
  departures_refused_ = 0;
  if (departures_.size() >= recent) departures_.erase(departures_.begin());
  departures_.push_back(static_cast<float>(departure));
  return "";
}

}  // namespace zonda::edge
