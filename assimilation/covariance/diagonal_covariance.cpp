#include "assimilation/covariance/diagonal_covariance.hpp"

#include "core/error.hpp"

namespace zonda::assimilation {

DiagonalCovariance::DiagonalCovariance(Vector deviations) : deviations_(std::move(deviations)) {
  for (const double deviation : deviations_)
    if (!(deviation > 0)) fail(ErrorKind::usage, "background error {}, expected > 0", deviation);
}

void DiagonalCovariance::square_root(ConstView control, View y) const {
  for (std::size_t i = 0; i < size(); ++i) y[i] = deviations_[i] * control[i];
}

void DiagonalCovariance::inverse(ConstView x, View y) const {
  for (std::size_t i = 0; i < size(); ++i) y[i] = x[i] / (deviations_[i] * deviations_[i]);
}

}  // namespace zonda::assimilation
