#include "model/network/token_move.hpp"

#include <algorithm>
#include <cstring>

#include "core/error.hpp"

namespace zonda::model {

TokenMove::TokenMove(const TokenOrder& from, const TokenOrder& to, const Slab& slab)
    : ranks_(slab.ranks()), nothing_(from.is_that_of(to)) {
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
  if (ranks > 1) {
    cut_into_halves(from, to);
    return;
  }
  back_ = IndexTable(std::vector<std::int32_t>(from.tokens.size()));
  for (std::size_t i = 0; i < from.tokens.size(); ++i)
    back_.values[i] = place_to[static_cast<std::size_t>(from.tokens[i])];
  alone_ = IndexTable(out_.rows);
}

void TokenMove::cut_into_halves(const TokenOrder& from, const TokenOrder& to) {
  // Of a half: on any rank, and on all in the mean.
  constexpr std::int64_t fewest_rows = 16, fewest_in_mean = 64;
  const auto in_mean = static_cast<std::int64_t>(from.tokens.size()) / from.ranks;
  room_for_samples_ = in_mean >= fewest_in_mean;
  room_for_halves_ = in_mean >= 2 * fewest_in_mean && !(from.second_halves.empty() && to.second_halves.empty());
  for (const TokenOrder* order : {&from, &to})
    for (int rank = 0; rank < order->ranks; ++rank) {
      const std::int64_t begin = order->rank_begin(rank), end = order->rank_begin(rank + 1);
      room_for_samples_ = room_for_samples_ && end - begin >= fewest_rows;
      if (order->second_halves.empty()) continue;
      const std::int64_t cut = order->second_halves[static_cast<std::size_t>(rank)];
      room_for_halves_ = room_for_halves_ && std::min(cut - begin, end - cut) >= fewest_rows;
    }

  // Of every token: the rank and the half where it is, and where it goes.
  struct Place {
    int rank = 0;
    bool second = false;
    std::int64_t row = 0;  // of the rank's
  };
  const auto places = [](const TokenOrder& order) {
    std::vector<Place> list(order.tokens.size());
    for (int rank = 0; rank < order.ranks; ++rank)
      for (std::int64_t i = order.rank_begin(rank); i < order.rank_begin(rank + 1); ++i)
        list[static_cast<std::size_t>(order.tokens[static_cast<std::size_t>(i)])] = {
            rank, !order.second_halves.empty() && i >= order.second_halves[static_cast<std::size_t>(rank)],
            i - order.rank_begin(rank)};
    return list;
  };
  const std::vector<Place> source = places(from), target = places(to);
  std::size_t changing = 0;
  for (std::size_t token = 0; token < source.size(); ++token) changing += source[token].rank != target[token].rank;
  thorough_ = 3 * changing > source.size();
  room_for_halves_ = room_for_halves_ && thorough_;
  if (!room_for_halves_) return;

  // Rows of an order without halves are there all at once, as a second half is; and are needed all at once, as a first.
  const std::size_t early = from.second_halves.empty() ? 0 : 1;
  halves_.resize(1 + early + (to.second_halves.empty() ? 0 : 1));
  const auto portion_of = [&](const Place& at, const Place& goes) -> Portion& {
    const bool first = early == 1 && !at.second;
    return halves_[first ? 0 : early + (goes.second ? 1 : 0)];
  };
  for (Portion& portion : halves_) portion.out.begin = portion.in.begin = {0};
  const int me = ranks_.rank();
  for (int other = 0; other < ranks_.size(); ++other) {
    const auto tokens_of = [&](int rank) {
      return std::span(to.tokens).subspan(static_cast<std::size_t>(to.rank_begin(rank)),
                                          static_cast<std::size_t>(to.count(rank)));
    };
    for (const std::int32_t number : tokens_of(other)) {
      const auto token = static_cast<std::size_t>(number);
      if (other != me && source[token].rank == me)
        portion_of(source[token], target[token]).out.rows.push_back(static_cast<std::int32_t>(source[token].row));
    }
    for (const std::int32_t number : tokens_of(me)) {
      const auto token = static_cast<std::size_t>(number);
      if (other != me && source[token].rank == other)
        portion_of(source[token], target[token]).in.rows.push_back(static_cast<std::int32_t>(target[token].row));
    }
    for (Portion& portion : halves_) {
      portion.out.begin.push_back(static_cast<std::int64_t>(portion.out.rows.size()));
      portion.in.begin.push_back(static_cast<std::int64_t>(portion.in.rows.size()));
    }
  }
}

bool TokenMove::has_room_for(Dispatch dispatch) const {
  return dispatch == Dispatch::at_once || (dispatch == Dispatch::by_halves ? room_for_halves_ : room_for_samples_);
}

std::size_t TokenMove::portions(Dispatch dispatch) const {
  return dispatch == Dispatch::at_once ? 1 : dispatch == Dispatch::by_samples ? 2 : halves_.size();
}

TokenMove::Load TokenMove::load(const Passage& passage, std::size_t portion) const {
  const std::int64_t first_samples = (passage.samples + 1) / 2;
  if (passage.dispatch == Dispatch::by_halves) return {halves_[portion].out, halves_[portion].in, 0, passage.samples};
  const bool all = passage.dispatch == Dispatch::at_once;
  return {out(passage.way), in(passage.way), portion == 0 ? 0 : first_samples,
          all || portion == 1 ? passage.samples : first_samples};
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

std::int64_t TokenMove::messages_sent(Dispatch dispatch) const {
  if (dispatch != Dispatch::by_halves) return messages(out_) * static_cast<std::int64_t>(portions(dispatch));
  std::int64_t sum = 0;
  for (const Portion& portion : halves_) sum += messages(portion.out);
  return sum;
}

std::size_t TokenMove::bytes() const {
  std::size_t rows = out_.rows.size() + in_.rows.size() + alone_.values.size() + back_.values.size();
  for (const Portion& portion : halves_) rows += portion.out.rows.size() + portion.in.rows.size();
  return 4 * rows;
}

std::vector<int> TokenMove::portions_of(Dispatch dispatch, Side Portion::*which, const Side& whole) const {
  std::vector<int> portions(static_cast<std::size_t>(whole.begin.empty() ? 0 : whole.count()), -1);
  const auto mark = [&](const Side& side, int number) {
    for (std::size_t rank = 0; rank + 1 < side.begin.size(); ++rank)
      if (rank != static_cast<std::size_t>(ranks_.rank()))
        for (const std::int32_t row : side.of(rank)) portions[static_cast<std::size_t>(row)] = number;
  };
  if (dispatch != Dispatch::by_halves)
    mark(whole, 0);
  else
    for (std::size_t i = 0; i < halves_.size(); ++i) mark(halves_[i].*which, static_cast<int>(i));
  return portions;
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

void TokenMove::Passage::look() {
  for (std::size_t i = arrived; i < sent; ++i) arrivals[i].test();
}

TokenMove::Passage TokenMove::begin(Context& ctx, std::int64_t samples, Way way, const Tensor& rows,
                                    Dispatch dispatch) const {
  Passage passage;
  passage.move = this;
  passage.way = way;
  passage.dispatch = dispatch;
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

/// Packs the rows that leave in the next portion, rank by rank, of each sample by sample, and starts the exchange.
void TokenMove::post(Passage& passage, const std::byte* rows, std::size_t bytes, std::byte* leaving,
                     std::byte* arriving) const {
  for (std::size_t portion = 0; portion < passage.sent; ++portion) {
    const Load before = load(passage, portion);
    const auto n = static_cast<std::size_t>(before.end - before.first);
    leaving += n * static_cast<std::size_t>(away(before.out)) * bytes;
    arriving += n * static_cast<std::size_t>(away(before.in)) * bytes;
  }
  const Load now = load(passage, passage.sent);
  const auto me = static_cast<std::size_t>(ranks_.rank()), others = static_cast<std::size_t>(ranks_.size()),
             first = static_cast<std::size_t>(now.first), end = static_cast<std::size_t>(now.end),
             of_sample = static_cast<std::size_t>(out(passage.way).count());
  std::vector<std::size_t> send_offset(others + 1), receive_offset(others + 1);
  std::byte* next = leaving;
  for (std::size_t rank = 0; rank < others; ++rank) {
    const auto sent = now.out.of(rank);
    const std::size_t n = rank == me ? 0 : end - first;
    send_offset[rank + 1] = send_offset[rank] + n * sent.size() * bytes;
    receive_offset[rank + 1] = receive_offset[rank] + n * now.in.of(rank).size() * bytes;
    for (std::size_t sample = first; sample < first + n; ++sample, next += sent.size() * bytes)
      gather(rows + sample * of_sample * bytes, sent, bytes, next);
  }
  passage.arrivals[passage.sent++] =
      ranks_.all_to_all({leaving, send_offset.back()}, send_offset, {arriving, receive_offset.back()}, receive_offset);
}

void TokenMove::send(Context& ctx, Passage& passage, const Tensor& rows, std::size_t portions_there) const {
  if (nothing_ || ranks_.size() == 1 || ctx.planning() || rows.device != Device::cpu) return;
  while (passage.sent < std::min(portions_there, portions(passage.dispatch)))
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
    } else {
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
    if (!leaving_host.empty()) passage.arrivals[0].wait();  // what leaves goes with this function
  }
  ctx.release(rows);
}

/// The next portion's rows find their places.
void TokenMove::place(Passage& passage, std::size_t bytes, const std::byte* got, std::byte* moved) const {
  for (std::size_t portion = 0; portion < passage.arrived; ++portion) {
    const Load before = load(passage, portion);
    got += static_cast<std::size_t>((before.end - before.first) * away(before.in)) * bytes;
  }
  const Load now = load(passage, passage.arrived);
  passage.arrivals[passage.arrived++].wait();
  const auto of_sample = static_cast<std::size_t>(in(passage.way).count());
  for (std::size_t rank = 0; rank < static_cast<std::size_t>(ranks_.size()); ++rank) {
    if (rank == static_cast<std::size_t>(ranks_.rank())) continue;
    const auto received = now.in.of(rank);
    for (auto sample = static_cast<std::size_t>(now.first); sample < static_cast<std::size_t>(now.end); ++sample) {
      scatter(got, received, bytes, moved + sample * of_sample * bytes);
      got += received.size() * bytes;
    }
  }
}

void TokenMove::finish(Context& ctx, Passage& passage, std::size_t portions) {
  const TokenMove* move = passage.move;
  if (!move) return;
  const std::size_t all = move->portions(passage.dispatch);
  const bool ends = portions >= all;
  if (ends) passage.move = nullptr;
  if (move->nothing_ || move->ranks_.size() == 1) return;
  if (!ctx.planning()) {
    const bool on_host = passage.moved_host.empty();
    const std::size_t bytes = static_cast<std::size_t>(passage.moved.shape[1]) * size_of(passage.moved.dtype);
    std::byte* there = on_host ? passage.moved.as<std::byte>() : passage.moved_host.data();
    const std::byte* got = on_host ? passage.arriving.as<std::byte>() : passage.arriving_host.data();
    while (passage.arrived < std::min(portions, all)) move->place(passage, bytes, got, there);
    if (!on_host) {
      ctx->memory().copy_in(passage.moved.data, there, passage.moved_host.size());
      passage.moved_host = {};
      passage.arriving_host = {};
    }
  }
  if (ends) ctx.release(passage.arriving, passage.leaving);
}

void TokenMove::move(Context& ctx, std::int64_t samples, Way way, Tensor& rows) const {
  Passage passage = begin(ctx, samples, way, rows);
  keep(ctx, passage, rows);
  finish(ctx, passage);
  rows = passage.moved;
}

}  // namespace zonda::model
