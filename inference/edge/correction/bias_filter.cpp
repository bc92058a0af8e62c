#include "inference/edge/correction/bias_filter.hpp"

#include <algorithm>
#include <cmath>

namespace zonda::edge {
namespace {

/// Hours of the day around a time, and the share of the second.
struct Between {
  std::size_t first, second;
  double share;
};
Between hours_around(Time time) {
  const double hour = second_of_day(time) / 3600;
  const auto first = static_cast<std::size_t>(hour) % BiasFilter::hours;
  return {first, (first + 1) % BiasFilter::hours, hour - std::floor(hour)};
}

}  // namespace

BiasFilter::BiasFilter(const BiasFilterParameters& p)
    : parameters_(p), variance_(p.first_deviation * p.first_deviation) {
  for (std::size_t i = 0; i < hours; ++i) {
    for (std::size_t k = 0; k < hours; ++k) {
      const double direct = std::abs(static_cast<double>(i) - static_cast<double>(k));
      const double apart = std::min(direct, static_cast<double>(hours) - direct) / 6;
      correlation_[i * hours + k] = p.common + (1 - p.common) * std::exp(-apart * apart);
      covariance_[i * hours + k] = p.prior * variance_ * correlation_[i * hours + k];
    }
  }
}

double BiasFilter::bias(Time valid) const {
  const auto [first, second, share] = hours_around(valid);
  return (1 - share) * bias_[first] + share * bias_[second];
}

double BiasFilter::variance_of_bias(Time valid) const {
  const auto [first, second, share] = hours_around(valid);
  return std::max((1 - share) * covariance(first, first) + share * covariance(second, second), 0.0);
}

double BiasFilter::correction(Time valid) const {
  const double b = bias(valid), doubt = parameters_.caution * variance_of_bias(valid);
  return b == 0 ? 0 : b * b * b / (b * b + doubt);
}

double BiasFilter::uncertainty(Time valid) const {
  return std::sqrt(variance_of_bias(valid) + variance_);
}

void BiasFilter::observe(Time valid, double error) {
  if (!std::isfinite(error) || (last_ && valid <= *last_)) return;
  const double passed = last_ ? static_cast<double>((valid - *last_).count()) / 3600 : 24.0;
  last_ = valid;
  const double independent = parameters_.independent_hours;
  const double change = variance_ * (independent / 24) / (parameters_.memory_days * parameters_.memory_days);
  for (std::size_t i = 0; i < covariance_.size(); ++i)
    covariance_[i] += change * std::min(passed / 24, 30.0) * correlation_[i];

  const auto [first, second, share] = hours_around(valid);
  const std::size_t hour = share < 0.5 ? first : second;
  const double random = variance_ * std::max(1.0, independent / std::max(passed, 0.01));
  const double prior = covariance(hour, hour), total = prior + random;
  const double most = 3 * std::sqrt(prior + variance_);
  const double innovation = std::clamp(error - bias_[hour], -most, most);
  std::array<double, hours> column;
  for (std::size_t i = 0; i < hours; ++i) column[i] = covariance(i, hour);
  for (std::size_t i = 0; i < hours; ++i) {
    bias_[i] += column[i] / total * innovation;
    for (std::size_t k = 0; k < hours; ++k) covariance_[i * hours + k] -= column[i] * column[k] / total;
  }
  ++observations_;
  // The innovation's variance is that of the random error and of the bias; a month's memory.
  if (observations_ > hours) {
    const double weight = std::max(1 / static_cast<double>(observations_), std::min(passed, 24.0) / (24 * 30));
    const double seen = std::max(innovation * innovation - prior, 0.01 * variance_);
    variance_ = (1 - weight) * variance_ + weight * seen;
  }
}

BiasFilter::State BiasFilter::state() const {
  State s;
  for (std::size_t i = 0; i < hours; ++i) {
    s.bias[i] = static_cast<float>(bias_[i]);
    for (std::size_t k = 0; k <= i; ++k) s.covariance[i * (i + 1) / 2 + k] = static_cast<float>(covariance(i, k));
  }
  s.variance = variance_;
  s.last = last_ ? last_->time_since_epoch().count() : 0;
  s.observations = observations_;
  return s;
}

std::optional<BiasFilter> BiasFilter::restore(const BiasFilterParameters& parameters, const State& s) {
  BiasFilter filter(parameters);
  if (!std::isfinite(s.variance) || s.variance <= 0) return std::nullopt;
  for (std::size_t i = 0; i < hours; ++i) {
    if (!std::isfinite(s.bias[i])) return std::nullopt;
    filter.bias_[i] = static_cast<double>(s.bias[i]);
    for (std::size_t k = 0; k <= i; ++k) {
      const auto value = static_cast<double>(s.covariance[i * (i + 1) / 2 + k]);
      if (!std::isfinite(value) || (i == k && value < 0)) return std::nullopt;
      filter.covariance_[i * hours + k] = filter.covariance_[k * hours + i] = value;
    }
  }
  filter.variance_ = s.variance;
  if (s.observations > 0) filter.last_ = Time(Duration(s.last));
  filter.observations_ = s.observations;
  return filter;
}

}  // namespace zonda::edge
