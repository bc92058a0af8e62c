#include "model/network/head.hpp"

#include <cmath>

namespace zonda::model {

Head::Head(ParameterStore& store, const TokenGrid& grid, int width, int channels)
    : store_(&store),
      geometry_(grid.patches),
      periodic_(grid.periodic),
      width_(width),
      norm_(store.add("head.norm", {1, 2 * width}, false, 0)),
      linear_(store, "head.linear", width, std::int64_t{channels} * geometry_.kernel_rows * geometry_.size, 0),
      first_weight_(store.add("head.convolution1.weight", {channels, channels, 3, 3}, true,
                              static_cast<float>(1 / std::sqrt(9.0 * channels)))),
      first_bias_(store.add("head.convolution1.bias", {channels}, false, 0)),
      second_weight_(store.add("head.convolution2.weight", {channels, channels, 3, 3}, true, 0)),
      second_bias_(store.add("head.convolution2.bias", {channels}, false, 0)) {}

void Head::forward(Context& ctx, const Tensor& tokens, const Tensor& y, Saved& saved) const {
  saved.statistics = ctx.take({tokens.shape[0], 2});
  Tensor normed = ctx.take(tokens.shape);
  ctx->norm_modulate(ctx, NormKind::rms, tokens, norm(), normed, saved.statistics);
  Tensor patches = ctx.take({tokens.shape[0], linear_.out()});
  linear_.forward(ctx, normed, patches);
  ctx.release(normed);
  saved.image = ctx.take(y.shape);
  ctx->patch_scatter(ctx, geometry_, patches, saved.image, true);
  ctx.release(patches);
  saved.hidden = ctx.take(y.shape);
  ctx->convolution(ctx, periodic_, saved.image, store_->value(first_weight_), store_->value(first_bias_), saved.hidden);
  Tensor active = ctx.take(y.shape);
  ctx->gelu(ctx, saved.hidden, active);
  ctx->convolution(ctx, periodic_, active, store_->value(second_weight_), store_->value(second_bias_), y);
  ctx->add(ctx, saved.image, y);
  ctx.release(active);
  if (!ctx.keep) ctx.release(saved.statistics, saved.image, saved.hidden);
}

void Head::backward(Context& ctx, const Tensor& tokens, Saved& saved, const Tensor& dy, const Tensor& dtokens) const {
  Tensor dhidden = ctx.take(dy.shape), active = ctx.take(dy.shape);
  ctx->convolution_backward_input(ctx, periodic_, store_->value(second_weight_), dy, dhidden);
  ctx->gelu_backward(ctx, saved.hidden, dhidden, dhidden, active);
  if (learns(ctx, second_weight_))
    ctx->convolution_backward_weight(ctx, periodic_, active, dy, store_->gradient(second_weight_),
                                     store_->gradient(second_bias_));
  ctx.release(active, saved.hidden);
  Tensor dimage = ctx.take(dy.shape);
  ctx->convolution_backward_input(ctx, periodic_, store_->value(first_weight_), dhidden, dimage);
  if (learns(ctx, first_weight_))
    ctx->convolution_backward_weight(ctx, periodic_, saved.image, dhidden, store_->gradient(first_weight_),
                                     store_->gradient(first_bias_));
  ctx.release(dhidden, saved.image);
  ctx->add(ctx, dy, dimage);
  Tensor dpatches = ctx.take({tokens.shape[0], linear_.out()});
  ctx->patch_gather(ctx, geometry_, dimage, dpatches, true);
  ctx.release(dimage);
  Tensor normed = ctx.take(tokens.shape);
  if (linear_.learns(ctx)) ctx->norm_modulate(ctx, NormKind::rms, tokens, norm(), normed, saved.statistics);
  linear_.backward_weight(ctx, normed, dpatches);
  linear_.backward_input(ctx, dpatches, normed);
  ctx.release(dpatches);
  Tensor dnorm = ctx.take({1, 2 * width_});
  ctx->norm_modulate_backward(ctx, NormKind::rms, tokens, norm(), saved.statistics, normed, dtokens, false,
                              {dnorm, 0, width_});
  if (learns(ctx, norm_)) ctx->add(ctx, dnorm, store_->gradient(norm_));
  ctx.release(dnorm, normed, saved.statistics);
}

void Head::tangent(Context& ctx, const Tensor& tokens, const Saved& saved, const Tensor& dtokens,
                   const Tensor& dy) const {
  Tensor normed = ctx.take(tokens.shape);
  ctx->norm_modulate_tangent(ctx, NormKind::rms, tokens, norm(), saved.statistics, dtokens, normed);
  Tensor patches = ctx.take({tokens.shape[0], linear_.out()});
  linear_.tangent(ctx, normed, patches);
  ctx.release(normed);
  Tensor image = ctx.take(dy.shape), hidden = ctx.take(dy.shape);
  ctx->patch_scatter(ctx, geometry_, patches, image, true);
  ctx.release(patches);
  ctx->convolution(ctx, periodic_, image, store_->value(first_weight_), {}, hidden);
  ctx->gelu_backward(ctx, saved.hidden, hidden, hidden);
  ctx->convolution(ctx, periodic_, hidden, store_->value(second_weight_), {}, dy);
  ctx->add(ctx, image, dy);
  ctx.release(image, hidden);
}

}  // namespace zonda::model
