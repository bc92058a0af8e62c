#include "assimilation/covariance/ensemble_covariance.hpp"

#include <algorithm>
#include <cmath>

#include "core/error.hpp"

namespace zonda::assimilation {

EnsembleCovariance::EnsembleCovariance(std::vector<Vector> anomalies, std::shared_ptr<const Covariance> correlation)
    : anomalies_(std::move(anomalies)), correlation_(std::move(correlation)) {
  if (anomalies_.size() < 2) fail(ErrorKind::usage, "covariance of {} members, expected at least 2", anomalies_.size());
  for (Vector& anomaly : anomalies_) {
    require_size("an ensemble anomaly", anomaly.size(), correlation_->size());
    scale(1 / std::sqrt(static_cast<double>(anomalies_.size() - 1)), anomaly);
  }
}

void EnsembleCovariance::square_root(ConstView control, View y) const {
  const std::size_t width = correlation_->control_size();
  Vector weight(size());
  std::fill(y.begin(), y.end(), 0);
  for (std::size_t k = 0; k < anomalies_.size(); ++k) {
    correlation_->square_root(control.subspan(k * width, width), weight);
    for (std::size_t i = 0; i < size(); ++i) y[i] += anomalies_[k][i] * weight[i];
  }
}

void EnsembleCovariance::square_root_adjoint(ConstView x, View control) const {
  const std::size_t width = correlation_->control_size();
  Vector product(size());
  for (std::size_t k = 0; k < anomalies_.size(); ++k) {
    for (std::size_t i = 0; i < size(); ++i) product[i] = anomalies_[k][i] * x[i];
    correlation_->square_root_adjoint(product, control.subspan(k * width, width));
  }
}

}  // namespace zonda::assimilation
