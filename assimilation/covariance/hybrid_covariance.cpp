#include "assimilation/covariance/hybrid_covariance.hpp"

#include <cmath>

#include "core/error.hpp"

namespace zonda::assimilation {

HybridCovariance::HybridCovariance(std::shared_ptr<const Covariance> first, double first_weight,
                                   std::shared_ptr<const Covariance> second, double second_weight)
    : first_(std::move(first)), second_(std::move(second)), first_weight_(first_weight), second_weight_(second_weight) {
  require_size("the hybrid's second covariance", second_->size(), first_->size());
  if (!(first_weight >= 0) || !(second_weight >= 0) || first_weight + second_weight == 0)
    fail(ErrorKind::usage, "hybrid weights {} and {}, expected >= 0 and not both 0", first_weight, second_weight);
}

void HybridCovariance::square_root(ConstView control, View y) const {
  Vector other(size());
  first_->square_root(control.first(first_->control_size()), y);
  second_->square_root(control.subspan(first_->control_size()), other);
  scale(std::sqrt(first_weight_), y);
  axpy(std::sqrt(second_weight_), other, y);
}

void HybridCovariance::square_root_adjoint(ConstView x, View control) const {
  const View one = control.first(first_->control_size()), other = control.subspan(first_->control_size());
  first_->square_root_adjoint(x, one);
  second_->square_root_adjoint(x, other);
  scale(std::sqrt(first_weight_), one);
  scale(std::sqrt(second_weight_), other);
}

void HybridCovariance::multiply(ConstView x, View y) const {
  Vector other(size());
  first_->multiply(x, y);
  second_->multiply(x, other);
  scale(first_weight_, y);
  axpy(second_weight_, other, y);
}

}  // namespace zonda::assimilation
