#include "model/network/depthwise.hpp"

#include "model/network/chunk_sum.hpp"

namespace zonda::model {

Depthwise::Depthwise(ParameterStore& store, const std::string& name, const TokenGrid& grid, const Slab& slab, int width)
    : store_(&store),
      slab_(slab),
      halo_(slab.ranks(), slab.token_row_counts(), Halo::Sides::both, grid.patches.token_columns),
      columns_(grid.patches.token_columns),
      periodic_(grid.periodic),
      weight_(store.add(name + ".weight", {9, width}, true, 0)),
      bias_(store.add(name + ".bias", {width}, false, 0)) {}

void Depthwise::convolve(Context& ctx, const Tensor& x, const Tensor& bias, const Tensor& y,
                         const WorkWatch& watch) const {
  Tensor from = halo_.placed(ctx, x), to = halo_.take(ctx, y);
  Halo::Arrival coming = halo_.begin(ctx, from);
  halo_.map_meanwhile(ctx, coming, from, to, "forward, convolution", watch,
                      [&](const Tensor& in, const Tensor& out, std::int64_t rows) {
                        ctx->depthwise(ctx, raster(rows), in, store_->value(weight_), bias, out);
                      });
  halo_.narrow(ctx, to, y);
  halo_.release(ctx, from);
  halo_.release(ctx, to);
  ctx->add(ctx, x, y);
}

void Depthwise::forward(Context& ctx, const Tensor& x, const Tensor& y, const WorkWatch& watch) const {
  convolve(ctx, x, store_->value(bias_), y, watch);
}

void Depthwise::backward(Context& ctx, const Tensor& x, const Tensor& d, const WorkWatch& watch) const {
  const bool learning = ctx.weight_gradients && !store_->at(weight_).frozen;
  Tensor dy = halo_.placed(ctx, d), from;
  Halo::Arrival coming = halo_.begin(ctx, dy), of_input;
  if (learning) {
    from = halo_.placed(ctx, x);
    of_input = halo_.begin(ctx, from);
  }
  Tensor through = ctx.take(d.shape), to = halo_.take(ctx, through);
  halo_.map_meanwhile(ctx, coming, dy, to, "backward, convolution", watch,
                      [&](const Tensor& in, const Tensor& out, std::int64_t rows) {
                        ctx->depthwise_backward_input(ctx, raster(rows), store_->value(weight_), in, out);
                      });
  halo_.narrow(ctx, to, through);
  halo_.release(ctx, to);
  if (learning) {
    halo_.finish(ctx, of_input);
    add_weight_gradient(ctx, from, dy);
    halo_.release(ctx, from);
  }
  halo_.release(ctx, dy);
  ctx->add(ctx, through, d);
  ctx.release(through);
}

void Depthwise::add_weight_gradient(Context& ctx, const Tensor& x, const Tensor& dy) const {
  const Tensor weight = store_->gradient(weight_), bias = store_->gradient(bias_);
  if (ctx.chunks.empty()) return ctx->depthwise_backward_weight(ctx, raster(halo_.rows()), x, dy, weight, bias);
  // Both in one: nine rows of weights, and the bias.
  const std::int64_t width = weight.shape[1];
  Tensor sums = ctx.take({10, width}, weight.dtype);
  ctx->fill(ctx, sums, 0);
  sum_over_chunks(ctx, sums, [&](std::size_t chunk, const Tensor& into) {
    const auto cut = static_cast<std::size_t>(slab_.first_chunk()) + chunk;
    const Band band = halo_.band(
        {static_cast<std::size_t>(slab_.row_cuts()[cut]), static_cast<std::size_t>(slab_.row_cuts()[cut + 1])});
    const std::int64_t tokens = halo_.wide_rows() * columns_;
    Tensor outside = ctx.take({band.count() * columns_, width}, dy.dtype);
    ctx->fill(ctx, outside, 0);
    for (std::int64_t sample = 0; sample < dy.shape[0] / tokens; ++sample) {
      const std::int64_t first = sample * tokens + band.first * columns_;
      ctx->copy(ctx, dy.slice(first + band.north * columns_, band.rows * columns_),
                outside.slice(band.north * columns_, band.rows * columns_));
      ctx->depthwise_backward_weight(ctx, raster(band.count()), x.slice(first, band.count() * columns_), outside,
                                     into.slice(0, 9), into.slice(9, 1).reshaped({width}));
    }
    ctx.release(outside);
  });
  ctx->add(ctx, sums.slice(0, 9), weight);
  ctx->add(ctx, sums.slice(9, 1).reshaped({width}), bias);
  ctx.release(sums);
}

void Depthwise::tangent(Context& ctx, const Tensor& dx, const Tensor& dy) const {
  convolve(ctx, dx, {}, dy, {});
}

Depthwise::Traffic Depthwise::backward_traffic(const Shape& x, DType dtype, bool learning) const {
  Traffic sum = halo_.refresh_traffic(x, dtype);
  if (learning) sum += halo_.refresh_traffic(x, dtype);
  return sum;
}

}  // namespace zonda::model
