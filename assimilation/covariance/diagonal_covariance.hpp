#pragma once
#include "assimilation/interfaces/covariance.hpp"

namespace zonda::assimilation {

class DiagonalCovariance final : public Covariance {
 public:
  /// Standard deviations, > 0.
  explicit DiagonalCovariance(Vector deviations);
  std::size_t size() const override { return deviations_.size(); }
  std::size_t control_size() const override { return deviations_.size(); }
  void square_root(ConstView control, View y) const override;
  void square_root_adjoint(ConstView x, View control) const override { square_root(x, control); }
  void inverse(ConstView x, View y) const override;

 private:
  Vector deviations_;
};

}  // namespace zonda::assimilation
