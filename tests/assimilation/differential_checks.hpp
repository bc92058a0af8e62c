#pragma once
// What every map with a tangent and an adjoint must satisfy: models, operators, and whatever is adapted from above.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>

#include "random_vectors.hpp"

namespace zonda::assimilation {

/// A nonlinear map about one state, out of place.
struct DifferentiableMap {
  std::size_t input_size, output_size;
  Vector state;
  double scale;  ///< of perturbations
  std::function<Vector(ConstView)> apply;
  std::function<Vector(ConstView)> tangent, adjoint;  ///< at `state`
};

struct DifferentialTolerances {
  double adjoint = 1e-12, tangent = 1e-6, linearity = 1e-12, rounding = 1e-14;
};

inline void check_zero_stays_zero(const DifferentiableMap& map) {
  EXPECT_EQ(map.tangent(Vector(map.input_size)), Vector(map.output_size));
  EXPECT_EQ(map.adjoint(Vector(map.output_size)), Vector(map.input_size));
}

inline void check_linearity(const DifferentiableMap& map, const DifferentialTolerances& tolerances = {}) {
  const auto check = [&](const auto& linear, std::size_t size, const char* which) {
    const Vector a = random_vector(size, 1, map.scale), b = random_vector(size, 2, map.scale);
    Vector both = b;
    scale(-3, both);
    axpy(2, a, both);
    Vector expected = linear(b);
    scale(-3, expected);
    axpy(2, linear(a), expected);
    ASSERT_GT(norm(expected), 0) << which;
    EXPECT_LT(norm(difference(linear(both), expected)), tolerances.linearity * norm(expected)) << which;
  };
  check(map.tangent, map.input_size, "tangent");
  check(map.adjoint, map.output_size, "adjoint");
}

/// |f(x + h d) - f(x) - h f'(x) d| falls fourfold with each of ten halvings of h, unless f is linear, and ends below
/// tolerance times |h f'(x) d|.
inline void check_tangent(const DifferentiableMap& map, const DifferentialTolerances& tolerances = {}) {
  const Vector direction = random_vector(map.input_size, 3, map.scale), at = map.apply(map.state);
  const Vector slope = map.tangent(direction);
  ASSERT_GT(norm(slope), 0);
  constexpr double first = 1e-3;
  double before = 0, h = first;
  const double rounding = tolerances.rounding * norm(at);
  for (int halving = 0; halving <= 10; ++halving, h /= 2) {
    Vector moved = map.state;
    axpy(h, direction, moved);
    Vector remainder = difference(map.apply(moved), at);
    axpy(-h, slope, remainder);
    const double size = norm(remainder);
    if (halving > 0 && size > 30 * rounding) {
      EXPECT_NEAR(before / size, 4, 0.5) << "h " << h;
    }
    if (halving == 10) {
      EXPECT_LT(size, tolerances.tangent * h * norm(slope) + rounding);
    }
    before = size;
  }
}

inline void check_adjoint(const DifferentiableMap& map, const DifferentialTolerances& tolerances = {}) {
  for (std::uint64_t draw = 0; draw < 5; ++draw) {
    const Vector x = random_vector(map.input_size, 10 + draw, map.scale);
    const Vector y = random_vector(map.output_size, 20 + draw, map.scale);
    const Vector forward = map.tangent(x), backward = map.adjoint(y);
    const double one = dot(forward, y), other = dot(x, backward);
    ASSERT_NE(x, y);
    ASSERT_NE(one, 0);
    ASSERT_NE(other, 0);
    EXPECT_LT(std::abs(one - other), tolerances.adjoint * norm(forward) * norm(y));
  }
}

}  // namespace zonda::assimilation
