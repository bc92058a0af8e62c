#pragma once
// Depthwise: tokens plus their 3x3 depthwise convolution, zero at the start: neighbours across window edges, and a
// sense of place (conditional positional encoding: Chu et al. 2021).
#include <string>

#include "model/ops/backend.hpp"
#include "model/tensor/parameter_store.hpp"

namespace zonda::model {

class Depthwise {
 public:
  Depthwise(ParameterStore& store, const std::string& name, const TokenRaster& raster, int width);
  /// y = x + conv(x); x, y [B T, D].
  void forward(Context& ctx, const Tensor& x, const Tensor& y) const;
  /// `d` holds dy and becomes dx.
  void backward(Context& ctx, const Tensor& x, const Tensor& d) const;
  void tangent(Context& ctx, const Tensor& dx, const Tensor& dy) const;

 private:
  ParameterStore* store_;
  TokenRaster raster_;
  ParameterId weight_, bias_;
};

}  // namespace zonda::model
