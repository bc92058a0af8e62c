#include "assimilation/interfaces/position.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "core/constants.hpp"
#include "core/error.hpp"

namespace zonda::assimilation {
namespace {

constexpr double degree = constants::pi / 180;

double around(double difference, double length) {
  const double d = std::fmod(std::abs(difference), length);
  return std::min(d, length - d);
}

}  // namespace

PeriodicMetric::PeriodicMetric(double length_x, double length_y) : length_x_(length_x), length_y_(length_y) {
  if (!(length_x > 0) || length_y < 0)
    fail(ErrorKind::usage, "periodic domain of {} by {}, expected positive lengths", length_x, length_y);
}

double PeriodicMetric::distance(const Position& a, const Position& b) const {
  const double dx = around(a.x - b.x, length_x_);
  return length_y_ > 0 ? std::hypot(dx, around(a.y - b.y, length_y_)) : dx;
}

double PeriodicMetric::reach_in_y(double) const {
  return std::numeric_limits<double>::infinity();
}

double SphereMetric::reach_in_y(double distance) const {
  return distance / (constants::earth_radius * degree);
}

/// A circle of angular radius r about latitude phi that holds no pole spans asin(sin r / cos phi) to either side.
double SphereMetric::reach_in_x(double distance, double latitude) const {
  const double radius = distance / constants::earth_radius, to_pole = (90 - std::abs(latitude)) * degree;
  if (!(radius < to_pole)) return 180;
  return std::asin(std::min(1.0, std::sin(radius) / std::cos(latitude * degree))) / degree;
}

double SphereMetric::distance(const Position& a, const Position& b) const {
  const double half_dx = std::sin((a.x - b.x) * degree / 2), half_dy = std::sin((a.y - b.y) * degree / 2);
  const double h = half_dy * half_dy + std::cos(a.y * degree) * std::cos(b.y * degree) * half_dx * half_dx;
  return 2 * constants::earth_radius * std::asin(std::min(1.0, std::sqrt(h)));
}

}  // namespace zonda::assimilation
