#include "model/network/trunk.hpp"

#include <algorithm>
#include <array>

#include "core/error.hpp"
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
  // Ranks that share heads add up every product's rows: in as few messages as can be.
  const bool may_cut = slab.ranks().size() > 1 && heads_over.size() == 1 && memory.device() == Device::cpu;
  in_portions_ =
      may_cut && std::any_of(moves_.begin(), moves_.end(), [](const TokenMove& move) { return move.is_thorough(); });
  std::map<std::array<std::size_t, 3>, std::size_t> cuts;
  for (std::size_t i = 0; i < layers_.size(); ++i) {
    Layer& layer = layers_[i];
    const std::size_t in = layer.convolution ? layer.enter : layer.arrive,
                      out = i + 1 < layers_.size() ? layers_[i + 1].arrive : leave_;
    const auto [place, is_new] = cuts.emplace(std::array{layer.tokens, in, out}, cuts_.size());
    layer.cut = place->second;
    if (!is_new) continue;
    Cuts& cut = cuts_.emplace_back();
    if (!may_cut) continue;
    const TokenMove &before = moves_[in], &behind = moves_[out];
    cut.around_the_edge = LayerCut::around_the_edge(tokens(layer), before.portions_arriving(Dispatch::at_once),
                                                    behind.portions_leaving(Dispatch::at_once));
    const Dispatch coming = dispatch(before, 1), going = dispatch(behind, 1);
    if (coming == Dispatch::by_halves || going == Dispatch::by_halves)
      cut.in_halves =
          LayerCut::in_halves(tokens(layer), before.portions_arriving(coming), behind.portions_leaving(going));
  }
  for (LayerTokens& tokens : tokens_) tokens.forget_order();
  end_ = layers_.size();
}

void Trunk::keep_to(std::size_t begin, std::size_t end) {
  begin_ = begin;
  end_ = end;
}

void Trunk::set_merging(const std::optional<TokenMerging>& merging, const Linear* response) {
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
  Merged merged{MergedBlocks(*merging, shape_, grid_, response), {}, {}};
  const auto order_of = [&](int block) {
    const Mixing mixing = mixing_of(shape_, block);
    return tokens_of(mixing, draft_of(mixing, shape_, grid_), shape_, slab_, dtype_, *memory_).order();
  };
  if (merging->first > 0) merged.arrive.emplace(order_of(merging->first - 1), raster_order(slab_), slab_);
  if (merging->last < blocks) merged.leave.emplace(raster_order(slab_), order_of(merging->last), slab_);
  merged_ = std::move(merged);
}

Dispatch Trunk::dispatch(const TokenMove& move, std::int64_t samples) const {
  const Dispatch wanted = samples > 1 ? Dispatch::by_samples : Dispatch::by_halves;
  return in_portions_ && move.has_room_for(wanted) ? wanted : Dispatch::at_once;
}

parallel::HaloExchange::Traffic Trunk::forward_traffic(std::int64_t samples, DType dtype) const {
  parallel::HaloExchange::Traffic sum;
  const auto add = [&](std::size_t move) {
    sum.messages += static_cast<std::uint64_t>(moves_[move].messages_sent(dispatch(moves_[move], samples)));
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
  for (const Cuts& cut : cuts_) bytes += cut.around_the_edge.bytes() + cut.in_halves.bytes();
  return bytes;
}

double Trunk::flops(std::size_t layer) const {
  const double rows = double(grid_.count()), width = shape_.width, ratio = shape_.mlp_ratio;
  double work = 2 * rows * width * width * (4 + 2 * ratio) + 2 * rows * shape_.rank * width * (2 * (1 + ratio) + 6);
  if (layers_[layer].convolution) work += 2 * 9 * rows * width;
  return work + 4 * pairs_[layers_[layer].tokens] * width;
}

}  // namespace zonda::model
