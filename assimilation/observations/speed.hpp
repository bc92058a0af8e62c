#pragma once
#include <memory>

#include "assimilation/interfaces/observation_operator.hpp"

namespace zonda::assimilation {

/// sqrt(u^2 + v^2) of what two other operators read; the derivative at rest is taken as zero.
class Speed final : public ObservationOperator {
 public:
  Speed(std::shared_ptr<const ObservationOperator> u, std::shared_ptr<const ObservationOperator> v);
  std::size_t state_size() const override { return u_->state_size(); }
  std::size_t size() const override { return u_->size(); }
  void apply(ConstView state, View values) const override;
  void tangent(ConstView state, ConstView perturbation, View values) const override;
  void adjoint(ConstView state, ConstView values, View sensitivity) const override;

 private:
  /// d speed / du and d speed / dv
  void slopes(ConstView state, View along_u, View along_v) const;
  std::shared_ptr<const ObservationOperator> u_, v_;
};

}  // namespace zonda::assimilation
