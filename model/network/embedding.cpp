#include "model/network/embedding.hpp"

namespace zonda::model {

Embedding::Embedding(ParameterStore& store, const TokenGrid& grid, const Slab& slab, int channels, int width,
                     DType dtype, Memory& memory, int lift)
    : Embedding(store, grid, slab,
                Linear(store, "embedding.patch", std::int64_t{channels} * grid.patches.kernel_rows * grid.patches.size,
                       width),
                std::nullopt, width, dtype, memory, lift) {}

Embedding::Embedding(ParameterStore& store, const TokenGrid& grid, const Slab& slab, const std::vector<int>& groups,
                     const LevelShape& levels, int width, DType dtype, Memory& memory, int lift)
    : Embedding(store, grid, slab, std::nullopt, LevelEmbedding(store, slab, groups, levels, width, dtype, memory),
                width, dtype, memory, lift) {}

Embedding::Embedding(ParameterStore& store, const TokenGrid& grid, const Slab& slab, std::optional<Linear> patch,
                     std::optional<LevelEmbedding> levels, int width, DType dtype, Memory& memory, int lift)
    : geometry_(slab.patches()),
      halo_(shared_rows(slab)),
      tokens_of_grid_(grid.count()),
      width_(width),
      patch_(std::move(patch)),
      levels_(std::move(levels)),
      position_(store, grid, slab, width, dtype, memory, lift) {}

void Embedding::forward(Context& ctx, const Tensor& x, const Tensor& tokens) const {
  Tensor image = halo_.placed(ctx, x);
  Halo::Arrival coming = halo_.begin(ctx, image);
  Tensor position = position_.begin(ctx);
  halo_.finish(ctx, coming);
  if (levels_) {
    levels_->forward(ctx, image, tokens);
  } else {
    patch_->forward_patches(ctx, geometry_, image, tokens);
  }
  halo_.release(ctx, image);
  position_.finish(ctx, position, tokens);
}

void Embedding::backward(Context& ctx, const Tensor& x, const Tensor& dtokens, const Tensor& dx) const {
  const bool seen_again = levels_ || patch_->learns(ctx);
  Tensor image;
  Halo::Arrival coming;
  if (seen_again) {
    image = halo_.placed(ctx, x);
    coming = halo_.begin(ctx, image);
  }
  position_.backward(ctx, dtokens);
  Tensor room = halo_.take(ctx, dx.none() ? x : dx);  // the plan's, whether dx is wanted in this pass or not
  const Tensor dimage = dx.none() ? Tensor{} : room;
  halo_.finish(ctx, coming);
  if (levels_) {
    levels_->backward(ctx, image, dtokens, dimage);
  } else {
    Tensor patches = ctx.take({dtokens.shape[0], patch_->in()});
    if (seen_again) ctx->patch_gather(ctx, geometry_, image, patches, false);
    patch_->backward_weight(ctx, patches, dtokens);
    if (!dx.none()) {
      patch_->backward_input(ctx, dtokens, patches);
      ctx->patch_scatter(ctx, geometry_, patches, dimage, false);
    }
    ctx.release(patches);
  }
  if (seen_again) halo_.release(ctx, image);
  if (!dx.none()) {
    halo_.add_back(ctx, dimage);
    halo_.narrow(ctx, dimage, dx);
  }
  halo_.release(ctx, room);
}

void Embedding::tangent(Context& ctx, const Tensor& x, const Tensor& dx, const Tensor& dtokens) const {
  Tensor dimage = halo_.widened(ctx, dx);
  if (levels_) {
    Tensor image = halo_.widened(ctx, x);
    levels_->tangent(ctx, image, dimage, dtokens);
    halo_.release(ctx, image);
  } else {
    Tensor patches = ctx.take({dtokens.shape[0], patch_->in()});
    ctx->patch_gather(ctx, geometry_, dimage, patches, false);
    patch_->tangent(ctx, patches, dtokens);
    ctx.release(patches);
  }
  halo_.release(ctx, dimage);
}

Embedding::Traffic Embedding::backward_traffic(const Shape& x, DType dtype, bool learning, bool with_dx) const {
  Traffic sum;
  if (learning || levels_) sum += halo_.refresh_traffic(x, dtype);
  if (with_dx) sum += halo_.add_back_traffic(x, dtype);
  return sum;
}

Embedding::Traffic Embedding::tangent_traffic(const Shape& x, DType dtype) const {
  Traffic sum = halo_.refresh_traffic(x, dtype);
  if (levels_) sum += halo_.refresh_traffic(x, dtype);
  return sum;
}

double Embedding::flops_per_sample() const {
  const auto tokens = double(tokens_of_grid_);
  const double of_patches =
      levels_ ? levels_->flops(tokens_of_grid_) : 2 * tokens * double(patch_->in()) * double(width_);
  return of_patches + 2 * tokens * TokenGrid::feature_count * double(width_);
}

}  // namespace zonda::model
