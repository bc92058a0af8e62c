#include "model/network/token_order.hpp"

#include <algorithm>
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
  std::vector<std::int64_t> begins;                                               // of all sequences
  std::size_t next = 0;
  for (int c = 0; c < slab.chunks(); ++c) {
    const bool own = c >= first_chunk && c < first_chunk + here;
    for (; next < sequences.size() && chunk[sequences[next]] == c; ++next) {
      const auto begin = static_cast<std::size_t>(whole.offsets[sequences[next]]),
                 end = static_cast<std::size_t>(whole.offsets[sequences[next] + 1]);
      begins.push_back(static_cast<std::int64_t>(order_.tokens.size()));
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
  for (int rank = 0; rank < order_.ranks; ++rank) {
    const std::int64_t first = order_.rank_begin(rank), last = order_.rank_begin(rank + 1);
    auto half = std::lower_bound(begins.begin(), begins.end(), first + (last - first) / 2);
    const std::int64_t behind = half == begins.end() ? last : std::min(*half, last);
    order_.second_halves.push_back(behind);
    if (half != begins.begin() && behind - first > last - *(half - 1) && *(half - 1) > first)
      order_.second_halves.back() = *--half;
    if (rank == slab.ranks().rank())
      first_half_ = static_cast<std::size_t>(half - std::lower_bound(begins.begin(), half, first));
  }

  for (int c = 0; c <= here; ++c)
    chunks_.push_back(order_.chunks[static_cast<std::size_t>(first_chunk + c)] -
                      order_.chunks[static_cast<std::size_t>(first_chunk)]);
  for (std::size_t c = 0; c < static_cast<std::size_t>(here); ++c)
    by_chunk_.push_back(part(sequences_before[c], sequences_before[c + 1]));
}

SequenceTable LayerTokens::part(std::size_t begin, std::size_t end) const {
  const SequenceTable& table = all_.table;
  const std::int64_t first = table.offsets[begin], count = table.offsets[end] - first;
  SequenceTable part;
  for (std::size_t s = begin; s < end; ++s) {
    part.offsets.push_back(table.offsets[s + 1] - static_cast<std::int32_t>(first));
    part.longest = std::max(part.longest, table.offsets[s + 1] - table.offsets[s]);
  }
  part.tokens.resize(static_cast<std::size_t>(count));
  std::iota(part.tokens.begin(), part.tokens.end(), 0);
  part.cosine = table.cosine.slice(first, count);
  part.sine = table.sine.slice(first, count);
  part.id = IndexTable::next_id();
  return part;
}

std::size_t LayerTokens::bytes() const {
  std::size_t bytes = all_.bytes();
  for (const SequenceTable& table : by_chunk_) bytes += 4 * (table.tokens.size() + table.offsets.size());
  return bytes;
}

}  // namespace zonda::model
