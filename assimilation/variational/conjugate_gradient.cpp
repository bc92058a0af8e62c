#include "assimilation/variational/conjugate_gradient.hpp"

#include "core/error.hpp"

namespace zonda::assimilation {

Minimum ConjugateGradient::minimise(const CostFunction& function, ConstView start) const {
  const std::size_t size = start.size();
  Vector x(start.begin(), start.end()), first_gradient(size), gradient(size), moved_gradient(size);
  double cost = function.evaluate(x, first_gradient);
  gradient = first_gradient;
  const double first_norm = norm(gradient);
  Minimum result{{}, {cost}, 1};
  Vector direction = gradient;
  scale(-1, direction);
  for (std::size_t i = 0; i < iterations_ && norm(gradient) > tolerance_ * first_norm; ++i) {
    Vector moved(start.begin(), start.end());
    axpy(1, direction, moved);
    function.evaluate(moved, moved_gradient);
    const Vector hessian_direction = difference(moved_gradient, first_gradient);
    const double curvature = dot(direction, hessian_direction), square = dot(gradient, gradient);
    if (!(curvature > 0))
      fail(ErrorKind::numerical, "conjugate gradients: curvature {:.3g} along a direction", curvature);
    const double length = square / curvature;
    axpy(length, direction, x);
    axpy(length, hessian_direction, gradient);
    cost -= length * square / 2;
    result.costs.push_back(cost);
    scale(dot(gradient, gradient) / square, direction);
    axpy(-1, gradient, direction);
  }
  result.x = x;
  result.gradient_ratio = first_norm > 0 ? norm(gradient) / first_norm : 0;
  return result;
}

}  // namespace zonda::assimilation
