#include "assimilation/variational/drp_lanczos.hpp"

#include <Eigen/Dense>
#include <cmath>

#include "core/error.hpp"

namespace zonda::assimilation {
namespace {

/// The tridiagonal matrix of the Lanczos process and the solution of T y = first e_1.
struct Tridiagonal {
  Vector diagonal, off_diagonal;

  Vector solve(double first) const {
    const std::size_t n = diagonal.size();
    Vector pivot = diagonal, y(n);
    y[0] = first;
    for (std::size_t i = 1; i < n; ++i) {
      const double factor = off_diagonal[i - 1] / pivot[i - 1];
      pivot[i] -= factor * off_diagonal[i - 1];
      y[i] = -factor * y[i - 1];
    }
    for (std::size_t i = n; i-- > 0;) y[i] = (y[i] - (i + 1 < n ? off_diagonal[i] * y[i + 1] : 0)) / pivot[i];
    return y;
  }
};

DualPair combination(const std::vector<DualPair>& basis, ConstView factors, std::size_t size) {
  DualPair result{Vector(size), Vector(size)};
  for (std::size_t j = 0; j < factors.size(); ++j) {
    axpy(factors[j], basis[j].primal, result.primal);
    axpy(factors[j], basis[j].dual, result.dual);
  }
  return result;
}

}  // namespace

DualPair SpectralPreconditioner::apply(ConstView v) const {
  DualPair result{Vector(v.size()), Vector(v.begin(), v.end())};
  background_.multiply(v, result.primal);
  for (const RitzPair& pair : pairs_) {
    const double factor = (1 / pair.value - 1) * dot(pair.vector.primal, v);
    axpy(factor, pair.vector.primal, result.primal);
    axpy(factor, pair.vector.dual, result.dual);
  }
  return result;
}

LanczosResult drp_lanczos(const std::function<Vector(ConstView)>& curvature,
                          const SpectralPreconditioner& preconditioner, ConstView right_side,
                          const LanczosSettings& settings) {
  const std::size_t size = right_side.size();
  LanczosResult result;
  std::vector<Vector> residuals;  // v_j, with v_i . z_j = delta_ij
  std::vector<DualPair> basis;    // z_j = P v_j and B^-1 z_j
  Tridiagonal tridiagonal;
  Vector v(right_side.begin(), right_side.end()), y;
  DualPair z = preconditioner.apply(v);
  const double start = std::sqrt(std::max(0.0, dot(v, z.primal)));
  double beta = start;
  if (!std::isfinite(start)) fail(ErrorKind::numerical, "the gradient of the cost function is not a number");
  while (basis.size() < settings.iterations && beta > 0) {
    for (const View part : {View(v), View(z.primal), View(z.dual)}) scale(1 / beta, part);
    residuals.push_back(v);
    basis.push_back(z);
    const std::size_t last = basis.size() - 1;
    v = curvature(basis[last].primal);
    axpy(1, basis[last].dual, v);
    const double alpha = dot(v, basis[last].primal);
    for (int pass = 0; pass < 2; ++pass)
      for (std::size_t j = 0; j <= last; ++j) axpy(-dot(v, basis[j].primal), residuals[j], v);
    tridiagonal.diagonal.push_back(alpha);
    z = preconditioner.apply(v);
    beta = std::sqrt(std::max(0.0, dot(v, z.primal)));
    y = tridiagonal.solve(start);
    result.decrease.push_back(start * y[0] / 2);
    result.gradient_ratio = beta * std::abs(y[last]) / start;
    if (result.gradient_ratio <= settings.tolerance) break;
    tridiagonal.off_diagonal.push_back(beta);
  }
  result.increment = combination(basis, y, size);
  if (basis.empty()) return result;

  const auto n = static_cast<Eigen::Index>(basis.size());
  Eigen::SelfAdjointEigenSolver<Eigen::MatrixXd> eigen;
  const Eigen::Map<const Eigen::VectorXd> diagonal(tridiagonal.diagonal.data(), n),
      off_diagonal(tridiagonal.off_diagonal.data(), n - 1);
  eigen.computeFromTridiagonal(diagonal, off_diagonal);
  for (Eigen::Index j = 0; j < n; ++j) {
    const double value = eigen.eigenvalues()(j);
    const Eigen::VectorXd factors = eigen.eigenvectors().col(j);
    if (beta * std::abs(factors(n - 1)) > 0.01 * value) continue;
    result.ritz_values.push_back(value);
    result.ritz_vectors.push_back(combination(basis, ConstView(factors.data(), basis.size()), size));
  }
  return result;
}

}  // namespace zonda::assimilation
