#pragma once
#include "assimilation/models/runge_kutta.hpp"

namespace zonda::assimilation {

/// Lorenz (1963), "Deterministic nonperiodic flow": state (x, y, z), sigma 10, rho 28, beta 8/3.
class Lorenz63 final : public Tendency {
 public:
  std::size_t size() const override { return 3; }
  void evaluate(ConstView state, View rate) const override;
  void tangent(ConstView state, ConstView perturbation, View rate) const override;
  void adjoint(ConstView state, ConstView rate, View sensitivity) const override;
};

}  // namespace zonda::assimilation
