#include "assimilation/ensemble/ensemble_transform.hpp"

#include <Eigen/Dense>

#include "core/error.hpp"

namespace zonda::assimilation {

using Matrix = Eigen::Matrix<double, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;

struct EnsembleTransform::Scratch {
  explicit Scratch(Eigen::Index n)
      : precision(n, n), transform(n, n), eigen(n), projection(n), weights(n), background(n), analysis(n) {}
  Eigen::MatrixXd precision, scaled;
  Matrix transform;
  Eigen::SelfAdjointEigenSolver<Eigen::MatrixXd> eigen;
  Eigen::VectorXd projection, weights, background, analysis;
};

EnsembleTransform::EnsembleTransform(std::size_t members)
    : scratch_(std::make_unique<Scratch>(static_cast<Eigen::Index>(members))) {
  if (members < 2) fail(ErrorKind::usage, "an ensemble of {}, expected at least 2 members", members);
}

EnsembleTransform::~EnsembleTransform() = default;

void EnsembleTransform::solve(ConstView anomalies, ConstView departures) {
  Scratch& s = *scratch_;
  const Eigen::Index n = s.weights.size(), p = static_cast<Eigen::Index>(departures.size());
  require_size("the observed anomalies", anomalies.size(), departures.size() * static_cast<std::size_t>(n));
  const Eigen::Map<const Matrix> observed(anomalies.data(), p, n);
  const Eigen::Map<const Eigen::VectorXd> departure(departures.data(), p);
  s.precision.setZero();
  s.precision.diagonal().setConstant(static_cast<double>(n - 1));
  s.precision.selfadjointView<Eigen::Lower>().rankUpdate(observed.transpose());
  s.eigen.compute(s.precision);
  if (s.eigen.info() != Eigen::Success || !(s.eigen.eigenvalues()(0) > 0))
    fail(ErrorKind::numerical, "no eigenvalues of the ensemble's precision matrix; is an observed value not a number?");
  const auto& vectors = s.eigen.eigenvectors();
  const auto values = s.eigen.eigenvalues().array();
  s.projection.noalias() = observed.transpose() * departure;
  s.analysis.noalias() = vectors.transpose() * s.projection;
  s.analysis.array() /= values;
  s.weights.noalias() = vectors * s.analysis;
  s.scaled = vectors * (static_cast<double>(n - 1) / values).sqrt().matrix().asDiagonal();
  s.transform.noalias() = s.scaled * vectors.transpose();
}

ConstView EnsembleTransform::weights() const {
  return {scratch_->weights.data(), static_cast<std::size_t>(scratch_->weights.size())};
}

ConstView EnsembleTransform::transform() const {
  return {scratch_->transform.data(), static_cast<std::size_t>(scratch_->transform.size())};
}

void EnsembleTransform::update(const Inflation& inflation, View variable) {
  Scratch& s = *scratch_;
  Eigen::Map<Eigen::VectorXd> values(variable.data(), static_cast<Eigen::Index>(variable.size()));
  const double mean = values.mean();
  s.background = values.array() - mean;
  s.analysis.noalias() = s.transform * s.background;
  const std::size_t n = variable.size();
  inflate(inflation, ConstView(s.background.data(), n), View(s.analysis.data(), n));
  values = s.analysis.array() + (mean + s.background.dot(s.weights));
}

}  // namespace zonda::assimilation
