#include "model/network/token_order.hpp"

#include <algorithm>
#include <cstring>
#include <numeric>

#include "core/error.hpp"

namespace zonda::model {

std::int64_t TokenOrder::rank_begin(int rank) const {
  return chunks[(chunks.size() - 1) / static_cast<std::size_t>(ranks) * static_cast<std::size_t>(rank)];
}

TokenOrder raster_order(const Slab& slab) {
  const std::int64_t columns = slab.patches().token_columns;
  TokenOrder order;
  order.ranks = slab.ranks().size();
  for (const std::int64_t row : slab.row_cuts()) order.chunks.push_back(row * columns);
  order.tokens.resize(static_cast<std::size_t>(order.chunks.back()));
  std::iota(order.tokens.begin(), order.tokens.end(), 0);
  return order;
}

namespace {

using Chunks = std::vector<int>;  // [sequences]

Chunks chunks_by_row(const SequenceDraft& whole, const Slab& slab) {
  Chunks chunk(whole.sequences());
  const std::int64_t columns = slab.patches().token_columns;
  const auto& cuts = slab.row_cuts();
  for (std::size_t s = 0; s < chunk.size(); ++s) {
    const auto first = whole.tokens.begin() + whole.offsets[s], last = whole.tokens.begin() + whole.offsets[s + 1];
    const std::int64_t row = *std::min_element(first, last) / columns;
    chunk[s] = static_cast<int>(std::upper_bound(cuts.begin(), cuts.end() - 1, row) - cuts.begin()) - 1;
  }
  return chunk;
}

Chunks chunks_in_turn(const SequenceDraft& whole, const Slab& slab) {
  Chunks chunk(whole.sequences());
  const auto total = static_cast<std::int64_t>(whole.tokens.size());
  for (std::size_t s = 0; s < chunk.size(); ++s)
    chunk[s] = static_cast<int>(std::int64_t{whole.offsets[s]} * slab.chunks() / total);
  return chunk;
}

/// Tokens of the largest chunk, times the chunks, over all tokens.
double imbalance(const SequenceDraft& whole, const Chunks& chunk, int chunks) {
  std::vector<std::int64_t> tokens(static_cast<std::size_t>(chunks));
  for (std::size_t s = 0; s < chunk.size(); ++s)
    tokens[static_cast<std::size_t>(chunk[s])] += whole.offsets[s + 1] - whole.offsets[s];
  return static_cast<double>(*std::max_element(tokens.begin(), tokens.end())) * chunks /
         static_cast<double>(whole.tokens.size());
}

Chunks chunks_of_sequences(const SequenceDraft& whole, const Slab& slab, Cut cut) {
  constexpr double too_uneven = 1.6;  // a window of shifted ones more than the others is not
  Chunks in_turn = chunks_in_turn(whole, slab);
  if (cut == Cut::evenly) return in_turn;
  Chunks by_row = chunks_by_row(whole, slab);
  const double uneven = imbalance(whole, by_row, slab.chunks());
  return uneven > too_uneven && uneven > imbalance(whole, in_turn, slab.chunks()) ? in_turn : by_row;
}

}  // namespace

LayerTokens::LayerTokens(const SequenceDraft& whole, const Slab& slab, Cut cut, DType dtype, Memory& memory) {
  const std::vector<int> chunk = chunks_of_sequences(whole, slab, cut);
  std::vector<std::size_t> sequences(whole.sequences());
  std::iota(sequences.begin(), sequences.end(), std::size_t{0});
  std::stable_sort(sequences.begin(), sequences.end(),
                   [&](std::size_t a, std::size_t b) { return chunk[a] < chunk[b]; });

  order_.ranks = slab.ranks().size();
  order_.chunks.push_back(0);
  SequenceDraft mine;
  mine.pairs = whole.pairs;
  const int first_chunk = slab.first_chunk(), here = slab.chunks_here();
  std::vector<std::size_t> sequences_before(static_cast<std::size_t>(here) + 1);  // of this rank's chunks
  std::size_t next = 0;
  for (int c = 0; c < slab.chunks(); ++c) {
    const bool own = c >= first_chunk && c < first_chunk + here;
    for (; next < sequences.size() && chunk[sequences[next]] == c; ++next) {
      const auto begin = static_cast<std::size_t>(whole.offsets[sequences[next]]),
                 end = static_cast<std::size_t>(whole.offsets[sequences[next] + 1]);
      order_.tokens.insert(order_.tokens.end(), whole.tokens.begin() + static_cast<std::ptrdiff_t>(begin),
                           whole.tokens.begin() + static_cast<std::ptrdiff_t>(end));
      if (!own) continue;
      for (std::size_t i = begin; i < end; ++i) mine.tokens.push_back(static_cast<std::int32_t>(mine.tokens.size()));
      mine.phases.insert(mine.phases.end(), whole.phases.begin() + static_cast<std::ptrdiff_t>(begin * whole.pairs),
                         whole.phases.begin() + static_cast<std::ptrdiff_t>(end * whole.pairs));
      mine.end_sequence();
    }
    order_.chunks.push_back(static_cast<std::int64_t>(order_.tokens.size()));
    if (own) sequences_before[static_cast<std::size_t>(c - first_chunk) + 1] = mine.sequences();
  }
  all_ = settle(mine, dtype, memory);
  if (slab.chunks() == 1) return;

  const SequenceTable& table = all_.table;
  for (int c = 0; c <= here; ++c)
    chunks_.push_back(order_.chunks[static_cast<std::size_t>(first_chunk + c)] -
                      order_.chunks[static_cast<std::size_t>(first_chunk)]);
  for (std::size_t c = 0; c < static_cast<std::size_t>(here); ++c) {
    const std::int64_t first = chunks_[c], count = chunks_[c + 1] - first;
    SequenceTable part;
    for (std::size_t s = sequences_before[c]; s < sequences_before[c + 1]; ++s) {
      part.offsets.push_back(table.offsets[s + 1] - static_cast<std::int32_t>(first));
      part.longest = std::max(part.longest, table.offsets[s + 1] - table.offsets[s]);
    }
    part.tokens.resize(static_cast<std::size_t>(count));
    std::iota(part.tokens.begin(), part.tokens.end(), 0);
    part.cosine = table.cosine.slice(first, count);
    part.sine = table.sine.slice(first, count);
    part.id = IndexTable::next_id();
    by_chunk_.push_back(std::move(part));
  }
}

std::size_t LayerTokens::bytes() const {
  std::size_t bytes = all_.bytes();
  for (const SequenceTable& table : by_chunk_) bytes += 4 * (table.tokens.size() + table.offsets.size());
  return bytes;
}

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

/// Rows of a device, on the host while they travel.
class OnHost {
 public:
  OnHost(Memory& memory, const Tensor& rows) : memory_(memory), rows_(rows) {
    if (rows.device != Device::cpu) copy_.resize(rows.bytes());
  }
  std::byte* data() { return copy_.empty() ? static_cast<std::byte*>(rows_.data) : copy_.data(); }
  void fetch() {
    if (!copy_.empty()) memory_.copy_out(copy_.data(), rows_.data, copy_.size());
  }
  void put_back() {
    if (!copy_.empty()) memory_.copy_in(rows_.data, copy_.data(), copy_.size());
  }

 private:
  Memory& memory_;
  const Tensor& rows_;
  std::vector<std::byte> copy_;
};

}  // namespace

void TokenMove::move(Context& ctx, std::int64_t samples, const Side& out, const Side& in, Tensor& rows) const {
  if (nothing_) return;
  if (rows.shape[0] != samples * out.count())
    fail(ErrorKind::failure, "{} rows of tokens, {} samples of {} expected", rows.shape[0], samples, out.count());
  const std::int64_t width = rows.shape[1];
  Tensor moved = ctx.take({samples * in.count(), width}, rows.dtype);
  if (ranks_.size() == 1) {
    ctx->permute_rows(ctx, rows, &out == &out_ ? alone_ : back_, moved);
    ctx.release(rows);
    rows = moved;
    return;
  }
  const auto me = static_cast<std::size_t>(ranks_.rank()), others = static_cast<std::size_t>(ranks_.size());
  const auto travelling = [&](const Side& side) { return side.count() - (side.begin[me + 1] - side.begin[me]); };
  Tensor leaving = ctx.take({samples * travelling(out) + 1, width}, rows.dtype),
         arriving = ctx.take({samples * travelling(in) + 1, width}, rows.dtype);
  if (!ctx.planning()) {
    const std::size_t bytes = static_cast<std::size_t>(width) * size_of(rows.dtype);
    const auto rank_rows = [&](const Side& side, std::size_t rank) {
      return std::span(side.rows).subspan(static_cast<std::size_t>(side.begin[rank]),
                                          static_cast<std::size_t>(side.begin[rank + 1] - side.begin[rank]));
    };
    OnHost here(ctx->memory(), rows), there(ctx->memory(), moved), send(ctx->memory(), leaving),
        receive(ctx->memory(), arriving);
    here.fetch();
    const auto sample_of = [&](OnHost& tensor, const Side& side, std::int64_t sample) {
      return tensor.data() + static_cast<std::size_t>(sample * side.count()) * bytes;
    };
    std::vector<std::size_t> send_offset(others + 1), receive_offset(others + 1);
    std::byte* next = send.data();
    for (std::size_t rank = 0; rank < others; ++rank) {
      const auto sent = rank_rows(out, rank), received = rank_rows(in, rank);
      const auto b = rank == me ? std::size_t{0} : static_cast<std::size_t>(samples);
      send_offset[rank + 1] = send_offset[rank] + b * sent.size() * bytes;
      receive_offset[rank + 1] = receive_offset[rank] + b * received.size() * bytes;
      for (std::size_t sample = 0; sample < b; ++sample, next += sent.size() * bytes)
        gather(sample_of(here, out, static_cast<std::int64_t>(sample)), sent, bytes, next);
    }
    parallel::Event event = ranks_.all_to_all({send.data(), send_offset.back()}, send_offset,
                                              {receive.data(), receive_offset.back()}, receive_offset);
    // What stays, while the others travel.
    const auto from = rank_rows(out, me), to = rank_rows(in, me);
    for (std::int64_t sample = 0; sample < samples; ++sample)
      for (std::size_t k = 0; k < from.size(); ++k)
        std::memcpy(sample_of(there, in, sample) + static_cast<std::size_t>(to[k]) * bytes,
                    sample_of(here, out, sample) + static_cast<std::size_t>(from[k]) * bytes, bytes);
    event.wait();
    const std::byte* got = receive.data();
    for (std::size_t rank = 0; rank < others; ++rank)
      for (std::int64_t sample = 0; rank != me && sample < samples; ++sample) {
        const auto received = rank_rows(in, rank);
        scatter(got, received, bytes, sample_of(there, in, sample));
        got += received.size() * bytes;
      }
    there.put_back();
  }
  ctx.release(arriving, leaving, rows);
  rows = moved;
}

}  // namespace zonda::model
