#pragma once
#include <memory>

#include "assimilation/interfaces/covariance.hpp"

namespace zonda::assimilation {

/// first_weight B1 + second_weight B2 (Hamill & Snyder 2000); the control vector is that of both, one after the other.
class HybridCovariance final : public Covariance {
 public:
  HybridCovariance(std::shared_ptr<const Covariance> first, double first_weight,
                   std::shared_ptr<const Covariance> second, double second_weight);
  std::size_t size() const override { return first_->size(); }
  std::size_t control_size() const override { return first_->control_size() + second_->control_size(); }
  void square_root(ConstView control, View y) const override;
  void square_root_adjoint(ConstView x, View control) const override;
  void multiply(ConstView x, View y) const override;

 private:
  std::shared_ptr<const Covariance> first_, second_;
  double first_weight_, second_weight_;
};

}  // namespace zonda::assimilation
