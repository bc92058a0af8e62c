#include <gtest/gtest.h>

#include <Eigen/Dense>
#include <cmath>

#include "assimilation/variational/conjugate_gradient.hpp"
#include "assimilation/variational/lbfgs.hpp"
#include "core/error.hpp"
#include "random_vectors.hpp"

namespace zonda::assimilation {
namespace {

using Matrix = Eigen::MatrixXd;

/// 1/2 x^T A x - b^T x with A's eigenvalues from 1 to 1000.
class Quadratic final : public CostFunction {
 public:
  Quadratic() : a_(Matrix::Zero(n, n)), b_(n) {
    Matrix random(n, n);
    for (Eigen::Index i = 0; i < n; ++i) {
      const Vector column = random_vector(n, static_cast<std::uint64_t>(i));
      random.col(i) = Eigen::Map<const Eigen::VectorXd>(column.data(), n);
      b_(i) = std::cos(static_cast<double>(i));
    }
    const Matrix q = Eigen::HouseholderQR<Matrix>(random).householderQ();
    for (Eigen::Index i = 0; i < n; ++i)
      a_ += std::pow(10, 3 * static_cast<double>(i) / (n - 1)) * q.col(i) * q.col(i).transpose();
  }
  std::size_t size() const override { return n; }
  double evaluate(ConstView x, View gradient) const override {
    const Eigen::Map<const Eigen::VectorXd> at(x.data(), n);
    Eigen::Map<Eigen::VectorXd>(gradient.data(), n) = a_ * at - b_;
    return at.dot(a_ * at) / 2 - b_.dot(at);
  }
  Vector minimum() const {
    const Eigen::VectorXd x = a_.llt().solve(b_);
    return {x.data(), x.data() + n};
  }

 private:
  static constexpr Eigen::Index n = 20;
  Matrix a_;
  Eigen::VectorXd b_;
};

class Rosenbrock final : public CostFunction {
 public:
  std::size_t size() const override { return 2; }
  double evaluate(ConstView x, View gradient) const override {
    const double valley = x[1] - x[0] * x[0], ahead = 1 - x[0];
    gradient[0] = -400 * x[0] * valley - 2 * ahead;
    gradient[1] = 200 * valley;
    return 100 * valley * valley + ahead * ahead;
  }
};

class Broken final : public CostFunction {
 public:
  std::size_t size() const override { return 1; }
  double evaluate(ConstView, View gradient) const override {
    gradient[0] = 1;
    return std::nan("");
  }
};

void expect_falling(const Vector& costs) {
  ASSERT_GE(costs.size(), 2U);
  for (std::size_t i = 1; i < costs.size(); ++i) EXPECT_LE(costs[i], costs[i - 1]);
}

TEST(ConjugateGradient, finds_the_minimum_of_a_quadratic) {
  const Quadratic cost;
  const Minimum found = ConjugateGradient(200, 1e-12).minimise(cost, Vector(cost.size(), 1));
  EXPECT_LT(norm(difference(found.x, cost.minimum())), 1e-9);
  EXPECT_LE(found.gradient_ratio, 1e-12);
  EXPECT_LT(found.costs.size(), 80U);
  expect_falling(found.costs);
}

TEST(Lbfgs, finds_the_minimum_of_a_quadratic) {
  const Quadratic cost;
  const Minimum found = Lbfgs(500, 1e-10).minimise(cost, Vector(cost.size(), 1));
  EXPECT_LT(norm(difference(found.x, cost.minimum())), 1e-6);
  expect_falling(found.costs);
}

TEST(Lbfgs, follows_a_curved_valley) {
  const Minimum found = Lbfgs(200, 1e-12).minimise(Rosenbrock(), Vector{-1.2, 1});
  EXPECT_NEAR(found.x[0], 1, 1e-8);
  EXPECT_NEAR(found.x[1], 1, 1e-8);
  EXPECT_LT(found.costs.size(), 60U);
  expect_falling(found.costs);
}

TEST(Minimisers, stay_where_the_gradient_is_zero) {
  const Minimum found = Lbfgs().minimise(Rosenbrock(), Vector{1, 1});
  EXPECT_EQ(found.x, (Vector{1, 1}));
  EXPECT_EQ(found.costs, (Vector{0}));
}

TEST(Minimisers, say_that_a_cost_is_no_number) {
  EXPECT_THROW(Lbfgs().minimise(Broken(), Vector{0}), Error);
}

}  // namespace
}  // namespace zonda::assimilation
