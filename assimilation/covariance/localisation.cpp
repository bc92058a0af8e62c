#include "assimilation/covariance/localisation.hpp"

#include <cmath>
#include <limits>

#include "core/error.hpp"

namespace zonda::assimilation {

double gaspari_cohn(double r) {
  r = std::abs(r);
  if (r >= 2) return 0;
  if (r <= 1) return 1 + r * r * (-5.0 / 3 + r * (5.0 / 8 + r * (0.5 - r / 4)));
  return 4 + r * (-5 + r * (5.0 / 3 + r * (5.0 / 8 + r * (-0.5 + r / 12)))) - 2 / (3 * r);
}

Localisation::Localisation(std::shared_ptr<const Metric> metric, double horizontal_half_support,
                           double vertical_half_support)
    : metric_(std::move(metric)), horizontal_(horizontal_half_support), vertical_(vertical_half_support) {
  if (!(horizontal_ > 0) || !(vertical_ > 0))
    fail(ErrorKind::usage, "localisation over {} and {}, expected > 0", horizontal_, vertical_);
}

double Localisation::reach_in_y() const {
  return metric_ ? metric_->reach_in_y(2 * horizontal_) : std::numeric_limits<double>::infinity();
}

double Localisation::reach_in_x(double y) const {
  return metric_ ? metric_->reach_in_x(2 * horizontal_, y) : std::numeric_limits<double>::infinity();
}

double Localisation::reach_in_z() const {
  return metric_ ? 2 * vertical_ : std::numeric_limits<double>::infinity();
}

double Localisation::period_in_x() const {
  return metric_ ? metric_->period_in_x() : std::numeric_limits<double>::infinity();
}

}  // namespace zonda::assimilation
