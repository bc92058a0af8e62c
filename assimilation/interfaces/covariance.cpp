#include "assimilation/interfaces/covariance.hpp"

#include <algorithm>

#include "core/error.hpp"
#include "core/philox.hpp"

namespace zonda::assimilation {

void Covariance::multiply(ConstView x, View y) const {
  Vector control(control_size());
  square_root_adjoint(x, control);
  square_root(control, y);
}

void Covariance::inverse(ConstView x, View y) const {
  constexpr double tolerance = 1e-12;
  require_size("the covariance's argument", x.size(), size());
  std::fill(y.begin(), y.end(), 0);
  Vector residual(x.begin(), x.end()), direction = residual, product(size());
  const double goal = tolerance * norm(x);
  double square = dot(residual, residual);
  for (std::size_t i = 0; i < 20 * size() + 100 && norm(residual) > goal; ++i) {
    multiply(direction, product);
    const double curvature = dot(direction, product);
    if (!(curvature > 0)) break;
    const double length = square / curvature;
    axpy(length, direction, y);
    axpy(-length, product, residual);
    const double next = dot(residual, residual);
    scale(next / square, direction);
    axpy(1, residual, direction);
    square = next;
  }
  if (!(norm(residual) <= goal))
    fail(ErrorKind::numerical, "covariance: no inverse, the residual stays at {:.3g} of {:.3g}", norm(residual),
         norm(x));
}

Vector Covariance::randomise(std::uint64_t seed, std::string_view purpose, std::uint64_t draw) const {
  const Philox random(seed, purpose);
  Vector control(control_size()), state(size());
  for (std::size_t i = 0; i < control.size(); ++i) control[i] = random.normal(draw * control.size() + i);
  square_root(control, state);
  return state;
}

}  // namespace zonda::assimilation
