#include "assimilation/covariance/ensemble_covariance.hpp"

#include <cmath>
#include <iterator>

#include "core/error.hpp"
#include "parallel/canonical.hpp"

namespace zonda::assimilation {

EnsembleCovariance::EnsembleCovariance(std::vector<Vector> anomalies, std::shared_ptr<const Covariance> correlation,
                                       parallel::Communicator communicator)
    : members_(anomalies.size()), communicator_(std::move(communicator)), correlation_(std::move(correlation)) {
  const parallel::Range mine = own(static_cast<std::size_t>(communicator_.rank()));
  take({std::make_move_iterator(anomalies.begin() + static_cast<std::ptrdiff_t>(mine.begin)),
        std::make_move_iterator(anomalies.begin() + static_cast<std::ptrdiff_t>(mine.end))});
}

EnsembleCovariance::EnsembleCovariance(std::size_t members, std::vector<Vector> own_anomalies,
                                       std::shared_ptr<const Covariance> correlation,
                                       parallel::Communicator communicator)
    : members_(members), communicator_(std::move(communicator)), correlation_(std::move(correlation)) {
  require_size("a rank's list of anomalies", own_anomalies.size(),
               own(static_cast<std::size_t>(communicator_.rank())).size());
  take(std::move(own_anomalies));
}

void EnsembleCovariance::take(std::vector<Vector> own_anomalies) {
  if (members_ < 2) fail(ErrorKind::usage, "covariance of {} members, expected at least 2", members_);
  anomalies_ = std::move(own_anomalies);
  for (Vector& anomaly : anomalies_) {
    require_size("an ensemble anomaly", anomaly.size(), correlation_->size());
    scale(1 / std::sqrt(static_cast<double>(members_ - 1)), anomaly);
  }
}

parallel::Range EnsembleCovariance::own(std::size_t rank) const {
  return parallel::partition(members_, static_cast<std::size_t>(communicator_.size()), rank);
}

void EnsembleCovariance::square_root(ConstView control, View y) const {
  require_size("the control vector", control.size(), control_size());
  const std::size_t width = correlation_->control_size(), state = size();
  const std::size_t first = own(static_cast<std::size_t>(communicator_.rank())).begin;
  Vector products(anomalies_.size() * state);
#pragma omp parallel for schedule(dynamic)
  for (std::size_t k = 0; k < anomalies_.size(); ++k) {
    const View product = View(products).subspan(k * state, state);
    correlation_->square_root(control.subspan((first + k) * width, width), product);
    for (std::size_t i = 0; i < state; ++i) product[i] *= anomalies_[k][i];
  }
  parallel::canonical_all_reduce(communicator_, members_, state, std::span<const double>(products), y);
}

void EnsembleCovariance::square_root_adjoint(ConstView x, View control) const {
  require_size("the control vector", control.size(), control_size());
  const std::size_t width = correlation_->control_size(), ranks = static_cast<std::size_t>(communicator_.size());
  const parallel::Range mine = own(static_cast<std::size_t>(communicator_.rank()));
#pragma omp parallel for schedule(dynamic)
  for (std::size_t k = 0; k < anomalies_.size(); ++k) {
    Vector product(x.begin(), x.end());
    for (std::size_t i = 0; i < product.size(); ++i) product[i] *= anomalies_[k][i];
    correlation_->square_root_adjoint(product, control.subspan((mine.begin + k) * width, width));
  }
  if (ranks == 1) return;
  std::vector<std::size_t> bytes;
  for (std::size_t r = 0; r < ranks; ++r) bytes.push_back(own(r).begin * width * sizeof(double));
  bytes.push_back(control.size() * sizeof(double));
  const auto all = std::as_writable_bytes(control);
  communicator_
      .all_gather(all.subspan(mine.begin * width * sizeof(double), mine.size() * width * sizeof(double)), all, bytes)
      .wait();
}

}  // namespace zonda::assimilation
