#include "model/network/head.hpp"

#include <cmath>
#include <functional>

#include "model/network/chunk_sum.hpp"

namespace zonda::model {

Head::Head(ParameterStore& store, const TokenGrid& grid, const Slab& slab, int width, int channels)
    : store_(&store),
      slab_(slab),
      geometry_(slab.patches()),
      halo_(slab.ranks(), slab.image_row_counts(), Halo::Sides::both),
      shared_(shared_rows(slab)),
      periodic_(grid.periodic),
      width_(width),
      channels_(channels),
      norm_(store.add("head.norm", {1, 2 * width}, false, 0)),
      linear_(store, "head.linear", width, std::int64_t{channels} * geometry_.kernel_rows * geometry_.size, 0),
      first_weight_(store.add("head.convolution1.weight", {channels, channels, 3, 3}, true,
                              static_cast<float>(1 / std::sqrt(9.0 * channels)))),
      first_bias_(store.add("head.convolution1.bias", {channels}, false, 0)),
      second_weight_(store.add("head.convolution2.weight", {channels, channels, 3, 3}, true, 0)),
      second_bias_(store.add("head.convolution2.bias", {channels}, false, 0)) {}

Shape Head::image(std::int64_t samples) const {
  return {samples, channels_, halo_.rows(), geometry_.token_columns * geometry_.size};
}

Halo::Arrival Head::scatter(Context& ctx, const Tensor& patches, const Tensor& wide) const {
  if (halo_.none()) {
    ctx->patch_scatter(ctx, geometry_, patches, wide, true);
    return {};
  }
  Tensor own = ctx.take(shared_.wide(image(wide.shape[0])));
  ctx->patch_scatter(ctx, geometry_, patches, own, true);
  shared_.scale_shared(ctx, own, 0.5);
  shared_.add_back(ctx, own);
  // The slab's own rows come first in both.
  const std::int64_t planes = wide.shape[0] * wide.shape[1], columns = wide.shape[3];
  copy_rows(ctx, own.reshaped({planes, own.shape[2], columns}), 0, halo_.rows(),
            wide.reshaped({planes, wide.shape[2], columns}), halo_.north());
  ctx.release(own);
  return halo_.begin(ctx, wide);
}

void Head::gather(Context& ctx, const Tensor& wide, const Tensor& patches,
                  const std::function<void()>& meanwhile) const {
  if (halo_.none()) {
    ctx->patch_gather(ctx, geometry_, wide, patches, true);
    return meanwhile();
  }
  Tensor own = ctx.take(shared_.wide(image(wide.shape[0])));
  const std::int64_t planes = wide.shape[0] * wide.shape[1], columns = wide.shape[3];
  copy_rows(ctx, wide.reshaped({planes, wide.shape[2], columns}), halo_.north(), halo_.rows(),
            own.reshaped({planes, own.shape[2], columns}), 0);
  Halo::Arrival coming = shared_.begin(ctx, own);
  meanwhile();
  shared_.finish(ctx, coming);
  shared_.scale_shared(ctx, own, 0.5);
  ctx->patch_gather(ctx, geometry_, own, patches, true);
  ctx.release(own);
}

void Head::forward(Context& ctx, const Tensor& tokens, const Tensor& y, Saved& saved, const WorkWatch& watch) const {
  saved.statistics = ctx.take({tokens.shape[0], 2});
  Tensor normed = ctx.take(tokens.shape);
  ctx->norm_modulate(ctx, NormKind::rms, tokens, norm(), normed, saved.statistics);
  Tensor patches = ctx.take({tokens.shape[0], linear_.out()});
  linear_.forward(ctx, normed, patches);
  ctx.release(normed);
  const Shape wide = halo_.wide(y.shape);
  saved.image = ctx.take(wide);
  Halo::Arrival coming = scatter(ctx, patches, saved.image);
  ctx.release(patches);
  saved.hidden = ctx.take(wide);
  halo_.map_meanwhile(ctx, coming, saved.image, saved.hidden, "forward, first convolution", watch,
                      [&](const Tensor& in, const Tensor& out, std::int64_t) {
                        ctx->convolution(ctx, periodic_, in, store_->value(first_weight_), store_->value(first_bias_),
                                         out);
                      });
  coming = halo_.begin(ctx, saved.hidden);
  Tensor sum = halo_.take(ctx, y);
  halo_.map_meanwhile(ctx, coming, saved.hidden, sum, "forward, second convolution", watch,
                      [&](const Tensor& in, const Tensor& out, std::int64_t) {
                        Tensor active = ctx.take(in.shape);
                        ctx->gelu(ctx, in, active);
                        ctx->convolution(ctx, periodic_, active, store_->value(second_weight_),
                                         store_->value(second_bias_), out);
                        ctx.release(active);
                      });
  ctx->add(ctx, saved.image, sum);
  halo_.narrow(ctx, sum, y);
  halo_.release(ctx, sum);
  if (!ctx.keep) ctx.release(saved.statistics, saved.image, saved.hidden);
}

void Head::backward(Context& ctx, const Tensor& tokens, Saved& saved, const Tensor& dy, const Tensor& dtokens,
                    const WorkWatch& watch) const {
  const Shape wide = halo_.wide(dy.shape);
  Tensor given = halo_.placed(ctx, dy);
  Halo::Arrival coming = halo_.begin(ctx, given);
  const auto through = [&](ParameterId weight) {
    return [this, &ctx, weight](const Tensor& in, const Tensor& out, std::int64_t) {
      ctx->convolution_backward_input(ctx, periodic_, store_->value(weight), in, out);
    };
  };
  Tensor dhidden = ctx.take(wide), active = ctx.take(wide);
  halo_.map_meanwhile(ctx, coming, given, dhidden, "backward, second convolution", watch, through(second_weight_));
  ctx->gelu_backward(ctx, saved.hidden, dhidden, dhidden, active);
  coming = halo_.begin(ctx, dhidden);
  if (learns(ctx, second_weight_)) add_convolution_gradient(ctx, active, given, second_weight_, second_bias_);
  coming.look();
  ctx.release(active, saved.hidden);
  Tensor dimage = ctx.take(wide);
  halo_.map_meanwhile(ctx, coming, dhidden, dimage, "backward, first convolution", watch, through(first_weight_));
  if (learns(ctx, first_weight_)) add_convolution_gradient(ctx, saved.image, dhidden, first_weight_, first_bias_);
  ctx.release(dhidden, saved.image);
  ctx->add(ctx, given, dimage);
  halo_.release(ctx, given);
  Tensor dpatches = ctx.take({tokens.shape[0], linear_.out()}), normed = ctx.take(tokens.shape);
  const auto norm_again = [&] {
    if (!linear_.learns(ctx)) return;
    if (watch) watch("backward, norm", true);
    ctx->norm_modulate(ctx, NormKind::rms, tokens, norm(), normed, saved.statistics);
    if (watch) watch("backward, norm", false);
  };
  gather(ctx, dimage, dpatches, std::ref(norm_again));
  ctx.release(dimage);
  linear_.backward_weight(ctx, normed, dpatches);
  linear_.backward_input(ctx, dpatches, normed);
  ctx.release(dpatches);
  norm_backward(ctx, tokens, saved.statistics, normed, dtokens);
  ctx.release(normed, saved.statistics);
}

void Head::norm_backward(Context& ctx, const Tensor& tokens, const Tensor& statistics, const Tensor& dnormed,
                         const Tensor& dtokens) const {
  Tensor dnorm = ctx.take({1, 2 * width_});
  const auto of_rows = [&](const ChunkRows& rows) {
    ctx->norm_modulate_backward(ctx, NormKind::rms, rows.of(tokens), norm(), rows.of(statistics), rows.of(dnormed),
                                rows.of(dtokens), false, {dnorm, 0, width_});
  };
  if (learns(ctx, norm_))
    sum_over_rows(ctx, tokens.shape[0], store_->gradient(norm_), [&](const ChunkRows& rows, const Tensor& into) {
      of_rows(rows);
      ctx->add(ctx, dnorm, into);
    });
  else
    of_rows({0, tokens.shape[0]});
  ctx.release(dnorm);
}

void Head::add_convolution_gradient(Context& ctx, const Tensor& x, const Tensor& dy, ParameterId weight_id,
                                    ParameterId bias_id) const {
  const Tensor weight = store_->gradient(weight_id), bias = store_->gradient(bias_id);
  if (ctx.chunks.empty()) return ctx->convolution_backward_weight(ctx, periodic_, x, dy, weight, bias);
  const std::int64_t columns = x.shape[3], weights = weight.count();
  const auto weight_part = [&](const Tensor& both) { return both.slice(0, weights).reshaped(weight.shape); };
  const auto bias_part = [&](const Tensor& both) { return both.slice(weights, channels_); };
  Tensor sums = ctx.take({weights + channels_});
  ctx->fill(ctx, sums, 0);
  sum_over_chunks(ctx, sums, [&](std::size_t chunk, const Tensor& into) {
    const Band band = halo_.band(slab_.image_rows_of_chunk(slab_.first_chunk() + static_cast<int>(chunk)));
    Tensor inside = ctx.take({1, channels_, band.count(), columns}), outside = ctx.take(inside.shape);
    ctx->fill(ctx, outside, 0);
    const auto planes = [](const Tensor& t) { return t.reshaped({t.shape[0] * t.shape[1], t.shape[2], t.shape[3]}); };
    for (std::int64_t sample = 0; sample < x.shape[0]; ++sample) {
      copy_rows(ctx, planes(x.slice(sample, 1)), band.first, band.count(), planes(inside), 0);
      copy_rows(ctx, planes(dy.slice(sample, 1)), band.first + band.north, band.rows, planes(outside), band.north);
      ctx->convolution_backward_weight(ctx, periodic_, inside, outside, weight_part(into), bias_part(into));
    }
    ctx.release(inside, outside);
  });
  ctx->add(ctx, weight_part(sums), weight);
  ctx->add(ctx, bias_part(sums), bias);
  ctx.release(sums);
}

void Head::tangent(Context& ctx, const Tensor& tokens, const Saved& saved, const Tensor& dtokens,
                   const Tensor& dy) const {
  Tensor normed = ctx.take(tokens.shape);
  ctx->norm_modulate_tangent(ctx, NormKind::rms, tokens, norm(), saved.statistics, dtokens, normed);
  Tensor patches = ctx.take({tokens.shape[0], linear_.out()});
  linear_.tangent(ctx, normed, patches);
  ctx.release(normed);
  const Shape wide = halo_.wide(dy.shape);
  Tensor image = ctx.take(wide), hidden = ctx.take(wide);
  Halo::Arrival coming = scatter(ctx, patches, image);
  ctx.release(patches);
  halo_.map_meanwhile(ctx, coming, image, hidden, "tangent, first convolution", {},
                      [&](const Tensor& in, const Tensor& out, std::int64_t) {
                        ctx->convolution(ctx, periodic_, in, store_->value(first_weight_), {}, out);
                      });
  halo_.refresh(ctx, hidden);
  ctx->gelu_backward(ctx, saved.hidden, hidden, hidden);
  Tensor sum = halo_.take(ctx, dy);
  ctx->convolution(ctx, periodic_, hidden, store_->value(second_weight_), {}, sum);
  ctx->add(ctx, image, sum);
  halo_.narrow(ctx, sum, dy);
  halo_.release(ctx, sum);
  ctx.release(image, hidden);
}

Head::Traffic Head::forward_traffic(std::int64_t samples, DType dtype) const {
  Traffic sum = shared_.add_back_traffic(image(samples), dtype);  // patches
  sum += halo_.refresh_traffic(image(samples), dtype);            // image
  sum += halo_.refresh_traffic(image(samples), dtype);            // hidden image
  return sum;
}

Head::Traffic Head::backward_traffic(std::int64_t samples, DType dtype) const {
  Traffic sum = halo_.refresh_traffic(image(samples), dtype);  // dy
  sum += halo_.refresh_traffic(image(samples), dtype);         // the hidden image's gradient
  sum += shared_.refresh_traffic(image(samples), dtype);       // the image's
  return sum;
}

}  // namespace zonda::model
