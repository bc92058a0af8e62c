#include "assimilation/atmosphere/increment_taper.hpp"

namespace zonda::assimilation {

IncrementTaper::IncrementTaper(const AtmosphereLayout& layout, int from, int to)
    : taper_(layout.grid, from, to), size_(layout.state_size()) {}

void IncrementTaper::apply(View increment) const {
  require_size("the increment", increment.size(), size_);
  taper_.smooth(increment);
}

void IncrementTaper::apply_adjoint(View gradient) const {
  require_size("the gradient", gradient.size(), size_);
  taper_.smooth_adjoint(gradient);
}

TaperedCovariance::TaperedCovariance(std::shared_ptr<const Covariance> covariance,
                                     std::shared_ptr<const IncrementTaper> taper)
    : covariance_(std::move(covariance)), taper_(std::move(taper)) {
  require_size("the tapered covariance", covariance_->size(), taper_->size());
}

void TaperedCovariance::square_root(ConstView control, View y) const {
  covariance_->square_root(control, y);
  taper_->apply(y);
}

void TaperedCovariance::square_root_adjoint(ConstView x, View control) const {
  Vector tapered(x.begin(), x.end());
  taper_->apply_adjoint(tapered);
  covariance_->square_root_adjoint(tapered, control);
}

void TaperedCovariance::multiply(ConstView x, View y) const {
  Vector tapered(x.begin(), x.end());
  taper_->apply_adjoint(tapered);
  covariance_->multiply(tapered, y);
  taper_->apply(y);
}

}  // namespace zonda::assimilation
