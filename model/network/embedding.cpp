#include "model/network/embedding.hpp"

namespace zonda::model {

Embedding::Embedding(ParameterStore& store, const TokenGrid& grid, int channels, int width, DType dtype, Memory& memory)
    : geometry_(grid.patches),
      tokens_(grid.count()),
      width_(width),
      patch_(store, "embedding.patch", std::int64_t{channels} * geometry_.kernel_rows * geometry_.size, width),
      position_(store, "embedding.position", TokenGrid::feature_count, width, 1, false) {
  storage_ = numbers_in(memory, dtype, grid.position_features());
  features_ = Tensor(storage_.data(), {tokens_, TokenGrid::feature_count}, dtype, memory.device());
}

void Embedding::forward(Context& ctx, const Tensor& x, const Tensor& tokens) const {
  Tensor patches = ctx.take({tokens.shape[0], patch_.in()});
  ctx->patch_gather(ctx, geometry_, x, patches, false);
  patch_.forward(ctx, patches, tokens);
  ctx.release(patches);
  Tensor position = ctx.take({tokens_, width_});
  position_.forward(ctx, features_, position);
  ctx->add_rows(ctx, tokens, position, tokens);
  ctx.release(position);
}

void Embedding::backward(Context& ctx, const Tensor& x, const Tensor& dtokens, const Tensor& dx) const {
  Tensor patches = ctx.take({dtokens.shape[0], patch_.in()});
  if (ctx.weight_gradients) ctx->patch_gather(ctx, geometry_, x, patches, false);
  patch_.backward_weight(ctx, patches, dtokens);
  Tensor dposition = ctx.take({tokens_, width_});
  if (ctx.weight_gradients) ctx->sum_rows(ctx, dtokens, dposition, false);
  position_.backward_weight(ctx, features_, dposition);
  ctx.release(dposition);
  if (!dx.none()) {
    patch_.backward_input(ctx, dtokens, patches);
    ctx->patch_scatter(ctx, geometry_, patches, dx, false);
  }
  ctx.release(patches);
}

void Embedding::tangent(Context& ctx, const Tensor& dx, const Tensor& dtokens) const {
  Tensor patches = ctx.take({dtokens.shape[0], patch_.in()});
  ctx->patch_gather(ctx, geometry_, dx, patches, false);
  patch_.tangent(ctx, patches, dtokens);
  ctx.release(patches);
}

}  // namespace zonda::model
