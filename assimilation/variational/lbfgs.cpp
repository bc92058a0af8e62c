#include "assimilation/variational/lbfgs.hpp"

#include <cmath>
#include <deque>
#include <limits>

#include "core/error.hpp"

namespace zonda::assimilation {
namespace {

struct Correction {
  Vector step, change;  ///< of x and of the gradient
  double curvature;     ///< their product, > 0
};

/// -H gradient by the two-loop recursion.
Vector descent_direction(const std::deque<Correction>& corrections, ConstView gradient) {
  Vector direction(gradient.begin(), gradient.end()), factors(corrections.size());
  scale(-1, direction);
  for (std::size_t i = corrections.size(); i-- > 0;) {
    factors[i] = dot(corrections[i].step, direction) / corrections[i].curvature;
    axpy(-factors[i], corrections[i].change, direction);
  }
  if (!corrections.empty()) {
    const Correction& newest = corrections.back();
    scale(newest.curvature / dot(newest.change, newest.change), direction);
  }
  for (std::size_t i = 0; i < corrections.size(); ++i) {
    const Correction& c = corrections[i];
    axpy(factors[i] - dot(c.change, direction) / c.curvature, c.step, direction);
  }
  return direction;
}

struct Point {
  Vector x, gradient;
  double cost;
};

/// The first point along `direction` that satisfies the weak Wolfe conditions; false where none is found.
bool search(const CostFunction& function, const Point& from, ConstView direction, double length, Point& to) {
  constexpr double enough_decrease = 1e-4, enough_flattening = 0.9;
  const double slope = dot(from.gradient, direction);
  double shortest = 0, longest = std::numeric_limits<double>::infinity();
  for (int trial = 0; trial < 40; ++trial) {
    to.x = from.x;
    axpy(length, direction, to.x);
    to.cost = function.evaluate(to.x, to.gradient);
    if (!(to.cost <= from.cost + enough_decrease * length * slope))
      longest = length;
    else if (dot(to.gradient, direction) < enough_flattening * slope)
      shortest = length;
    else
      return true;
    length = std::isfinite(longest) ? (shortest + longest) / 2 : 2 * length;
  }
  return false;
}

}  // namespace

Minimum Lbfgs::minimise(const CostFunction& function, ConstView start) const {
  Point at{Vector(start.begin(), start.end()), Vector(start.size()), 0}, next = at;
  at.cost = function.evaluate(at.x, at.gradient);
  if (!std::isfinite(at.cost)) fail(ErrorKind::numerical, "the cost function is {} at the start", at.cost);
  const double first_norm = norm(at.gradient);
  Minimum result{{}, {at.cost}, 1};
  std::deque<Correction> corrections;
  for (std::size_t i = 0; i < iterations_ && norm(at.gradient) > tolerance_ * first_norm; ++i) {
    const Vector direction = descent_direction(corrections, at.gradient);
    const double length = corrections.empty() ? std::min(1.0, 1 / norm(at.gradient)) : 1;
    if (!search(function, at, direction, length, next)) break;
    Correction correction{difference(next.x, at.x), difference(next.gradient, at.gradient), 0};
    correction.curvature = dot(correction.step, correction.change);
    if (correction.curvature > 0) corrections.push_back(std::move(correction));
    if (corrections.size() > memory_) corrections.pop_front();
    std::swap(at, next);
    result.costs.push_back(at.cost);
  }
  result.x = at.x;
  result.gradient_ratio = first_norm > 0 ? norm(at.gradient) / first_norm : 0;
  return result;
}

}  // namespace zonda::assimilation
