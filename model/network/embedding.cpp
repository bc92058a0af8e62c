#include "model/network/embedding.hpp"

namespace zonda::model {

Embedding::Embedding(ParameterStore& store, const TokenGrid& grid, int channels, int width, DType dtype, Memory& memory,
                     int lift)
    : Embedding(store, grid,
                Linear(store, "embedding.patch", std::int64_t{channels} * grid.patches.kernel_rows * grid.patches.size,
                       width),
                std::nullopt, width, dtype, memory, lift) {}

Embedding::Embedding(ParameterStore& store, const TokenGrid& grid, const std::vector<int>& groups,
                     const LevelShape& levels, int width, DType dtype, Memory& memory, int lift)
    : Embedding(store, grid, std::nullopt, LevelEmbedding(store, grid, groups, levels, width, dtype, memory), width,
                dtype, memory, lift) {}

Embedding::Embedding(ParameterStore& store, const TokenGrid& grid, std::optional<Linear> patch,
                     std::optional<LevelEmbedding> levels, int width, DType dtype, Memory& memory, int lift)
    : geometry_(grid.patches),
      tokens_(grid.count()),
      width_(width),
      patch_(std::move(patch)),
      levels_(std::move(levels)),
      position_(store, "embedding.position", TokenGrid::feature_count, width, 1, false) {
  storage_ = numbers_in(memory, dtype, grid.position_features(lift));
  features_ = Tensor(storage_.data(), {tokens_, TokenGrid::feature_count}, dtype, memory.device());
}

void Embedding::forward(Context& ctx, const Tensor& x, const Tensor& tokens) const {
  if (levels_) {
    levels_->forward(ctx, x, tokens);
  } else {
    Tensor patches = ctx.take({tokens.shape[0], patch_->in()});
    ctx->patch_gather(ctx, geometry_, x, patches, false);
    patch_->forward(ctx, patches, tokens);
    ctx.release(patches);
  }
  Tensor position = ctx.take({tokens_, width_});
  position_.forward(ctx, features_, position);
  ctx->add_rows(ctx, tokens, position, tokens);
  ctx.release(position);
}

void Embedding::backward(Context& ctx, const Tensor& x, const Tensor& dtokens, const Tensor& dx) const {
  if (position_.learns(ctx)) {
    Tensor dposition = ctx.take({tokens_, width_});
    ctx->sum_rows(ctx, dtokens, dposition, false);
    position_.backward_weight(ctx, features_, dposition);
    ctx.release(dposition);
  }
  if (levels_) return levels_->backward(ctx, x, dtokens, dx);
  Tensor patches = ctx.take({dtokens.shape[0], patch_->in()});
  if (patch_->learns(ctx)) ctx->patch_gather(ctx, geometry_, x, patches, false);
  patch_->backward_weight(ctx, patches, dtokens);
  if (!dx.none()) {
    patch_->backward_input(ctx, dtokens, patches);
    ctx->patch_scatter(ctx, geometry_, patches, dx, false);
  }
  ctx.release(patches);
}

void Embedding::tangent(Context& ctx, const Tensor& x, const Tensor& dx, const Tensor& dtokens) const {
  if (levels_) return levels_->tangent(ctx, x, dx, dtokens);
  Tensor patches = ctx.take({dtokens.shape[0], patch_->in()});
  ctx->patch_gather(ctx, geometry_, dx, patches, false);
  patch_->tangent(ctx, patches, dtokens);
  ctx.release(patches);
}

double Embedding::flops_per_sample() const {
  const double of_patches =
      levels_ ? levels_->flops_per_sample() : 2 * double(tokens_) * double(patch_->in()) * double(width_);
  return of_patches + 2 * double(tokens_) * TokenGrid::feature_count * double(width_);
}

}  // namespace zonda::model
