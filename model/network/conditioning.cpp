#include "model/network/conditioning.hpp"

namespace zonda::model {

// The shared projection starts at zero: gates are closed and the network is the identity.
Conditioning::Conditioning(ParameterStore& store, int condition_size, int width, int noise_size)
    : width_(width),
      first_(store, "conditioning.first", condition_size, width),
      second_(store, "conditioning.second", width, width),
      shared_(store, "conditioning.shared", width, 6 * width, 0) {
  if (noise_size > 0) noise_.emplace(store, "conditioning.noise", noise_size, width, 0, false);
}

void Conditioning::forward(Context& ctx, const Tensor& condition, const Tensor& modulation, Saved& saved,
                           const Tensor& noise) const {
  const Shape shape{condition.shape[0], width_};
  saved.first = ctx.take(shape);
  saved.first_active = ctx.take(shape);
  saved.noise = noise;
  if (noise_) {
    first_.forward(ctx, condition, saved.first);
    noise_->forward(ctx, noise, saved.first_active);
    ctx->add(ctx, saved.first_active, saved.first);
    ctx->gelu(ctx, saved.first, saved.first_active);
  } else {
    first_.forward(ctx, condition, saved.first, saved.first_active);
  }
  saved.second = ctx.take(shape);
  saved.second_active = ctx.take(shape);
  second_.forward(ctx, saved.first_active, saved.second, saved.second_active);
  shared_.forward(ctx, saved.second_active, modulation);
  if (!ctx.keep) ctx.release(saved.first, saved.first_active, saved.second, saved.second_active);
}

void Conditioning::backward(Context& ctx, const Tensor& condition, Saved& saved, const Tensor& dmodulation) const {
  if (!ctx.weight_gradients) return;
  shared_.backward_weight(ctx, saved.second_active, dmodulation);
  Tensor d = ctx.take(saved.second.shape), e = ctx.take(saved.first.shape);
  shared_.backward_input(ctx, dmodulation, d);
  ctx->gelu_backward(ctx, saved.second, d, d);
  second_.backward_weight(ctx, saved.first_active, d);
  second_.backward_input(ctx, d, e);
  ctx->gelu_backward(ctx, saved.first, e, e);
  first_.backward_weight(ctx, condition, e);
  if (noise_) noise_->backward_weight(ctx, saved.noise, e);
  ctx.release(d, e, saved.first, saved.first_active, saved.second, saved.second_active);
}

}  // namespace zonda::model
