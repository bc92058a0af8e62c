#pragma once
// Head: tokens back to grid points. u = patches of a linear map; y = u + conv(GELU(conv(u))). The linear map and the
// second convolution start at zero, so that the untrained network returns zero; the sum lets the first gradients reach
// the trunk.
#include "model/network/linear.hpp"
#include "model/network/token_grid.hpp"

namespace zonda::model {

class Head {
 public:
  Head(ParameterStore& store, const TokenGrid& grid, int width, int channels);
  struct Saved {
    Tensor statistics, image, hidden;
  };
  /// tokens [B T, D] -> y [B, C, H, W].
  void forward(Context& ctx, const Tensor& tokens, const Tensor& y, Saved& saved) const;
  /// dtokens overwritten.
  void backward(Context& ctx, const Tensor& tokens, Saved& saved, const Tensor& dy, const Tensor& dtokens) const;
  void tangent(Context& ctx, const Tensor& tokens, const Saved& saved, const Tensor& dtokens, const Tensor& dy) const;

 private:
  bool learns(const Context& ctx, ParameterId id) const { return ctx.weight_gradients && !store_->at(id).frozen; }
  Backend::Modulation norm() const { return {store_->value(norm_), 0, width_}; }
  ParameterStore* store_;
  PatchGeometry geometry_;
  bool periodic_;
  int width_;
  ParameterId norm_;  // [1, 2 D]: scale, shift
  Linear linear_;
  ParameterId first_weight_, first_bias_, second_weight_, second_bias_;
};

}  // namespace zonda::model
