#pragma once
#include "assimilation/interfaces/covariance.hpp"

namespace zonda::assimilation {

/// A correlation of one field [lat, lon] with a unit diagonal, applied to several fields at once.
class HorizontalCorrelation : public Covariance {
 public:
  /// [field][control] -> [field][lat, lon]; each field for itself.
  virtual void square_roots(std::size_t fields, ConstView controls, View y) const = 0;
  virtual void square_root_adjoints(std::size_t fields, ConstView x, View controls) const = 0;
  void square_root(ConstView control, View y) const override { square_roots(1, control, y); }
  void square_root_adjoint(ConstView x, View control) const override { square_root_adjoints(1, x, control); }
};

}  // namespace zonda::assimilation
