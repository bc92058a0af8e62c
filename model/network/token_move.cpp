#include "model/network/token_move.hpp"

#include <cstring>

#include "core/error.hpp"

namespace zonda::model {

TokenMove::TokenMove(const TokenOrder& from, const TokenOrder& to, const Slab& slab)
    : ranks_(slab.ranks()), nothing_(from == to) {
  if (nothing_) return;
  // Where each token lies: its place in the whole order; ranks follow one another there.
  const auto places = [](const TokenOrder& order) {
    std::vector<std::int32_t> place(order.tokens.size());
    for (std::size_t i = 0; i < order.tokens.size(); ++i)
      place[static_cast<std::size_t>(order.tokens[i])] = static_cast<std::int32_t>(i);
    return place;
  };
  const int me = ranks_.rank(), ranks = ranks_.size();
  const std::vector<std::int32_t> place_from = places(from), place_to = places(to);
  const auto row_from = [&](std::int64_t i) {  // of the i-th token of `to`, on the rank that has it in `from`
    return place_from[static_cast<std::size_t>(to.tokens[static_cast<std::size_t>(i)])];
  };
  const auto within = [](const TokenOrder& order, int rank, std::int64_t place) {
    return place >= order.rank_begin(rank) && place < order.rank_begin(rank + 1);
  };
  // Between two ranks rows travel in the receiver's order.
  out_.begin.push_back(0);
  in_.begin.push_back(0);
  std::vector<std::int32_t> index;
  for (int other = 0; other < ranks; ++other) {
    for (std::int64_t i = to.rank_begin(other); i < to.rank_begin(other + 1); ++i)
      if (within(from, me, row_from(i)))
        out_.rows.push_back(row_from(i) - static_cast<std::int32_t>(from.rank_begin(me)));
    out_.begin.push_back(static_cast<std::int64_t>(out_.rows.size()));
    for (std::int64_t i = to.rank_begin(me); i < to.rank_begin(me + 1); ++i)
      if (within(from, other, row_from(i))) in_.rows.push_back(static_cast<std::int32_t>(i - to.rank_begin(me)));
    in_.begin.push_back(static_cast<std::int64_t>(in_.rows.size()));
  }
  if (ranks > 1) return;
  back_ = IndexTable(std::vector<std::int32_t>(from.tokens.size()));
  for (std::size_t i = 0; i < from.tokens.size(); ++i)
    back_.values[i] = place_to[static_cast<std::size_t>(from.tokens[i])];
  alone_ = IndexTable(out_.rows);
}

std::int64_t TokenMove::away(const Side& side) const {
  if (nothing_) return 0;
  const auto me = static_cast<std::size_t>(ranks_.rank());
  return side.count() - (side.begin[me + 1] - side.begin[me]);
}

std::int64_t TokenMove::messages(const Side& side) const {
  std::int64_t messages = 0;
  for (std::size_t r = 0; !nothing_ && r + 1 < side.begin.size(); ++r)
    messages += r != static_cast<std::size_t>(ranks_.rank()) && side.begin[r + 1] > side.begin[r];
  return messages;
}

std::size_t TokenMove::bytes() const {
  return 4 * (out_.rows.size() + in_.rows.size() + alone_.values.size() + back_.values.size());
}

std::vector<bool> TokenMove::rows_of_others(const Side& side) const {
  std::vector<bool> others(static_cast<std::size_t>(side.begin.empty() ? 0 : side.count()));
  for (std::size_t rank = 0; rank + 1 < side.begin.size(); ++rank)
    if (rank != static_cast<std::size_t>(ranks_.rank()))
      for (const std::int32_t row : side.of(rank)) others[static_cast<std::size_t>(row)] = true;
  return others;
}

namespace {

/// Copies rows of `bytes`: to[k] = from[index[k]], or to[index[k]] = from[k].
void gather(const std::byte* from, std::span<const std::int32_t> index, std::size_t bytes, std::byte* to) {
  for (const std::int32_t row : index) {
    std::memcpy(to, from + static_cast<std::size_t>(row) * bytes, bytes);
    to += bytes;
  }
}
void scatter(const std::byte* from, std::span<const std::int32_t> index, std::size_t bytes, std::byte* to) {
  for (const std::int32_t row : index) {
    std::memcpy(to + static_cast<std::size_t>(row) * bytes, from, bytes);
    from += bytes;
  }
}

}  // namespace

TokenMove::Passage TokenMove::begin(Context& ctx, std::int64_t samples, Way way, const Tensor& rows) const {
  Passage passage;
  passage.move = this;
  passage.way = way;
  passage.samples = samples;
  passage.moved = rows;
  if (nothing_) return passage;
  if (rows.shape[0] != samples * out(way).count())
    fail(ErrorKind::failure, "{} rows of tokens, {} samples of {} expected", rows.shape[0], samples, out(way).count());
  const std::int64_t width = rows.shape[1];
  passage.moved = ctx.take({samples * in(way).count(), width}, rows.dtype);
  if (ranks_.size() == 1) return passage;
  passage.leaving = ctx.take({samples * away(out(way)) + 1, width}, rows.dtype);
  passage.arriving = ctx.take({samples * away(in(way)) + 1, width}, rows.dtype);
  return passage;
}

/// Packs the rows that leave, rank by rank, of each sample by sample, and starts the exchange.
void TokenMove::post(Passage& passage, const std::byte* rows, std::size_t bytes, std::byte* leaving,
                     std::byte* arriving) const {
  const Side &from = out(passage.way), &to = in(passage.way);
  const auto me = static_cast<std::size_t>(ranks_.rank()), others = static_cast<std::size_t>(ranks_.size()),
             samples = static_cast<std::size_t>(passage.samples);
  std::vector<std::size_t> send_offset(others + 1), receive_offset(others + 1);
  std::byte* next = leaving;
  for (std::size_t rank = 0; rank < others; ++rank) {
    const auto sent = from.of(rank);
    const std::size_t b = rank == me ? 0 : samples;
    send_offset[rank + 1] = send_offset[rank] + b * sent.size() * bytes;
    receive_offset[rank + 1] = receive_offset[rank] + b * to.of(rank).size() * bytes;
    for (std::size_t sample = 0; sample < b; ++sample, next += sent.size() * bytes)
      gather(rows + sample * static_cast<std::size_t>(from.count()) * bytes, sent, bytes, next);
  }
  passage.arrival =
      ranks_.all_to_all({leaving, send_offset.back()}, send_offset, {arriving, receive_offset.back()}, receive_offset);
  passage.sent = true;
}

void TokenMove::send(Context& ctx, Passage& passage, const Tensor& rows) const {
  if (nothing_ || ranks_.size() == 1 || ctx.planning() || rows.device != Device::cpu) return;
  post(passage, rows.as<std::byte>(), static_cast<std::size_t>(rows.shape[1]) * size_of(rows.dtype),
       passage.leaving.as<std::byte>(), passage.arriving.as<std::byte>());
}

void TokenMove::keep(Context& ctx, Passage& passage, Tensor& rows) const {
  if (nothing_) return;
  if (ranks_.size() == 1) {
    ctx->permute_rows(ctx, rows, passage.way == Way::forward ? alone_ : back_, passage.moved);
    return ctx.release(rows);
  }
  if (!ctx.planning()) {
    const std::size_t bytes = static_cast<std::size_t>(rows.shape[1]) * size_of(rows.dtype);
    const std::byte* here = rows.as<std::byte>();
    std::byte* there = passage.moved.as<std::byte>();
    std::vector<std::byte> rows_host, leaving_host;
    if (rows.device != Device::cpu) {
      rows_host.resize(rows.bytes());
      leaving_host.resize(passage.leaving.bytes());
      passage.arriving_host.resize(passage.arriving.bytes());
      passage.moved_host.resize(passage.moved.bytes());
      ctx->memory().copy_out(rows_host.data(), rows.data, rows_host.size());
      here = rows_host.data();
      there = passage.moved_host.data();
      post(passage, here, bytes, leaving_host.data(), passage.arriving_host.data());
    } else if (!passage.sent) {
      send(ctx, passage, rows);
    }
    const Side &from = out(passage.way), &to = in(passage.way);
    const auto me = static_cast<std::size_t>(ranks_.rank());
    const auto staying = from.of(me), places = to.of(me);
    for (std::size_t sample = 0; sample < static_cast<std::size_t>(passage.samples); ++sample)
      for (std::size_t k = 0; k < staying.size(); ++k)
        std::memcpy(
            there + (sample * static_cast<std::size_t>(to.count()) + static_cast<std::size_t>(places[k])) * bytes,
            here + (sample * static_cast<std::size_t>(from.count()) + static_cast<std::size_t>(staying[k])) * bytes,
            bytes);
    if (!leaving_host.empty()) passage.arrival.wait();  // what leaves goes with this function
  }
  ctx.release(rows);
}

void TokenMove::finish(Context& ctx, Passage& passage) {
  const TokenMove* move = std::exchange(passage.move, nullptr);
  if (!move || move->nothing_ || move->ranks_.size() == 1) return;
  if (!ctx.planning()) {
    const bool on_host = passage.moved_host.empty();
    const Side& to = move->in(passage.way);
    const std::size_t bytes = static_cast<std::size_t>(passage.moved.shape[1]) * size_of(passage.moved.dtype);
    std::byte* there = on_host ? passage.moved.as<std::byte>() : passage.moved_host.data();
    const std::byte* got = on_host ? passage.arriving.as<std::byte>() : passage.arriving_host.data();
    passage.arrival.wait();
    for (std::size_t rank = 0; rank < static_cast<std::size_t>(move->ranks_.size()); ++rank)
      for (std::size_t sample = 0;
           rank != static_cast<std::size_t>(move->ranks_.rank()) && sample < static_cast<std::size_t>(passage.samples);
           ++sample) {
        const auto received = to.of(rank);
        scatter(got, received, bytes, there + sample * static_cast<std::size_t>(to.count()) * bytes);
        got += received.size() * bytes;
      }
    if (!on_host) {
      ctx->memory().copy_in(passage.moved.data, there, passage.moved_host.size());
      passage.moved_host = {};
      passage.arriving_host = {};
    }
  }
  ctx.release(passage.arriving, passage.leaving);
}

void TokenMove::move(Context& ctx, std::int64_t samples, Way way, Tensor& rows) const {
  Passage passage = begin(ctx, samples, way, rows);
  keep(ctx, passage, rows);
  finish(ctx, passage);
  rows = passage.moved;
}

}  // namespace zonda::model
