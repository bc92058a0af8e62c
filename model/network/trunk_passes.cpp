// Passes through the layers of a trunk, whose rows travel while others are worked on.
#include <functional>

#include "core/error.hpp"
#include "model/network/chunk_sum.hpp"
#include "model/network/mixing.hpp"
#include "model/network/trunk.hpp"

namespace zonda::model {

MergedBlocks::Use Trunk::use_of(const Watch& watch) const {
  return {[this](std::size_t block) -> const Block& { return layers_[block].block; }, watch.before, watch.after};
}

void Trunk::forward_merged(Context& ctx, const Tensor& modulation, Activations& a,
                           const std::function<Recompute(std::size_t)>& recompute, const Watch& watch) const {
  if (merged_->arrive) merged_->arrive->forward(ctx, a.samples, a.output);
  merged_->blocks.forward(ctx, use_of(watch), modulation, a.output, a.merged, recompute);
  if (merged_->leave) merged_->leave->forward(ctx, a.samples, a.output);
}

void Trunk::backward_merged(Context& ctx, Activations& a, Tensor& d, const Tensor& dmodulation,
                            const Watch& watch) const {
  if (merged_->leave) merged_->leave->backward(ctx, a.samples, d);
  merged_->blocks.backward(ctx, use_of(watch), a.merged, d, dmodulation);
  if (merged_->arrive) merged_->arrive->backward(ctx, a.samples, d);
}

TokenMove::Passage Trunk::started(Context& ctx, const TokenMove& move, std::int64_t samples, TokenMove::Way way,
                                  Tensor& rows, Dispatch dispatch) const {
  TokenMove::Passage passage = move.begin(ctx, samples, way, rows, dispatch);
  move.keep(ctx, passage, rows);
  return passage;
}

WorkWatch Trunk::convolution_watch(std::size_t layer, const Watch& watch) {
  if (!watch.work) return {};
  return [layer, &watch](const char* what, bool begins) { watch.work(layer, what, begins); };
}

const TokenMove* Trunk::onward(std::size_t layer) const {
  if (merged_behind(layer)) return nullptr;  // merged from this order
  if (layer + 1 < end_) return &moves_[layers_[layer + 1].arrive];
  return ends() ? &moves_[leave_] : nullptr;
}

void Trunk::forward(Context& ctx, const Tensor& input, const Tensor& modulation, Activations& a,
                    const std::function<Recompute(std::size_t)>& recompute, const Watch& watch) const {
  a.samples = modulation.shape[0];
  a.layers.resize(layers_.size());
  a.output = input;
  TokenMove::Passage coming;
  if (!merged_ || merged_->first() > 0) {
    const TokenMove& first = moves_[layers_[begin_].arrive];
    coming = started(ctx, first, a.samples, TokenMove::Way::forward, a.output, dispatch(first, a.samples));
  }
  for (std::size_t i = begin_; i < end_; ++i) {
    if (merged_ && i == merged_->first()) {
      forward_merged(ctx, modulation, a, recompute, watch);
      i = merged_->last();
      if (i == end_) return;  // row after row already
    }
    if (watch.before) watch.before(i);
    forward(ctx, i, modulation, a, recompute(i), watch, coming);
    if (watch.after) watch.after(i);
  }
  if (!coming.under_way()) return;
  TokenMove::finish(ctx, coming);
  a.output = coming.moved;
}

void Trunk::forward(Context& ctx, std::size_t i, const Tensor& modulation, Activations& a, Recompute recompute,
                    const Watch& watch, TokenMove::Passage& coming) const {
  const Layer& layer = layers_[i];
  Saved& saved = a.layers[i];
  saved.input = coming.under_way() ? coming.moved : a.output;
  if (layer.convolution) {
    TokenMove::finish(ctx, coming);
    saved.convolved = ctx.take(saved.input.shape);
    layer.convolution->forward(ctx, saved.input, saved.convolved, convolution_watch(i, watch));
    coming = started(ctx, moves_[layer.enter], a.samples, TokenMove::Way::forward, saved.convolved,
                     dispatch(moves_[layer.enter], a.samples));
    saved.convolved = coming.moved;
  }
  const Tensor& x = layer.convolution ? saved.convolved : saved.input;
  a.output = ctx.take(x.shape);
  TokenMove::Passage going;
  if (const std::vector<Turn> parts = turns(i, a.samples); !parts.empty()) {
    forward_in_turns(ctx, i, parts, x, modulation, a, recompute, watch, coming, going);
  } else {
    TokenMove::finish(ctx, coming);
    if (watch.work) watch.work(i, "forward", true);
    if (tokens(layer).count() > 0)
      layer.block.forward(ctx, tokens(layer).table(), x, modulation, a.output, saved.block, recompute);
    if (watch.work) watch.work(i, "forward", false);
  }
  if (!ctx.keep) {
    if (layer.convolution) ctx.release(saved.convolved);
    ctx.release(saved.input);
  }
  show(ctx, i, a, watch.tap);
  const TokenMove* next = onward(i);
  if (next && !going.under_way())
    going = next->begin(ctx, a.samples, TokenMove::Way::forward, a.output, dispatch(*next, a.samples));
  if (next) next->keep(ctx, going, a.output);
  coming = std::move(going);
}

std::vector<Trunk::Turn> Trunk::turns(std::size_t i, std::int64_t samples) const {
  const Layer& layer = layers_[i];
  const TokenMove* next = onward(i);
  const bool comes = dispatch(arrival(layer), samples) == Dispatch::by_samples,
             goes = next && dispatch(*next, samples) == Dispatch::by_samples;
  if (comes || goes) {
    const std::int64_t first = (samples + 1) / 2, rows = tokens(layer).count();
    const SequenceTable& all = tokens(layer).table();
    return {{"forward, the first samples", {{0, first, 0, all}}, 1, goes ? 1U : 0U},
            {"forward, the other samples", {{first, samples - first, first * rows, all}}, comes ? 2U : 1U, 2}};
  }
  const Cuts& cuts = cuts_[layer.cut];
  const LayerCut& cut = samples == 1 && !cuts.in_halves.none() ? cuts.in_halves : cuts.around_the_edge;
  std::vector<Turn> list;
  for (const LayerCut::Turn& turn : cut.turns()) {
    list.push_back({turn.what, {}, turn.needs, turn.gives});
    for (std::int64_t sample = 0; sample < samples; ++sample)
      for (const LayerCut::Part& part : turn.parts)
        list.back().pieces.push_back({sample, 1, sample * tokens(layer).count() + part.first, part.table});
  }
  return list;
}

void Trunk::forward_in_turns(Context& ctx, std::size_t i, const std::vector<Turn>& turns, const Tensor& x,
                             const Tensor& modulation, Activations& a, Recompute recompute, const Watch& watch,
                             TokenMove::Passage& coming, TokenMove::Passage& going) const {
  const Block& block = layers_[i].block;
  Block::Saved& saved = a.layers[i].block;
  const TokenMove* next = onward(i);
  const bool seen = watch.tap && watch.tap->output;  // moves rows of its own first
  block.begin(ctx, x, modulation, saved, recompute);
  for (const Turn& turn : turns) {
    TokenMove::finish(ctx, coming, turn.needs);
    if (watch.work && !turn.pieces.empty()) watch.work(i, turn.what, true);
    for (const Block::Piece& piece : turn.pieces) {
      block.forward(ctx, piece, x, a.output, saved);
      coming.look();
      going.look();
    }
    if (watch.work && !turn.pieces.empty()) watch.work(i, turn.what, false);
    if (!next || seen || turn.gives == 0 || &turn == &turns.back()) continue;
    if (!going.under_way())
      going = next->begin(ctx, a.samples, TokenMove::Way::forward, a.output, dispatch(*next, a.samples));
    next->send(ctx, going, a.output, turn.gives);
  }
  TokenMove::finish(ctx, coming);
  block.end(ctx, saved);
}

void Trunk::show(Context& ctx, std::size_t i, const Activations& a, const TokenTap* tap) const {
  if (!tap || !tap->output) return;
  Tensor rows = ctx.take(a.output.shape);
  ctx->copy(ctx, a.output, rows);
  moves_[layers_[i].rows].forward(ctx, a.samples, rows);
  if (!ctx.planning()) tap->output(i, rows);
  ctx.release(rows);
}

/// Adds to `d`, the gradient of the layer's output, what the tap has of its own.
void Trunk::collect(Context& ctx, std::size_t i, const Activations& a, const Tensor& d, const TokenTap* tap) const {
  if (!tap || !tap->gradient) return;
  const auto rows = static_cast<std::int64_t>(raster_tokens_) * a.samples;
  Tensor mine = ctx.take({rows, width_});
  ctx->fill(ctx, mine, 0);
  if (!ctx.planning()) tap->gradient(i, mine);
  moves_[layers_[i].rows].backward(ctx, a.samples, mine);
  ctx->add(ctx, mine, d);
  ctx.release(mine);
}

void Trunk::backward(Context& ctx, Activations& a, Tensor& d, const Tensor& dmodulation, const Watch& watch) const {
  constexpr TokenMove::Way back = TokenMove::Way::backward;
  TokenMove::Passage coming;
  if (leaves_in_order()) coming = started(ctx, moves_[leave_], a.samples, back, d);
  for (std::size_t i = end_; i-- > begin_;) {
    if (merged_ && i + 1 == merged_->last()) {
      backward_merged(ctx, a, d, dmodulation, watch);
      if (merged_->first() == begin_) return;
      i = merged_->first() - 1;
    }
    const Layer& layer = layers_[i];
    Saved& saved = a.layers[i];
    if (watch.before) watch.before(i);
    if (coming.under_way()) d = coming.moved;
    const bool seen = watch.tap && watch.tap->gradient;
    if (seen) TokenMove::finish(ctx, coming);
    collect(ctx, i, a, d, watch.tap);
    const TokenMove& next = arrival(layer);
    const bool stays = merged_ahead_of(i);
    TokenMove::Passage going;
    const auto working = [&](const char* what, bool begins) {
      if (watch.work) watch.work(i, what, begins);
    };
    const auto needed = [&] {
      TokenMove::finish(ctx, coming);
      working("backward, tokens", true);
    };
    const auto ready = [&] {
      working("backward, tokens", false);
      if (!stays) going = started(ctx, next, a.samples, back, d);
      working("backward, weights", true);
    };
    if (tokens(layer).count() > 0) {
      const ChunkScope chunks(ctx, tokens(layer).chunks());
      const Tensor gradient = d;  // until it is on its way
      layer.block.backward(ctx, block_tokens(layer), layer.convolution ? saved.convolved : saved.input, saved.block,
                           gradient, dmodulation, {std::ref(needed), std::ref(ready)});
    } else {
      needed();
      ready();
    }
    working("backward, weights", false);
    if (layer.convolution) {
      TokenMove::finish(ctx, going);
      d = going.moved;
      {
        const ChunkScope chunks(ctx, raster_chunks_);
        layer.convolution->backward(ctx, saved.input, d, convolution_watch(i, watch));
      }
      ctx.release(saved.convolved);
      going = started(ctx, moves_[layer.arrive], a.samples, back, d);
    }
    coming = std::move(going);
    ctx.release(saved.input);
    if (watch.after) watch.after(i);
  }
  if (!coming.under_way()) return;
  TokenMove::finish(ctx, coming);
  d = coming.moved;
}

Tensor Trunk::tangent(Context& ctx, const Activations& a, Tensor d, const Watch& watch) const {
  for (std::size_t i = begin_; i < end_; ++i) {
    const bool behind_merged = merged_ && i == merged_->first();
    if (behind_merged) {
      if (merged_->arrive) merged_->arrive->forward(ctx, a.samples, d);
      merged_->blocks.tangent(ctx, use_of(watch), a.merged, d);
      if (merged_->leave) merged_->leave->forward(ctx, a.samples, d);
      i = merged_->last();
      if (i == end_) return d;
    }
    const Layer& layer = layers_[i];
    const Saved& saved = a.layers[i];
    if (watch.before) watch.before(i);
    if (!behind_merged) moves_[layer.arrive].forward(ctx, a.samples, d);
    if (layer.convolution) {
      Tensor convolved = ctx.take(d.shape);
      layer.convolution->tangent(ctx, d, convolved);
      ctx.release(d);
      d = convolved;
      moves_[layer.enter].forward(ctx, a.samples, d);
    }
    Tensor next = ctx.take(d.shape);
    if (tokens(layer).count() > 0)
      layer.block.tangent(ctx, tokens(layer).table(), layer.convolution ? saved.convolved : saved.input, saved.block, d,
                          next);
    ctx.release(d);
    d = next;
    if (watch.after) watch.after(i);
  }
  if (ends()) moves_[leave_].forward(ctx, a.samples, d);
  return d;
}

}  // namespace zonda::model
