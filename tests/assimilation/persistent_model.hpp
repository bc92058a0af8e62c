#pragma once
#include <cstddef>

#include "assimilation/interfaces/forecast_model.hpp"

namespace zonda::assimilation {

/// States stay as they are.
class PersistentModel final : public ForecastModel {
 public:
  explicit PersistentModel(std::size_t size) : size_(size) {}
  std::size_t size() const override { return size_; }
  void step(std::size_t, View) const override {}
  void tangent(std::size_t, ConstView, View) const override {}
  void adjoint(std::size_t, ConstView, View) const override {}

 private:
  std::size_t size_;
};

}  // namespace zonda::assimilation
