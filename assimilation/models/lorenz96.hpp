#pragma once
#include "assimilation/models/runge_kutta.hpp"

namespace zonda::assimilation {

/// Lorenz (1996), "Predictability: a problem partly solved": dx_i/dt = (x_{i+1} - x_{i-2}) x_{i-1} - x_i + F on a ring.
class Lorenz96 final : public Tendency {
 public:
  explicit Lorenz96(std::size_t size, double forcing = 8);
  std::size_t size() const override { return size_; }
  void evaluate(ConstView state, View rate) const override;
  void tangent(ConstView state, ConstView perturbation, View rate) const override;
  void adjoint(ConstView state, ConstView rate, View sensitivity) const override;

 private:
  std::size_t size_;
  double forcing_;
};

}  // namespace zonda::assimilation
