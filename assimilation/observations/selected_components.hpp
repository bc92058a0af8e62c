#pragma once
#include "assimilation/interfaces/observation_operator.hpp"

namespace zonda::assimilation {

/// Reads some of the state's components.
class SelectedComponents final : public ObservationOperator {
 public:
  /// Throws Error(usage) where a component is outside the state.
  SelectedComponents(std::size_t state_size, std::vector<std::size_t> components);
  /// Every component.
  explicit SelectedComponents(std::size_t state_size);
  std::size_t state_size() const override { return state_size_; }
  std::size_t size() const override { return components_.size(); }
  void apply(ConstView state, View values) const override;
  void tangent(ConstView state, ConstView perturbation, View values) const override;
  void adjoint(ConstView state, ConstView values, View sensitivity) const override;

 private:
  std::size_t state_size_;
  std::vector<std::size_t> components_;
};

}  // namespace zonda::assimilation
