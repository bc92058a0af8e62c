#pragma once
#include <memory>

#include "assimilation/interfaces/forecast_model.hpp"

namespace zonda::assimilation {

/// dx/dt = f(x) with its derivative. Outputs are overwritten.
class Tendency {
 public:
  virtual ~Tendency() = default;
  virtual std::size_t size() const = 0;
  virtual void evaluate(ConstView state, View rate) const = 0;
  /// rate = f'(state) perturbation
  virtual void tangent(ConstView state, ConstView perturbation, View rate) const = 0;
  /// sensitivity = f'(state)^T rate
  virtual void adjoint(ConstView state, ConstView rate, View sensitivity) const = 0;
};

/// The classical fourth-order scheme; its tangent and adjoint are those of the scheme itself, exact to rounding.
class RungeKutta4 final : public ForecastModel {
 public:
  RungeKutta4(std::shared_ptr<const Tendency> tendency, double time_step);
  std::size_t size() const override { return tendency_->size(); }
  void step(std::size_t n, View state) const override;
  void tangent(std::size_t n, ConstView state, View perturbation) const override;
  void adjoint(std::size_t n, ConstView state, View sensitivity) const override;

 private:
  struct Stages;
  Stages stages(ConstView state) const;

  std::shared_ptr<const Tendency> tendency_;
  double h_;
};

}  // namespace zonda::assimilation
