#include "model/network/block.hpp"

#include "core/error.hpp"
#include "model/network/chunk_sum.hpp"
#include "model/network/rank_sum.hpp"

namespace zonda::model {

namespace {

int heads_of_rank(int heads, const parallel::Communicator& ranks) {
  if (heads % ranks.size() != 0)
    fail(ErrorKind::usage, "network: {} heads cannot be shared by {} ranks of the mesh's tensor axis", heads,
         ranks.size());
  return heads / ranks.size();
}

}  // namespace

Block::Block(ParameterStore& store, const std::string& name, int width, int heads, int mlp_ratio,
             const AdapterShape& adapters, Start start, const parallel::Communicator& heads_over)
    : store_(&store),
      ranks_(heads_over),
      width_(width),
      heads_(heads_of_rank(heads, heads_over)),
      head_size_(width / heads),
      table_(store.add(name + ".modulation", {6 * width}, false, 0)),
      q_gain_(store.add(name + ".query_gain", {width / heads}, false, 0, 1)),
      k_gain_(store.add(name + ".key_gain", {width / heads}, false, 0, 1)),
      qkv_(store, name + ".qkv", width, 3 * width, 1, true, {Split::Kind::columns, heads_over, 3}),
      projection_(store, name + ".projection", width, width, start == Start::zero_branches ? 0 : 1, true,
                  {Split::Kind::rows, heads_over}),
      up_(store, name + ".up", width, std::int64_t{mlp_ratio} * width, 1, true, {Split::Kind::columns, heads_over}),
      down_(store, name + ".down", std::int64_t{mlp_ratio} * width, width, start == Start::zero_branches ? 0 : 1, true,
            {Split::Kind::rows, heads_over}) {
  qkv_.in_trunk().adapted(store, name + ".qkv", adapters);
  projection_.in_trunk().adapted(store, name + ".projection", adapters);
  up_.in_trunk().adapted(store, name + ".up", adapters);
  down_.in_trunk().adapted(store, name + ".down", adapters);
}

void Block::forward(Context& ctx, const SequenceTable& table, const Tensor& x, const Tensor& modulation,
                    const Tensor& y, Saved& saved, Recompute recompute) const {
  saved = {};
  saved.recompute = recompute;
  saved.modulation = ctx.take(modulation.shape);
  ctx->add_rows(ctx, modulation, store_->value(table_), saved.modulation);
  if (only_int8(ctx)) {
    forward_int8(ctx, table, x, y, saved);
  } else {
    branches(ctx, table, x, saved, keeps(ctx, saved), keeps_hidden(ctx, saved));
    ctx->gated_add(ctx, saved.middle, saved.branch, saved.modulation, gate(1), y);
    if (!ctx.keep || recompute == Recompute::block) ctx.release(saved.branch, saved.middle);
  }
  if (!ctx.keep) ctx.release(saved.modulation);
}

void Block::begin(Context& ctx, const Tensor& x, const Tensor& modulation, Saved& saved, Recompute recompute) const {
  const std::int64_t n = x.shape[0];
  const DType trunk = ctx.trunk();
  saved = {};
  saved.recompute = recompute;
  saved.modulation = ctx.take(modulation.shape);
  ctx->add_rows(ctx, modulation, store_->value(table_), saved.modulation);
  if (!keeps(ctx, saved)) return;
  saved.statistics1 = ctx.take({n, 2});
  saved.qkv = ctx.take({n, qkv_.out()}, trunk);
  saved.attended = ctx.take({n, projection_.in()}, trunk);
  saved.log_sum = ctx.take({n, heads_});
  saved.projected = ctx.take(x.shape, trunk);
  saved.middle = ctx.take(x.shape);
  saved.statistics2 = ctx.take({n, 2});
  if (keeps_hidden(ctx, saved)) saved.hidden = ctx.take({n, up_.out()}, trunk);
  saved.branch = ctx.take(x.shape, trunk);
}

void Block::forward(Context& ctx, const Piece& piece, const Tensor& x, const Tensor& y, const Saved& saved) const {
  const std::int64_t rows = piece.samples * piece.table.token_count();
  const bool shared = saved.modulation.shape[0] == 1;
  const auto part_of = [&](const Tensor& all) { return all.none() ? all : all.slice(piece.first, rows); };
  Saved part{.modulation = saved.modulation.slice(shared ? 0 : piece.sample, shared ? 1 : piece.samples),
             .statistics1 = part_of(saved.statistics1),
             .statistics2 = part_of(saved.statistics2),
             .qkv = part_of(saved.qkv),
             .attended = part_of(saved.attended),
             .log_sum = part_of(saved.log_sum),
             .projected = part_of(saved.projected),
             .middle = part_of(saved.middle),
             .hidden = part_of(saved.hidden),
             .branch = part_of(saved.branch),
             .recompute = saved.recompute};
  if (only_int8(ctx)) return forward_int8(ctx, piece.table, part_of(x), part_of(y), part);
  const std::span<const std::int32_t> buckets = ctx.buckets;
  if (!buckets.empty())
    ctx.buckets = buckets.subspan(static_cast<std::size_t>(piece.sample), static_cast<std::size_t>(piece.samples));
  branches(ctx, piece.table, part_of(x), part, keeps(ctx, saved), keeps_hidden(ctx, saved));
  ctx.buckets = buckets;
  ctx->gated_add(ctx, part.middle, part.branch, part.modulation, gate(1), part_of(y));
  if (!keeps(ctx, saved)) ctx.release(part.branch, part.middle);
}

void Block::end(Context& ctx, Saved& saved) const {
  if (!ctx.keep) ctx.release(saved.modulation);
}

bool Block::only_int8(const Context& ctx) const {
  return !ctx.keep && ctx.dtype() == DType::f32 && qkv_.only_int8(ctx) && projection_.only_int8(ctx) &&
         up_.only_int8(ctx) && down_.only_int8(ctx);
}

void Block::forward_int8(Context& ctx, const SequenceTable& table, const Tensor& x, const Tensor& y,
                         Saved& saved) const {
  const std::int64_t n = x.shape[0];
  saved.qkv = ctx.take({n, qkv_.out()});
  ctx->branch_int8(ctx, x, {.norm = {saved.modulation, scale(0), shift(0)}, .first = qkv_.int8_layer(ctx)}, saved.qkv);
  saved.attended = ctx.take({n, projection_.in()});
  saved.log_sum = ctx.take({n, heads_});
  ctx->attention(ctx, shape_of(x, table), table, saved.qkv, store_->value(q_gain_), store_->value(k_gain_),
                 saved.attended, saved.log_sum);
  ctx.release(saved.qkv, saved.log_sum);
  saved.middle = ctx.take(x.shape);
  ctx->branch_int8(ctx, saved.attended,
                   {.first = projection_.int8_layer(ctx), .onto = x, .gates = saved.modulation, .gate = gate(0)},
                   saved.middle);
  ctx.release(saved.attended);
  ctx->branch_int8(ctx, saved.middle,
                   {.norm = {saved.modulation, scale(1), shift(1)},
                    .first = up_.int8_layer(ctx),
                    .second = down_.int8_layer(ctx),
                    .onto = saved.middle,
                    .gates = saved.modulation,
                    .gate = gate(1)},
                   y);
  ctx.release(saved.middle);
}

void Block::branches(Context& ctx, const SequenceTable& table, const Tensor& x, Saved& saved, bool keep,
                     bool keep_hidden) const {
  const std::int64_t n = x.shape[0];
  const DType trunk = ctx.trunk();
  const auto done = [&](auto&... tensors) {
    if (!keep) ctx.release(tensors...);
  };
  const auto room = [&](Tensor& tensor, Shape shape, DType dtype) {
    if (tensor.none()) tensor = ctx.take(shape, dtype);
  };
  Tensor normed = ctx.take(x.shape, trunk);
  room(saved.statistics1, {n, 2}, ctx.dtype());
  ctx->norm_modulate(ctx, NormKind::rms, x, {saved.modulation, scale(0), shift(0)}, normed, saved.statistics1);
  room(saved.qkv, {n, qkv_.out()}, trunk);
  qkv_.forward(ctx, normed, saved.qkv);
  ctx.release(normed);
  done(saved.statistics1);
  room(saved.attended, {n, projection_.in()}, trunk);
  room(saved.log_sum, {n, heads_}, ctx.dtype());
  ctx->attention(ctx, shape_of(x, table), table, saved.qkv, store_->value(q_gain_), store_->value(k_gain_),
                 saved.attended, saved.log_sum);
  done(saved.qkv, saved.log_sum);
  room(saved.projected, x.shape, trunk);
  projection_.forward(ctx, saved.attended, saved.projected);
  done(saved.attended);
  room(saved.middle, x.shape, ctx.dtype());
  ctx->gated_add(ctx, x, saved.projected, saved.modulation, gate(0), saved.middle);
  done(saved.projected);

  normed = ctx.take(x.shape, trunk);
  room(saved.statistics2, {n, 2}, ctx.dtype());
  ctx->norm_modulate(ctx, NormKind::rms, saved.middle, {saved.modulation, scale(1), shift(1)}, normed,
                     saved.statistics2);
  done(saved.statistics2);
  if (!ctx.int8) room(saved.hidden, {n, up_.out()}, trunk);
  Tensor active = ctx.take({n, up_.out()}, trunk);
  up_.forward(ctx, normed, saved.hidden, active);
  ctx.release(normed);
  if (!keep_hidden) ctx.release(saved.hidden);
  room(saved.branch, x.shape, trunk);
  down_.forward(ctx, active, saved.branch);
  ctx.release(active);
}

namespace {

/// Calls f(rows of tokens, rows of the modulation, rows of its gradient): once for all, or for each sample of each
/// chunk.
template <class F>
void for_pieces(Context& ctx, std::int64_t n, const Tensor& modulation, const Tensor& gradient, F&& f) {
  if (ctx.chunks.empty()) return f(ChunkRows{0, n}, modulation, gradient);
  const std::size_t chunks = ctx.chunks.size() - 1;
  const std::int64_t samples = gradient.shape[0] / static_cast<std::int64_t>(chunks);
  for (std::size_t chunk = 0; chunk < chunks; ++chunk) {
    std::int64_t sample = 0;
    for_samples_of_chunk(ctx, n, chunk, [&](const ChunkRows& rows) {
      const std::int64_t row = modulation.shape[0] == 1 ? 0 : sample;
      f(rows, modulation.slice(row, 1), gradient.slice(static_cast<std::int64_t>(chunk) * samples + sample, 1));
      ++sample;
    });
  }
}

}  // namespace

void Block::attention_backward(Context& ctx, const BlockTokens& tokens, const Saved& saved, const Tensor& dattended,
                               const Tensor& dqkv) const {
  const bool queries = learns(ctx, q_gain_), keys = learns(ctx, k_gain_);
  const Tensor q_gain = store_->value(q_gain_), k_gain = store_->value(k_gain_);
  if (ctx.chunks.empty() && ranks_.size() == 1) {
    ctx->attention_backward(
        ctx, shape_of(saved.attended, tokens.all), tokens.all, saved.qkv, q_gain, k_gain, saved.attended, saved.log_sum,
        dattended, dqkv, queries ? store_->gradient(q_gain_) : Tensor{}, keys ? store_->gradient(k_gain_) : Tensor{});
    return;
  }
  const std::int64_t size = head_size_;
  const auto half = [&](const Tensor& both, std::int64_t which) { return both.slice(which, 1).reshaped({size}); };
  Tensor gains = ctx.take({2, size});
  ctx->fill(ctx, gains, 0);
  sum_over_chunks(ctx, gains, [&](std::size_t chunk, const Tensor& into) {
    const SequenceTable& table = ctx.chunks.empty() ? tokens.all : tokens.by_chunk[chunk];
    const auto for_samples = [&](auto&& use) {
      if (ctx.chunks.empty()) return use(ChunkRows{0, saved.qkv.shape[0]});
      for_samples_of_chunk(ctx, saved.qkv.shape[0], chunk, use);
    };
    for_samples([&](const ChunkRows& rows) {
      ctx->attention_backward(ctx, shape_of(rows.of(saved.qkv), table), table, rows.of(saved.qkv), q_gain, k_gain,
                              rows.of(saved.attended), rows.of(saved.log_sum), rows.of(dattended), rows.of(dqkv),
                              half(into, 0), half(into, 1));
    });
    sum_over_ranks(ctx, ranks_, into);  // a chunk's term is that of all heads
  });
  if (queries) ctx->add(ctx, half(gains, 0), store_->gradient(q_gain_));
  if (keys) ctx->add(ctx, half(gains, 1), store_->gradient(k_gain_));
  ctx.release(gains);
}

void Block::backward(Context& ctx, const BlockTokens& tokens, const Tensor& x, Saved& saved, const Tensor& d,
                     const Tensor& dmodulation, const Moments& moments) const {
  const std::int64_t n = x.shape[0];
  const DType trunk = ctx.trunk();
  const bool again = saved.recompute == Recompute::mlp;
  if (saved.recompute == Recompute::block) branches(ctx, tokens.all, x, saved, true, true);
  Tensor dm = ctx.take(dmodulation.shape);
  if (!ctx.chunks.empty()) ctx->fill(ctx, dm, 0);  // empty chunks have none

  const Backend::Modulation second{saved.modulation, scale(1), shift(1)}, first{saved.modulation, scale(0), shift(0)};
  const auto gate_backward = [&](int half, const Tensor& branch, const Tensor& into) {
    for_pieces(ctx, n, saved.modulation, dm, [&](const ChunkRows& rows, const Tensor& from, const Tensor& gradient) {
      ctx->gated_add_backward(ctx, rows.of(branch), from, gate(half), rows.of(d), rows.of(into), gradient);
    });
  };
  const auto norm_backward = [&](int half, const Tensor& input, const Tensor& statistics, const Tensor& dnormed) {
    for_pieces(ctx, n, saved.modulation, dm, [&](const ChunkRows& rows, const Tensor& from, const Tensor& gradient) {
      ctx->norm_modulate_backward(ctx, NormKind::rms, rows.of(input), {from, scale(half), shift(half)},
                                  rows.of(statistics), rows.of(dnormed), rows.of(d), true,
                                  {gradient, scale(half), shift(half)});
    });
  };
  // The normed input is computed again rather than kept: one pass over memory against D numbers a token.
  Tensor normed;
  const auto norm_again = [&] {
    normed = ctx.take(x.shape, trunk);
    if (up_.learns(ctx) || again)
      ctx->norm_modulate(ctx, NormKind::rms, saved.middle, second, normed, saved.statistics2);
  };
  if (again) norm_again();
  Tensor active = ctx.take({n, up_.out()}, trunk);
  if (again) {
    saved.hidden = ctx.take({n, up_.out()}, trunk);
    up_.forward(ctx, normed, saved.hidden, active);
  }
  if (moments.gradient_needed) moments.gradient_needed();
  Tensor dbranch = ctx.take(x.shape, trunk);
  gate_backward(1, saved.branch, dbranch);
  ctx.release(saved.branch);
  Tensor dhidden = ctx.take({n, up_.out()}, trunk);
  down_.backward_input(ctx, dbranch, dhidden);
  ctx->gelu_backward(ctx, saved.hidden, dhidden, dhidden, down_.learns(ctx) && !again ? active : Tensor{});
  ctx.release(saved.hidden);
  down_.backward_weight(ctx, active, dbranch);
  ctx.release(active, dbranch);
  if (!again) norm_again();
  up_.backward_weight(ctx, normed, dhidden);
  up_.backward_input(ctx, dhidden, normed);
  ctx.release(dhidden);
  norm_backward(1, saved.middle, saved.statistics2, normed);
  ctx.release(normed, saved.middle, saved.statistics2);

  Tensor dprojected = ctx.take(x.shape, trunk);
  gate_backward(0, saved.projected, dprojected);
  ctx.release(saved.projected);
  Tensor dattended = ctx.take({n, projection_.in()}, trunk);
  projection_.backward_input(ctx, dprojected, dattended);
  projection_.backward_weight(ctx, saved.attended, dprojected);
  ctx.release(dprojected);
  Tensor dqkv = ctx.take({n, qkv_.out()}, trunk);
  attention_backward(ctx, tokens, saved, dattended, dqkv);
  ctx.release(dattended, saved.attended, saved.log_sum, saved.qkv);
  normed = ctx.take(x.shape, trunk);
  qkv_.backward_input(ctx, dqkv, normed);
  norm_backward(0, x, saved.statistics1, normed);
  if (moments.input_gradient_ready) moments.input_gradient_ready();
  if (qkv_.learns(ctx)) ctx->norm_modulate(ctx, NormKind::rms, x, first, normed, saved.statistics1);
  qkv_.backward_weight(ctx, normed, dqkv);
  ctx.release(dqkv, normed, saved.statistics1, saved.modulation);

  ctx->add(ctx, dm, dmodulation);
  if (learns(ctx, table_))
    sum_over_chunks(ctx, store_->gradient(table_), [&](std::size_t chunk, const Tensor& into) {
      const std::int64_t rows =
          ctx.chunks.empty() ? dm.shape[0] : dm.shape[0] / (static_cast<std::int64_t>(ctx.chunks.size()) - 1);
      ctx->sum_rows(ctx, dm.slice(static_cast<std::int64_t>(chunk) * rows, rows), into, true);
    });
  ctx.release(dm);
}

void Block::tangent(Context& ctx, const SequenceTable& table, const Tensor& x, const Saved& saved, const Tensor& dx,
                    const Tensor& dy) const {
  const std::int64_t n = x.shape[0];
  Tensor narrow = ctx.take(x.shape), attended = ctx.take({n, projection_.in()});
  ctx->norm_modulate_tangent(ctx, NormKind::rms, x, {saved.modulation, scale(0), shift(0)}, saved.statistics1, dx,
                             narrow);
  Tensor dqkv = ctx.take({n, qkv_.out()});
  qkv_.tangent(ctx, narrow, dqkv);
  ctx->attention_tangent(ctx, shape_of(x, table), table, saved.qkv, store_->value(q_gain_), store_->value(k_gain_),
                         saved.log_sum, dqkv, attended);
  ctx.release(dqkv);
  Tensor middle = ctx.take(x.shape);
  projection_.tangent(ctx, attended, middle);
  ctx.release(attended);
  ctx->gated_add(ctx, dx, middle, saved.modulation, gate(0), middle);

  ctx->norm_modulate_tangent(ctx, NormKind::rms, saved.middle, {saved.modulation, scale(1), shift(1)},
                             saved.statistics2, middle, narrow);
  Tensor hidden = ctx.take({n, up_.out()});
  up_.tangent(ctx, narrow, hidden);
  ctx->gelu_backward(ctx, saved.hidden, hidden, hidden);
  down_.tangent(ctx, hidden, narrow);
  ctx.release(hidden);
  ctx->gated_add(ctx, middle, narrow, saved.modulation, gate(1), dy);
  ctx.release(narrow, middle);
}

void Block::release(Context& ctx, Saved& saved) const {
  for (Tensor* tensor : {&saved.modulation, &saved.statistics1, &saved.statistics2, &saved.qkv, &saved.attended,
                         &saved.log_sum, &saved.projected, &saved.middle, &saved.hidden, &saved.branch})
    if (!tensor->none()) ctx.release(*tensor);
}

void Block::merge_adapters(Context& ctx, int bucket) const {
  for (const Linear* linear : {&qkv_, &projection_, &up_, &down_}) linear->merge_adapter(ctx, bucket);
}

}  // namespace zonda::model
