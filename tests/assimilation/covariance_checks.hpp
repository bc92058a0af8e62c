#pragma once
// What every covariance must satisfy.
#include <gtest/gtest.h>

#include <cmath>

#include "assimilation/interfaces/covariance.hpp"
#include "random_vectors.hpp"

namespace zonda::assimilation {

inline Vector times(const Covariance& b, ConstView x) {
  Vector y(b.size(), 99);
  b.multiply(x, y);
  return y;
}

inline Vector root(const Covariance& b, ConstView control) {
  Vector y(b.size(), 99);
  b.square_root(control, y);
  return y;
}

inline Vector root_adjoint(const Covariance& b, ConstView x) {
  Vector control(b.control_size(), 99);
  b.square_root_adjoint(x, control);
  return control;
}

/// What one observation at element i makes: a column of B.
inline Vector column(const Covariance& b, std::size_t i) {
  Vector unit(b.size());
  unit[i] = 1;
  return times(b, unit);
}

inline void check_zero_to_zero(const Covariance& b) {
  EXPECT_EQ(times(b, Vector(b.size())), Vector(b.size()));
  EXPECT_EQ(root(b, Vector(b.control_size())), Vector(b.size()));
  EXPECT_EQ(root_adjoint(b, Vector(b.size())), Vector(b.control_size()));
}

inline void check_linear_symmetric_and_positive(const Covariance& b) {
  const Vector x = random_vector(b.size(), 1), y = random_vector(b.size(), 2);
  Vector both = x;
  axpy(-2, y, both);
  Vector expected = times(b, x);
  axpy(-2, times(b, y), expected);
  EXPECT_LT(norm(difference(times(b, both), expected)), 1e-12 * norm(expected));
  ASSERT_NE(dot(x, times(b, y)), 0);
  EXPECT_NEAR(dot(x, times(b, y)), dot(times(b, x), y), 1e-10 * norm(x) * norm(times(b, y)));
  for (std::uint64_t draw = 0; draw < 10; ++draw) {
    const Vector z = random_vector(b.size(), 30 + draw);
    EXPECT_GT(dot(z, times(b, z)), 0);
  }
}

inline void check_square_of_its_root(const Covariance& b) {
  const Vector x = random_vector(b.size(), 1), v = random_vector(b.control_size(), 2);
  EXPECT_LT(norm(difference(root(b, root_adjoint(b, x)), times(b, x))), 1e-10 * norm(times(b, x)));
  ASSERT_NE(dot(root(b, v), x), 0);
  EXPECT_NEAR(dot(root(b, v), x), dot(v, root_adjoint(b, x)), 1e-12 * norm(v) * norm(root_adjoint(b, x)));
}

/// The variance of a projection of draws is x^T B x, to five standard errors.
inline void check_draws(const Covariance& b, std::size_t draws) {
  const Vector x = random_vector(b.size(), 1);
  const auto count = static_cast<double>(draws);
  double sum = 0, squares = 0;
  for (std::size_t k = 0; k < draws; ++k) {
    const double projection = dot(x, b.randomise(7, "sample", k));
    sum += projection;
    squares += projection * projection;
  }
  const double expected = dot(x, times(b, x));
  EXPECT_NEAR(sum / count, 0, 5 * std::sqrt(expected / count));
  EXPECT_NEAR(squares / count, expected, 5 * std::sqrt(2 / count) * expected);
  EXPECT_EQ(b.randomise(7, "sample", 3), b.randomise(7, "sample", 3));
  EXPECT_NE(b.randomise(7, "sample", 3), b.randomise(7, "sample", 4));
}

}  // namespace zonda::assimilation
