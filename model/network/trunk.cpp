#include "model/network/trunk.hpp"

#include <array>
#include <functional>
#include <tuple>

#include "core/error.hpp"
#include "model/network/chunk_sum.hpp"
#include "model/network/mixing.hpp"

namespace zonda::model {

namespace {

LayerTokens tokens_of(const Mixing& mixing, const SequenceDraft& draft, const NetworkShape& shape, const Slab& slab,
                      DType dtype, Memory& memory) {
  if (mixing.reach == Reach::everything && slab.chunks() > 1)
    fail(ErrorKind::usage,
         "network: global blocks (global_every: {}) attend to all tokens at once, which {} chunks of latitude keep "
         "apart; use one chunk and another axis of the mesh",
         shape.global_every, slab.chunks());
  const bool by_row = mixing.reach == Reach::window || mixing.reach == Reach::shifted_window;
  return LayerTokens(draft, slab, by_row ? Cut::by_row : Cut::evenly, dtype, memory);
}

double pairs_of(const SequenceDraft& draft) {
  double pairs = 0;
  for (std::size_t q = 0; q < draft.sequences(); ++q) {
    const double length = draft.offsets[q + 1] - draft.offsets[q];
    pairs += length * length;
  }
  return pairs;
}

}  // namespace

Trunk::Trunk(ParameterStore& store, const NetworkShape& shape, const TokenGrid& grid, const Slab& slab, DType dtype,
             Memory& memory, const parallel::Communicator& heads_over)
    : shape_(shape),
      grid_(grid),
      slab_(slab),
      dtype_(dtype),
      memory_(&memory),
      width_(shape.width),
      raster_tokens_(slab.token_count()) {
  if (slab.chunks() > 1) raster_chunks_ = slab.chunk_offsets();
  std::map<Mixing, std::size_t> known;
  const auto place_of = [&](const Mixing& mixing) {
    const auto [at, is_new] = known.emplace(mixing, tokens_.size());
    if (is_new) {
      const SequenceDraft draft = draft_of(mixing, shape, grid);
      tokens_.push_back(tokens_of(mixing, draft, shape, slab, dtype, memory));
      pairs_.push_back(pairs_of(draft));
    }
    return at->second;
  };
  const AdapterShape adapters{shape.rank, shape.buckets()};
  const auto append = [&](const std::string& name, const Mixing& mixing, Block::Start start,
                          std::optional<Depthwise> convolution) {
    layers_.push_back({name, Block(store, name, shape.width, shape.heads, shape.mlp_ratio, adapters, start, heads_over),
                       place_of(mixing), std::move(convolution)});
  };
  int lifted = 0;
  for (int i = 0; i < shape.blocks; ++i) {
    append("block" + std::to_string(i), mixing_of(shape, i), Block::Start::closed_gates, std::nullopt);
    for (; lifted < shape.lift_blocks && (lifted + 1) * shape.blocks <= (i + 1) * shape.lift_blocks; ++lifted) {
      const std::string name = "lift" + std::to_string(lifted);
      append(name, {Reach::shifted_window, 0, 1}, Block::Start::zero_branches,
             Depthwise(store, name + ".convolution", grid, slab, shape.width));
    }
  }

  // Orders by number; the last is row after row.
  const std::size_t rows = tokens_.size();
  const TokenOrder row_after_row = raster_order(slab);
  std::map<std::pair<std::size_t, std::size_t>, std::size_t> moves;
  const auto move_of = [&](std::size_t from, std::size_t to) {
    const auto [at, is_new] = moves.emplace(std::pair(from, to), moves_.size());
    const auto order = [&](std::size_t i) -> const TokenOrder& {
      return i == rows ? row_after_row : tokens_[i].order();
    };
    if (is_new) moves_.emplace_back(order(from), order(to), slab);
    return at->second;
  };
  std::size_t at = rows;
  for (Layer& layer : layers_) {
    layer.arrive = move_of(at, layer.convolution ? rows : layer.tokens);
    if (layer.convolution) layer.enter = move_of(rows, layer.tokens);
    at = layer.tokens;
    layer.rows = move_of(at, rows);
  }
  leave_ = move_of(at, rows);
  std::map<std::array<std::size_t, 3>, std::size_t> cuts;
  for (std::size_t i = 0; i < layers_.size(); ++i) {
    Layer& layer = layers_[i];
    const std::size_t in = layer.convolution ? layer.enter : layer.arrive,
                      out = i + 1 < layers_.size() ? layers_[i + 1].arrive : leave_;
    const auto [place, is_new] = cuts.emplace(std::array{layer.tokens, in, out}, cuts_.size());
    layer.cut = place->second;
    if (!is_new) continue;
    // Ranks that share heads add up every product's rows: in as few messages as can be.
    const bool may = slab.ranks().size() > 1 && heads_over.size() == 1;
    cuts_.emplace_back(tokens(layer), may ? moves_[in].rows_arriving() : std::vector<bool>{},
                       may ? moves_[out].rows_leaving() : std::vector<bool>{});
  }
  for (LayerTokens& tokens : tokens_) tokens.forget_order();
  end_ = layers_.size();
}

void Trunk::keep_to(std::size_t begin, std::size_t end) {
  begin_ = begin;
  end_ = end;
}

void Trunk::set_merging(const std::optional<TokenMerging>& merging) {
  merged_.reset();
  if (!merging) return;
  const auto blocks = static_cast<int>(layers_.size());
  if (shape_.lift > 1 || shape_.lift_blocks > 0 || !slab_.alone() || slab_.chunks() > 1 || begin_ > 0 || !ends() ||
      memory_->device() != Device::cpu)
    fail(ErrorKind::usage, "network: tokens are merged of whole samples on the host, without a lift");
  if (merging->first < 0 || merging->first >= merging->last || merging->last > blocks)
    fail(ErrorKind::usage, "network: blocks {} to {} with merged tokens, there are {}", merging->first, merging->last,
         blocks);
  if (merging->tokens < fewest_groups(grid_) || merging->tokens > grid_.count())
    fail(ErrorKind::usage, "network: {} merged tokens, {} to {} are possible", merging->tokens, fewest_groups(grid_),
         grid_.count());
  Merged merged{*merging, {}, {}, {}, {}};
  std::map<Mixing, std::size_t> known;
  for (int block = 0; block < blocks; ++block) {
    const Mixing mixing = mixing_of(shape_, block);
    const bool inside = block >= merging->first && block < merging->last;
    const auto [at, is_new] = inside ? known.emplace(mixing, merged.sequences.size()) : std::pair(known.end(), false);
    if (is_new) merged.sequences.emplace_back(draft_of(mixing, shape_, grid_), merging->tokens);
    merged.sequences_of.push_back(inside ? at->second : 0);
    const auto order = [&] {
      return tokens_of(mixing, draft_of(mixing, shape_, grid_), shape_, slab_, dtype_, *memory_);
    };
    if (block == merging->first - 1) merged.arrive.emplace(order().order(), raster_order(slab_), slab_);
    if (block == merging->last) merged.leave.emplace(raster_order(slab_), order().order(), slab_);
  }
  merged_ = std::move(merged);
}

void Trunk::forward_merged(Context& ctx, const Tensor& modulation, Activations& a, const Watch& watch) const {
  Merged& merged = *merged_;
  if (a.samples != 1 || ctx.dtype() != DType::f32)
    fail(ErrorKind::failure, "network: tokens of {} samples cannot be merged, only of one in f32", a.samples);
  if (merged.arrive) merged.arrive->forward(ctx, 1, a.output);
  Tensor before = ctx.take({merged.merging.tokens, width_});
  TokenGroups groups;
  if (!ctx.planning()) {
    groups = merge_neighbours(grid_, a.output.span<const float>(), width_, merged.merging.tokens);
    gather_survivors(groups, a.output.span<const float>(), width_, before.span<float>());
    for (MergedSequences& sequences : merged.sequences) sequences.restrict_to(groups);
  }
  Tensor x = before;
  for (int i = merged.merging.first; i < merged.merging.last; ++i) {
    const auto layer = static_cast<std::size_t>(i);
    if (watch.before) watch.before(layer);
    Tensor y = ctx.take(x.shape);
    layers_[layer].block.forward(ctx, merged.sequences[merged.sequences_of[layer]].table(), x, modulation, y,
                                 a.layers[layer].block);
    if (i > merged.merging.first) ctx.release(x);
    x = y;
    if (watch.after) watch.after(layer);
  }
  if (!ctx.planning())
    spread_changes(groups, before.span<const float>(), x.span<const float>(), width_, a.output.span<float>());
  ctx.release(x, before);
  if (merged.leave) merged.leave->forward(ctx, 1, a.output);
}

TokenMove::Passage Trunk::started(Context& ctx, const TokenMove& move, std::int64_t samples, TokenMove::Way way,
                                  Tensor& rows) const {
  TokenMove::Passage passage = move.begin(ctx, samples, way, rows);
  move.keep(ctx, passage, rows);
  return passage;
}

const TokenMove* Trunk::onward(std::size_t layer, bool merging) const {
  if (merging && static_cast<int>(layer) + 1 == merged_->merging.first) return nullptr;  // merged from this order
  if (layer + 1 < end_) return &moves_[layers_[layer + 1].arrive];
  return ends() ? &moves_[leave_] : nullptr;
}

void Trunk::forward(Context& ctx, const Tensor& input, const Tensor& modulation, Activations& a,
                    const std::function<Recompute(std::size_t)>& recompute, const Watch& watch) const {
  a.samples = modulation.shape[0];
  a.layers.resize(layers_.size());
  a.output = input;
  const bool merging = merged_ && !ctx.keep;
  TokenMove::Passage coming;
  if (!merging || merged_->merging.first > 0)
    coming = started(ctx, moves_[layers_[begin_].arrive], a.samples, TokenMove::Way::forward, a.output);
  for (std::size_t i = begin_; i < end_; ++i) {
    if (merging && static_cast<int>(i) == merged_->merging.first) {
      forward_merged(ctx, modulation, a, watch);
      if (merged_->merging.last == static_cast<int>(layers_.size())) return;  // row after row already
      i = static_cast<std::size_t>(merged_->merging.last);
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
    layer.convolution->forward(ctx, saved.input, saved.convolved);
    coming = started(ctx, moves_[layer.enter], a.samples, TokenMove::Way::forward, saved.convolved);
    saved.convolved = coming.moved;
  }
  const Tensor& x = layer.convolution ? saved.convolved : saved.input;
  a.output = ctx.take(x.shape);
  TokenMove::Passage going;
  if (!cuts_[layer.cut].none()) {
    forward_in_parts(ctx, i, x, modulation, a, recompute, watch, coming, going);
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
  const TokenMove* next = onward(i, merged_ && !ctx.keep);
  if (next && !going.under_way()) going = next->begin(ctx, a.samples, TokenMove::Way::forward, a.output);
  if (next) next->keep(ctx, going, a.output);
  coming = std::move(going);
}

void Trunk::forward_in_parts(Context& ctx, std::size_t i, const Tensor& x, const Tensor& modulation, Activations& a,
                             Recompute recompute, const Watch& watch, TokenMove::Passage& coming,
                             TokenMove::Passage& going) const {
  const Layer& layer = layers_[i];
  const LayerCut& cut = cuts_[layer.cut];
  Block::Saved& saved = a.layers[i].block;
  const auto work_on = [&](const std::vector<LayerCut::Part>& parts, const char* what) {
    if (watch.work && !parts.empty()) watch.work(i, what, true);
    for (std::int64_t sample = 0; sample < a.samples; ++sample)
      for (const LayerCut::Part& part : parts)
        layer.block.forward(ctx, {sample, sample * tokens(layer).count() + part.first, part.table}, x, a.output, saved);
    if (watch.work && !parts.empty()) watch.work(i, what, false);
  };
  layer.block.begin(ctx, x, modulation, saved, recompute);
  work_on(cut.before(), "forward, while rows come");
  TokenMove::finish(ctx, coming);
  work_on(cut.edge(), "forward, the edge");
  const TokenMove* next = onward(i, merged_ && !ctx.keep);
  const bool seen = watch.tap && watch.tap->output;  // moves rows of its own first
  if (next && !seen && !cut.behind().empty()) {
    going = next->begin(ctx, a.samples, TokenMove::Way::forward, a.output);
    next->send(ctx, going, a.output);
  }
  work_on(cut.behind(), "forward, while rows go");
  layer.block.end(ctx, saved);
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
  if (ends()) coming = started(ctx, moves_[leave_], a.samples, back, d);
  for (std::size_t i = end_; i-- > begin_;) {
    const Layer& layer = layers_[i];
    Saved& saved = a.layers[i];
    if (watch.before) watch.before(i);
    if (coming.under_way()) d = coming.moved;
    const bool seen = watch.tap && watch.tap->gradient;
    if (seen) TokenMove::finish(ctx, coming);
    collect(ctx, i, a, d, watch.tap);
    const TokenMove& next = moves_[layer.convolution ? layer.enter : layer.arrive];
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
      going = started(ctx, next, a.samples, back, d);
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
        layer.convolution->backward(ctx, saved.input, d);
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
    const Layer& layer = layers_[i];
    const Saved& saved = a.layers[i];
    if (watch.before) watch.before(i);
    moves_[layer.arrive].forward(ctx, a.samples, d);
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

parallel::HaloExchange::Traffic Trunk::forward_traffic(std::int64_t samples, DType dtype) const {
  parallel::HaloExchange::Traffic sum;
  const auto add = [&](std::size_t move) {
    sum.messages += static_cast<std::uint64_t>(moves_[move].messages_sent());
    sum.bytes += static_cast<std::uint64_t>(samples * moves_[move].rows_sent() * width_) * size_of(dtype);
  };
  for (std::size_t i = begin_; i < end_; ++i) {
    const Layer& layer = layers_[i];
    add(layer.arrive);
    if (!layer.convolution) continue;
    sum += layer.convolution->forward_traffic({samples * raster_tokens_, width_}, dtype);
    add(layer.enter);
  }
  if (ends()) add(leave_);
  return sum;
}

parallel::HaloExchange::Traffic Trunk::backward_traffic(std::int64_t samples, DType dtype, bool learning) const {
  parallel::HaloExchange::Traffic sum;
  const auto add = [&](std::size_t move) {
    sum.messages += static_cast<std::uint64_t>(moves_[move].messages_received());
    sum.bytes += static_cast<std::uint64_t>(samples * moves_[move].rows_received() * width_) * size_of(dtype);
  };
  for (std::size_t i = begin_; i < end_; ++i) {
    const Layer& layer = layers_[i];
    add(layer.arrive);
    if (!layer.convolution) continue;
    sum += layer.convolution->backward_traffic({samples * raster_tokens_, width_}, dtype, learning);
    add(layer.enter);
  }
  if (ends()) add(leave_);
  return sum;
}

void Trunk::merge_adapters(Context& ctx, int bucket) const {
  for (const Layer& layer : layers_) layer.block.merge_adapters(ctx, bucket);
}

std::size_t Trunk::table_bytes() const {
  std::size_t bytes = 0;
  for (const LayerTokens& tokens : tokens_) bytes += tokens.bytes();
  for (const TokenMove& move : moves_) bytes += move.bytes();
  for (const LayerCut& cut : cuts_) bytes += cut.bytes();
  return bytes;
}

double Trunk::flops(std::size_t layer) const {
  const double rows = double(grid_.count()), width = shape_.width, ratio = shape_.mlp_ratio;
  double work = 2 * rows * width * width * (4 + 2 * ratio) + 2 * rows * shape_.rank * width * (2 * (1 + ratio) + 6);
  if (layers_[layer].convolution) work += 2 * 9 * rows * width;
  return work + 4 * pairs_[layers_[layer].tokens] * width;
}

}  // namespace zonda::model
