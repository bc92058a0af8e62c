#include "assimilation/ensemble/ensemble_transform.hpp"

#include <Eigen/Dense>
#include <cmath>
#include <vector>

#include "core/error.hpp"

namespace zonda::assimilation {

using Matrix = Eigen::Matrix<double, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
using Eigensolver = Eigen::SelfAdjointEigenSolver<Eigen::MatrixXd>;

/// T = base I + modes^T diag(gains) modes, with `rank` modes of N numbers. Buffers for up to N observations at once.
struct EnsembleTransform::Scratch {
  explicit Scratch(Eigen::Index n)
      : members(n), solvers(static_cast<std::size_t>(n) + 1), modes(n, n), gains(n), transform(n, n), weights(n) {}
  Eigensolver& solver(Eigen::Index size) {
    auto& one = solvers[static_cast<std::size_t>(size)];
    if (!one) one = std::make_unique<Eigensolver>(size);
    return *one;
  }
  Eigen::Index members, rank = 0;
  double base = 1;
  std::vector<std::unique_ptr<Eigensolver>> solvers;  ///< by size
  Eigen::MatrixXd matrix;
  Matrix modes;
  Eigen::VectorXd gains;
  Matrix transform;
  bool formed = false;
  Eigen::VectorXd weights, projection;
  Matrix background, analysis, in_modes;
};

EnsembleTransform::EnsembleTransform(std::size_t members)
    : scratch_(std::make_unique<Scratch>(static_cast<Eigen::Index>(members))) {
  if (members < 2) fail(ErrorKind::usage, "an ensemble of {}, expected at least 2 members", members);
}

EnsembleTransform::~EnsembleTransform() = default;

void EnsembleTransform::solve(ConstView anomalies, ConstView departures, double inflation) {
  Scratch& s = *scratch_;
  const Eigen::Index n = s.members, p = static_cast<Eigen::Index>(departures.size());
  require_size("the observed anomalies", anomalies.size(), departures.size() * static_cast<std::size_t>(n));
  const Eigen::Map<const Matrix> observed(anomalies.data(), p, n);
  const Eigen::Map<const Eigen::VectorXd> departure(departures.data(), p);
  const double a = static_cast<double>(n - 1) / inflation;
  s.rank = std::min(n, p);
  s.formed = false;
  s.weights.setZero();
  s.base = std::sqrt(inflation);
  if (p == 0) return;
  const bool by_observation = p < n;
  s.matrix.resize(s.rank, s.rank);
  s.matrix.setZero();
  if (by_observation)
    s.matrix.selfadjointView<Eigen::Lower>().rankUpdate(observed);
  else
    s.matrix.selfadjointView<Eigen::Lower>().rankUpdate(observed.transpose());
  Eigensolver& eigen = s.solver(s.rank);
  eigen.compute(s.matrix);
  if (eigen.info() != Eigen::Success || !std::isfinite(eigen.eigenvalues()(s.rank - 1)))
    fail(ErrorKind::numerical, "no eigenvalues of the ensemble's precision matrix; is an observed value not a number?");
  const auto& vectors = eigen.eigenvectors();
  const auto values = eigen.eigenvalues().array().max(0);
  if (by_observation) {
    // Rows of U^T S are the right singular vectors of S times their singular values.
    s.modes.topRows(s.rank).noalias() = vectors.transpose() * observed;
    s.projection.noalias() = vectors.transpose() * departure;
    s.gains.head(s.rank) = -s.base / ((a + values) * (1 + (a / (a + values)).sqrt()));
  } else {
    s.modes = vectors.transpose();
    s.weights.noalias() = observed.transpose() * departure;
    s.projection.noalias() = s.modes * s.weights;
    s.gains = (static_cast<double>(n - 1) / (a + values)).sqrt();
    s.base = 0;
  }
  s.projection.array() /= a + values;
  s.weights.noalias() = s.modes.topRows(s.rank).transpose() * s.projection;
}

void EnsembleTransform::use(ConstView weights, ConstView transform) {
  Scratch& s = *scratch_;
  require_size("ensemble weights", weights.size(), static_cast<std::size_t>(s.members));
  require_size("an ensemble transform", transform.size(), weights.size() * weights.size());
  s.weights = Eigen::Map<const Eigen::VectorXd>(weights.data(), s.members);
  s.transform = Eigen::Map<const Matrix>(transform.data(), s.members, s.members);
  s.formed = true;
}

ConstView EnsembleTransform::weights() const {
  return {scratch_->weights.data(), static_cast<std::size_t>(scratch_->weights.size())};
}

void EnsembleTransform::form_transform() const {
  Scratch& s = *scratch_;
  if (s.formed) return;
  const auto modes = s.modes.topRows(s.rank);
  s.transform.noalias() = modes.transpose() * (s.gains.head(s.rank).asDiagonal() * modes);
  s.transform.diagonal().array() += s.base;
  s.formed = true;
}

ConstView EnsembleTransform::transform() const {
  form_transform();
  return {scratch_->transform.data(), static_cast<std::size_t>(scratch_->transform.size())};
}

void EnsembleTransform::update(const Inflation& inflation, View variables) {
  Scratch& s = *scratch_;
  const Eigen::Index n = s.members, count = static_cast<Eigen::Index>(variables.size()) / n;
  Eigen::Map<Matrix> values(variables.data(), count, n);
  // One after the other: a vectorised sum would depend on where in memory the rows begin, which ranks decide.
  s.projection.setZero(count);
  for (Eigen::Index v = 0; v < count; ++v) {
    double sum = 0;
    for (Eigen::Index k = 0; k < n; ++k) sum += values(v, k);
    s.projection(v) = sum / static_cast<double>(n);
  }
  s.background = values.colwise() - s.projection;
  // The modes one after the other cost 4 rank products a variable; T itself 2 N, once it is there.
  if (!s.formed && count < s.rank) {
    s.in_modes.noalias() = s.background * s.modes.topRows(s.rank).transpose();
    s.in_modes *= s.gains.head(s.rank).asDiagonal();
    s.analysis.noalias() = s.in_modes * s.modes.topRows(s.rank);
    if (s.base != 0) s.analysis += s.base * s.background;
  } else {
    form_transform();
    s.analysis.noalias() = s.background * s.transform;
  }
  for (Eigen::Index v = 0; v < count; ++v) {
    const auto row = static_cast<std::size_t>(v * n), width = static_cast<std::size_t>(n);
    inflate(inflation, ConstView(s.background.data() + row, width), View(s.analysis.data() + row, width));
  }
  s.projection.noalias() += s.background * s.weights;
  values = s.analysis.colwise() + s.projection;
}

}  // namespace zonda::assimilation
