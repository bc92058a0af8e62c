#include "assimilation/ensemble/rotation.hpp"

#include <Eigen/Dense>
#include <cmath>

#include "core/philox.hpp"

namespace zonda::assimilation {
namespace {

using Matrix = Eigen::Matrix<double, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;

/// Uniform over the orthogonal group: QR of normal numbers with the signs of R's diagonal put into Q (Mezzadri 2007).
Matrix random_orthogonal(std::size_t n, std::uint64_t seed, std::uint64_t draw) {
  const Philox random(seed, "ensemble rotation");
  const auto size = static_cast<Eigen::Index>(n);
  Matrix normal(size, size);
  for (std::size_t i = 0; i < n * n; ++i) normal.data()[i] = random.normal(draw * n * n + i);
  const Eigen::HouseholderQR<Matrix> qr(normal);
  const Eigen::VectorXd signs = qr.matrixQR().diagonal().unaryExpr([](double r) { return r < 0 ? -1.0 : 1.0; });
  return Matrix(qr.householderQ()) * signs.asDiagonal();
}

}  // namespace

Vector mean_preserving_rotation(std::size_t members, std::uint64_t seed, std::uint64_t draw) {
  const auto n = static_cast<Eigen::Index>(members);
  // The reflection that takes the first axis to (1, ..., 1) / sqrt(n); its other columns span what may turn.
  Eigen::VectorXd normal = Eigen::VectorXd::Constant(n, -1 / std::sqrt(static_cast<double>(members)));
  normal(0) += 1;
  Matrix basis = Matrix::Identity(n, n);
  if (normal.squaredNorm() > 0) basis -= normal * normal.transpose() * (2 / normal.squaredNorm());
  Matrix turn = Matrix::Identity(n, n);
  if (members > 1) turn.bottomRightCorner(n - 1, n - 1) = random_orthogonal(members - 1, seed, draw);
  Vector result(members * members);
  Eigen::Map<Matrix>(result.data(), n, n) = basis * turn * basis.transpose();
  return result;
}

void rotate(Ensemble& ensemble, std::uint64_t seed, std::uint64_t draw) {
  const std::size_t members = ensemble.total();
  const Vector mean = ensemble.mean(), rotation = mean_preserving_rotation(members, seed, draw);
  const std::vector<Vector> anomalies = ensemble.anomalies();
  for (std::size_t k = 0; k < members; ++k) {
    copy(mean, ensemble.member(k));
    for (std::size_t j = 0; j < members; ++j) axpy(rotation[k * members + j], anomalies[j], ensemble.member(k));
  }
}

}  // namespace zonda::assimilation
