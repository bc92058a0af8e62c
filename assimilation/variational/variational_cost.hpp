#pragma once
#include "assimilation/interfaces/cost_function.hpp"
#include "assimilation/interfaces/covariance.hpp"
#include "assimilation/variational/window.hpp"

namespace zonda::assimilation {

/// J(v) = 1/2 v^T v + J_o(x_b + U v): the nonlinear cost over the control vector; its gradient by the model's adjoint.
class VariationalCost final : public CostFunction {
 public:
  /// Keeps references.
  VariationalCost(const Window& window, ConstView background, const Covariance& covariance);
  std::size_t size() const override { return covariance_.control_size(); }
  double evaluate(ConstView control, View gradient) const override;
  /// x_b + U v
  Vector state(ConstView control) const;

 private:
  const Window& window_;
  Vector background_;
  const Covariance& covariance_;
};

}  // namespace zonda::assimilation
