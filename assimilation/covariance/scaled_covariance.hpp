#pragma once
#include <memory>

#include "assimilation/interfaces/covariance.hpp"

namespace zonda::assimilation {

/// D B D with a diagonal D: a covariance with other standard deviations and the same correlations.
class ScaledCovariance final : public Covariance {
 public:
  /// `factors` [state], > 0.
  ScaledCovariance(std::shared_ptr<const Covariance> covariance, Vector factors);
  std::size_t size() const override { return covariance_->size(); }
  std::size_t control_size() const override { return covariance_->control_size(); }
  void square_root(ConstView control, View y) const override;
  void square_root_adjoint(ConstView x, View control) const override;

 private:
  std::shared_ptr<const Covariance> covariance_;
  Vector factors_;
};

}  // namespace zonda::assimilation
