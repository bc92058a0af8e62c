#pragma once
// Head: tokens back to grid points. u = patches of a linear map; y = u + conv(GELU(conv(u))). The linear map and the
// second convolution start at zero, so that the untrained network returns zero; the sum lets the first gradients reach
// the trunk.
#include "model/network/halo.hpp"
#include "model/network/linear.hpp"
#include "model/network/slab.hpp"
#include "model/network/token_grid.hpp"

namespace zonda::model {

class Head {
 public:
  Head(ParameterStore& store, const TokenGrid& grid, const Slab& slab, int width, int channels);
  /// Images with the halo that the convolutions need.
  struct Saved {
    Tensor statistics, image, hidden;
  };
  /// tokens [B T, D], the slab's row after row -> y [B, C, H, W].
  void forward(Context& ctx, const Tensor& tokens, const Tensor& y, Saved& saved, const WorkWatch& watch = {}) const;
  /// dtokens overwritten.
  void backward(Context& ctx, const Tensor& tokens, Saved& saved, const Tensor& dy, const Tensor& dtokens,
                const WorkWatch& watch = {}) const;
  void tangent(Context& ctx, const Tensor& tokens, const Saved& saved, const Tensor& dtokens, const Tensor& dy) const;

  using Traffic = parallel::HaloExchange::Traffic;
  /// What this rank sends for `samples` samples.
  Traffic forward_traffic(std::int64_t samples, DType dtype) const;
  Traffic backward_traffic(std::int64_t samples, DType dtype) const;
  Traffic tangent_traffic(std::int64_t samples, DType dtype) const { return forward_traffic(samples, dtype); }

 private:
  bool learns(const Context& ctx, ParameterId id) const { return ctx.weight_gradients && !store_->at(id).frozen; }
  Backend::Modulation norm() const { return {store_->value(norm_), 0, width_}; }
  Shape image(std::int64_t samples) const;
  /// Patches to a wide image, whose halo is on its way then; where patches share a row, its mean.
  Halo::Arrival scatter(Context& ctx, const Tensor& patches, const Tensor& wide) const;
  /// The adjoint, of the image without halo. `meanwhile()` is called while rows travel.
  void gather(Context& ctx, const Tensor& wide, const Tensor& patches, const std::function<void()>& meanwhile) const;
  /// Of wide tensors; chunk by chunk in bands of rows.
  void add_convolution_gradient(Context& ctx, const Tensor& x, const Tensor& dy, ParameterId weight,
                                ParameterId bias) const;
  void norm_backward(Context& ctx, const Tensor& tokens, const Tensor& statistics, const Tensor& dnormed,
                     const Tensor& dtokens) const;
  ParameterStore* store_;
  Slab slab_;
  PatchGeometry geometry_;
  Halo halo_, shared_;
  bool periodic_;
  int width_;
  std::int64_t channels_;
  ParameterId norm_;  // [1, 2 D]: scale, shift
  Linear linear_;
  ParameterId first_weight_, first_bias_, second_weight_, second_bias_;
};

}  // namespace zonda::model
