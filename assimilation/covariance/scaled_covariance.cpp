#include "assimilation/covariance/scaled_covariance.hpp"

#include "core/error.hpp"

namespace zonda::assimilation {

ScaledCovariance::ScaledCovariance(std::shared_ptr<const Covariance> covariance, Vector factors)
    : covariance_(std::move(covariance)), factors_(std::move(factors)) {
  require_size("the factors of standard deviations", factors_.size(), covariance_->size());
  for (const double factor : factors_)
    if (!(factor > 0)) fail(ErrorKind::usage, "factor {} of a standard deviation, expected > 0", factor);
}

void ScaledCovariance::square_root(ConstView control, View y) const {
  covariance_->square_root(control, y);
  for (std::size_t i = 0; i < factors_.size(); ++i) y[i] *= factors_[i];
}

void ScaledCovariance::square_root_adjoint(ConstView x, View control) const {
  Vector scaled(x.begin(), x.end());
  require_size("the state", scaled.size(), size());
  for (std::size_t i = 0; i < factors_.size(); ++i) scaled[i] *= factors_[i];
  covariance_->square_root_adjoint(scaled, control);
}

}  // namespace zonda::assimilation
