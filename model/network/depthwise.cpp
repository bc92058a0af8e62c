#include "model/network/depthwise.hpp"

namespace zonda::model {

Depthwise::Depthwise(ParameterStore& store, const std::string& name, const TokenRaster& raster, int width)
    : store_(&store),
      raster_(raster),
      weight_(store.add(name + ".weight", {9, width}, true, 0)),
      bias_(store.add(name + ".bias", {width}, false, 0)) {}

void Depthwise::forward(Context& ctx, const Tensor& x, const Tensor& y) const {
  ctx->depthwise(ctx, raster_, x, store_->value(weight_), store_->value(bias_), y);
  ctx->add(ctx, x, y);
}

void Depthwise::backward(Context& ctx, const Tensor& x, const Tensor& d) const {
  if (ctx.weight_gradients && !store_->at(weight_).frozen)
    ctx->depthwise_backward_weight(ctx, raster_, x, d, store_->gradient(weight_), store_->gradient(bias_));
  Tensor through = ctx.take(d.shape);
  ctx->depthwise_backward_input(ctx, raster_, store_->value(weight_), d, through);
  ctx->add(ctx, through, d);
  ctx.release(through);
}

void Depthwise::tangent(Context& ctx, const Tensor& dx, const Tensor& dy) const {
  ctx->depthwise(ctx, raster_, dx, store_->value(weight_), {}, dy);
  ctx->add(ctx, dx, dy);
}

}  // namespace zonda::model
