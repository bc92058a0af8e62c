#pragma once
#include "assimilation/interfaces/vectors.hpp"

namespace zonda::assimilation {

/// A forecast model with its derivative. Toys live beside this file; the dynamical core and the network are adapted
/// from above. `n` numbers the steps from the model's own origin of time, for forcing that depends on it.
class ForecastModel {
 public:
  virtual ~ForecastModel() = default;
  virtual std::size_t size() const = 0;
  /// state(n) becomes state(n + 1), in place.
  virtual void step(std::size_t n, View state) const = 0;
  /// step() of each member of an ensemble, with the same bits; here threads share the members.
  virtual void step_members(std::size_t n, std::span<const View> states) const;
  /// perturbation <- M'(state) perturbation; `state` is that at the step's beginning.
  virtual void tangent(std::size_t n, ConstView state, View perturbation) const = 0;
  /// sensitivity <- M'(state)^T sensitivity
  virtual void adjoint(std::size_t n, ConstView state, View sensitivity) const = 0;
  /// Whether there are tangent and adjoint; without, they throw Error(usage).
  virtual bool differentiable() const { return true; }
};

}  // namespace zonda::assimilation
