#include "assimilation/covariance/dense_covariance.hpp"

#include <Eigen/Dense>
#include <cmath>

#include "core/error.hpp"

namespace zonda::assimilation {
namespace {

using Matrix = Eigen::Matrix<double, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;

void matrix_product(const Vector& matrix, ConstView x, View y) {
  const auto n = static_cast<Eigen::Index>(x.size());
  Eigen::Map<Eigen::VectorXd>(y.data(), n).noalias() =
      Eigen::Map<const Matrix>(matrix.data(), n, n) * Eigen::Map<const Eigen::VectorXd>(x.data(), n);
}

}  // namespace

DenseCovariance::DenseCovariance(std::size_t n, ConstView matrix, double clip)
    : n_(n), matrix_(matrix.begin(), matrix.end()), root_(n * n) {
  require_size("a covariance matrix", matrix.size(), n * n);
  const auto rows = static_cast<Eigen::Index>(n);
  Eigen::Map<Matrix> given(matrix_.data(), rows, rows);
  if (!given.isApprox(given.transpose(), 1e-12)) fail(ErrorKind::usage, "the covariance matrix is not symmetric");
  const Eigen::SelfAdjointEigenSolver<Matrix> eigen(given);
  const double largest = eigen.eigenvalues().maxCoeff(), smallest = eigen.eigenvalues().minCoeff();
  if (!(smallest >= -clip * largest))
    fail(ErrorKind::numerical, "the covariance matrix is not positive: eigenvalues from {:.3g} to {:.3g}", smallest,
         largest);
  const Eigen::VectorXd kept = eigen.eigenvalues().cwiseMax(0);
  Eigen::Map<Matrix>(root_.data(), rows, rows) =
      eigen.eigenvectors() * kept.cwiseSqrt().asDiagonal() * eigen.eigenvectors().transpose();
  if (smallest < 0) given = eigen.eigenvectors() * kept.asDiagonal() * eigen.eigenvectors().transpose();
}

void DenseCovariance::square_root(ConstView control, View y) const {
  matrix_product(root_, control, y);
}

void DenseCovariance::multiply(ConstView x, View y) const {
  matrix_product(matrix_, x, y);
}

DenseCovariance sample_covariance(std::span<const Vector> samples, double factor) {
  if (samples.size() < 2) fail(ErrorKind::usage, "covariance of {} samples, expected at least 2", samples.size());
  const std::size_t n = samples.front().size();
  Vector mean(n), matrix(n * n);
  for (const Vector& sample : samples) axpy(1 / static_cast<double>(samples.size()), sample, mean);
  const double weight = factor / static_cast<double>(samples.size() - 1);
  for (const Vector& sample : samples) {
    const Vector anomaly = difference(sample, mean);
    for (std::size_t i = 0; i < n; ++i)
      for (std::size_t j = 0; j < n; ++j) matrix[i * n + j] += weight * (anomaly[i] * anomaly[j]);
  }
  return {n, matrix};
}

std::shared_ptr<const DenseCovariance> localisation_matrix(const Localisation& localisation,
                                                           std::span<const Position> positions, double clip) {
  const std::size_t n = positions.size();
  Vector matrix(n * n);
  for (std::size_t i = 0; i < n; ++i)
    for (std::size_t j = 0; j <= i; ++j)
      matrix[i * n + j] = matrix[j * n + i] = localisation.weight(positions[i], positions[j]);
  return std::make_shared<DenseCovariance>(n, matrix, clip);
}

}  // namespace zonda::assimilation
