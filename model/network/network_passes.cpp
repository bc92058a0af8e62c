// Passes through the layers of this rank's stage.
#include <array>

#include "core/error.hpp"
#include "model/network/chunk_sum.hpp"
#include "model/network/network_implementation.hpp"
#include "parallel/canonical.hpp"

namespace zonda::model {

using Way = StageLink::Way;

void ForecastNetwork::Implementation::Lane::settle() {
  for (parallel::Event& event : sent) event.wait();
  sent.clear();
}

Context ForecastNetwork::Implementation::context(Arena& in, Use purpose,
                                                 std::span<const std::int32_t> adapters_of_samples) const {
  Context ctx(*backend, in, dtype, purpose == Use::tangent ? dtype : trunk());
  ctx.keep = purpose != Use::inference;
  ctx.int8 = purpose == Use::inference && config.precision == "int8";
  if (adapters) ctx.buckets = adapters_of_samples;
  return ctx;
}

Recompute ForecastNetwork::Implementation::recompute_of(std::size_t block, const RecomputePolicy& policy,
                                                        Use purpose) const {
  if (purpose != Use::training) return Recompute::none;
  const auto i = static_cast<int>(block);
  return i < policy.blocks ? Recompute::block : i < policy.blocks + policy.mlps ? Recompute::mlp : Recompute::none;
}

// What the functions hold is two pointers: no more fits into them without the heap.
Trunk::Watch ForecastNetwork::Implementation::watch(Context& ctx, bool gradients) {
  Trunk::Watch watch;
  watch.tap = &tap;
  watch.before = [this, &ctx](std::size_t layer) { begin_use(ctx, layer_buckets[layer]); };
  watch.after = [this, &ctx](std::size_t layer) { end_use(ctx, layer_buckets[layer]); };
  if (gradients) {
    watch.before = [this, &ctx](std::size_t layer) { begin_use(ctx, layer_buckets[layer], true); };
    watch.after = [this, &ctx](std::size_t layer) { end_use(ctx, layer_buckets[layer], true); };
  }
  if (at_work && !ctx.planning())
    watch.work = [this](std::size_t layer, const char* what, bool begins) {
      at_work(blocks.name(layer), what, begins);
    };
  return watch;
}

WorkWatch ForecastNetwork::Implementation::watch_of_head(const Context& ctx) const {
  if (!at_work || ctx.planning()) return {};
  return [this](const char* what, bool begins) { at_work("head", what, begins); };
}

void ForecastNetwork::Implementation::forward(Context& ctx, Lane& lane, std::int64_t n, const Tensor& x,
                                              const Tensor& condition, const Tensor& noise, const Tensor& y,
                                              Use purpose, const RecomputePolicy& policy) {
  Activations& a = lane.activations;
  a.modulation = ctx.take(modulation_shape(n));
  Tensor arriving;
  if (link.first()) {
    if (shape.noise > 0) {
      a.noise = ctx.take({n, shape.noise});
      noise.none() ? ctx->fill(ctx, a.noise, 0) : ctx->copy(ctx, noise, a.noise);
    }
    begin_use(ctx, conditioning_bucket);
    conditioning.forward(ctx, condition, a.modulation, a.conditioning, a.noise);
    end_use(ctx, conditioning_bucket);
    if (!ctx.keep && shape.noise > 0) ctx.release(a.noise);
    arriving = ctx.take(token_shape(n, blocks.tokens_arriving()));
    begin_use(ctx, embedding_bucket);
    embedding.forward(ctx, x, arriving);
    end_use(ctx, embedding_bucket);
  } else {
    arriving = ctx.take(token_shape(n, blocks.tokens_arriving()));
    if (!ctx.planning()) link.receive(Way::onward, std::array{arriving, a.modulation});
  }
  const auto recomputed = [&](std::size_t layer) { return recompute_of(layer, policy, purpose); };
  blocks.forward(ctx, arriving, a.modulation, a.trunk, std::ref(recomputed), watch(ctx, false));
  if (!link.last()) {
    if (!ctx.planning()) link.send(Way::onward, std::array{a.trunk.output, a.modulation}, lane.sent);
    if (ctx.keep) return;
    lane.settle();
    return ctx.release(a.trunk.output, a.modulation);
  }
  if (!ctx.keep) ctx.release(a.modulation);
  begin_use(ctx, head_bucket);
  head.forward(ctx, a.trunk.output, y, a.head, watch_of_head(ctx));
  end_use(ctx, head_bucket);
  if (!ctx.keep) ctx.release(a.trunk.output);
}

void ForecastNetwork::Implementation::backward(Context& ctx, Lane& lane, std::int64_t n, const Tensor& x,
                                               const Tensor& condition, const Tensor& dy, const Tensor& dx) {
  Activations& a = lane.activations;
  Tensor d = ctx.take(token_shape(n, blocks.tokens_leaving())),
         dmodulation = ctx.take(modulation_shape(chunks_here() * n));
  if (link.last()) {
    begin_use(ctx, head_bucket, true);
    {
      const ChunkScope scope(ctx, raster_chunks());
      head.backward(ctx, a.trunk.output, a.head, dy, d, watch_of_head(ctx));
    }
    end_use(ctx, head_bucket, true);
    ctx->fill(ctx, dmodulation, 0);
  } else if (!ctx.planning()) {
    link.receive(Way::back, std::array{d, dmodulation});
  }
  ctx.release(a.trunk.output);
  blocks.backward(ctx, a.trunk, d, dmodulation, watch(ctx, true));
  if (!link.first()) {
    if (!ctx.planning()) link.send(Way::back, std::array{d, dmodulation}, lane.sent);
    return ctx.release(d, dmodulation, a.modulation);  // nothing is taken behind them
  }
  add_chunks(ctx, n, dmodulation);
  begin_use(ctx, conditioning_bucket, true);
  conditioning.backward(ctx, condition, a.conditioning, dmodulation);
  end_use(ctx, conditioning_bucket, true);
  ctx.release(dmodulation, a.modulation);
  if (shape.noise > 0) ctx.release(a.noise);
  begin_use(ctx, embedding_bucket, true);
  {
    const ChunkScope scope(ctx, raster_chunks());
    embedding.backward(ctx, x, d, dx);
  }
  end_use(ctx, embedding_bucket, true);
  ctx.release(d);
}

void ForecastNetwork::Implementation::add_chunks(Context& ctx, std::int64_t n, Tensor& dmodulation) {
  if (slab.chunks() == 1) return;
  Tensor total = ctx.take({n, dmodulation.shape[1]});
  ctx->fill(ctx, total, 0);
  {
    const ChunkScope scope(ctx, raster_chunks());
    sum_over_chunks(ctx, total, [&](std::size_t chunk, const Tensor& into) {
      ctx->add(ctx, dmodulation.slice(static_cast<std::int64_t>(chunk) * n, n), into);
    });
  }
  ctx.release(dmodulation);
  dmodulation = total;
  if (slab.alone() || ctx.planning()) return;
  const auto over_slabs = [&](auto zero) {
    std::vector<decltype(zero)> mine(static_cast<std::size_t>(total.count())), all(mine.size());
    ctx->memory().copy_out(mine.data(), total.data, total.bytes());
    parallel::canonical_all_reduce(slab.ranks(), static_cast<std::size_t>(slab.ranks().size()), mine.size(),
                                   std::span<const decltype(zero)>(mine), std::span(all));
    ctx->memory().copy_in(total.data, all.data(), total.bytes());
  };
  dtype == DType::f64 ? over_slabs(double{}) : over_slabs(float{});
}

void ForecastNetwork::Implementation::tangent(Context& ctx, Lane& lane, std::int64_t n, const Tensor& x,
                                              const Tensor& dx, const Tensor& dy) {
  const Activations& a = lane.activations;
  const Tensor arriving = ctx.take(token_shape(n, blocks.tokens_arriving()));
  if (link.first()) {
    begin_use(ctx, embedding_bucket);
    embedding.tangent(ctx, x, dx, arriving);
    end_use(ctx, embedding_bucket);
  } else if (!ctx.planning()) {
    link.receive(Way::onward, std::array{arriving});
  }
  Tensor d = blocks.tangent(ctx, a.trunk, arriving, watch(ctx, false));
  if (link.last()) {
    begin_use(ctx, head_bucket);
    head.tangent(ctx, a.trunk.output, a.head, d, dy);
    end_use(ctx, head_bucket);
  } else if (!ctx.planning()) {
    link.send(Way::onward, std::array{d}, lane.sent);
  }
  ctx.release(d);  // nothing is taken behind it
}

Tensor ForecastNetwork::Implementation::image(std::int64_t n, int channels) const {
  return Tensor(
      nullptr,
      {n, channels, static_cast<std::int64_t>(slab.image_rows().size()), static_cast<std::int64_t>(grid.nlon())}, dtype,
      backend->memory().device());
}

ForecastNetwork::Implementation::Sections ForecastNetwork::Implementation::walk(Lane& lane, int n, Use purpose,
                                                                                const RecomputePolicy& policy) {
  const Tensor x = image(n, inputs), y = image(n, outputs), condition(nullptr, {n, condition_numbers}, dtype);
  const std::vector<std::int32_t> first_bucket(static_cast<std::size_t>(n));
  Sections found;
  Arena& to = lane.arena;
  lane.activations = {};
  to.begin_plan();
  Context ctx = context(to, purpose, first_bucket);
  forward(ctx, lane, n, x, condition, {}, y, purpose, policy);
  if (purpose == Use::tangent) {
    to.protect();
    found.tangent = to.position();
    tangent(ctx, lane, n, x, x, y);
    found.adjoint = to.position();
    ctx.weight_gradients = false;
    backward(ctx, lane, n, x, condition, y, x);
    ctx.weight_gradients = true;
  }
  if (purpose != Use::inference) {
    found.backward = to.position();
    backward(ctx, lane, n, x, condition, y, x);
  }
  to.finish_plan();
  return found;
}

}  // namespace zonda::model
