#pragma once
#include "assimilation/interfaces/vectors.hpp"

namespace zonda::assimilation {

/// H: what a batch of instruments would read in a state. Outputs are overwritten.
class ObservationOperator {
 public:
  virtual ~ObservationOperator() = default;
  virtual std::size_t state_size() const = 0;
  virtual std::size_t size() const = 0;
  /// values = H(state)
  virtual void apply(ConstView state, View values) const = 0;
  /// values = H'(state) perturbation
  virtual void tangent(ConstView state, ConstView perturbation, View values) const = 0;
  /// sensitivity = H'(state)^T values
  virtual void adjoint(ConstView state, ConstView values, View sensitivity) const = 0;
};

}  // namespace zonda::assimilation
