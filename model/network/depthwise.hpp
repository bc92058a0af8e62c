#pragma once
// Depthwise: tokens plus their 3x3 depthwise convolution, zero at the start: neighbours across window edges, and a
// sense of place (conditional positional encoding: Chu et al. 2021).
#include <string>

#include "model/network/halo.hpp"
#include "model/network/slab.hpp"
#include "model/ops/backend.hpp"
#include "model/tensor/parameter_store.hpp"

namespace zonda::model {

class Depthwise {
 public:
  Depthwise(ParameterStore& store, const std::string& name, const TokenGrid& grid, const Slab& slab, int width);
  /// y = x + conv(x); x, y [B T, D], the slab's tokens row after row.
  void forward(Context& ctx, const Tensor& x, const Tensor& y, const WorkWatch& watch = {}) const;
  /// `d` holds dy and becomes dx.
  void backward(Context& ctx, const Tensor& x, const Tensor& d, const WorkWatch& watch = {}) const;
  void tangent(Context& ctx, const Tensor& dx, const Tensor& dy) const;

  using Traffic = parallel::HaloExchange::Traffic;
  /// What this rank sends, x's shape being that of its slab: in forward and tangent, and in backward, `learning`
  /// weights or not.
  Traffic forward_traffic(const Shape& x, DType dtype) const { return halo_.refresh_traffic(x, dtype); }
  Traffic backward_traffic(const Shape& x, DType dtype, bool learning) const;

 private:
  void convolve(Context& ctx, const Tensor& x, const Tensor& bias, const Tensor& y, const WorkWatch& watch) const;
  /// Of wide tensors.
  void add_weight_gradient(Context& ctx, const Tensor& x, const Tensor& dy) const;
  TokenRaster raster(std::int64_t rows) const { return {rows, columns_, periodic_}; }
  ParameterStore* store_;
  Slab slab_;
  Halo halo_;
  std::int64_t columns_;
  bool periodic_;
  ParameterId weight_, bias_;
};

}  // namespace zonda::model
