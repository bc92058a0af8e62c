#include "model/network/slab.hpp"

#include <algorithm>
#include <bit>

#include "core/error.hpp"
#include "model/network/sequences.hpp"

namespace zonda::model {

namespace {

bool power_of_two(int n) {
  return n > 0 && std::has_single_bit(static_cast<unsigned>(n));
}

}  // namespace

int chunks_for(const TokenGrid& grid, int window_rows, int most) {
  constexpr std::int64_t fewest_tokens = 128;
  const auto windows = static_cast<std::int64_t>(window_cuts(grid.patches.token_rows, window_rows).size()) - 1;
  int chunks = 1;
  while (2 * chunks <= std::min<std::int64_t>(windows, most) && grid.count() >= 2 * chunks * fewest_tokens) chunks *= 2;
  return chunks;
}

Slab::Slab(const TokenGrid& whole, const Sharding& sharding, int window_rows)
    : ranks_(sharding.slabs), chunks_(sharding.chunks), whole_(whole.patches) {
  if (!power_of_two(ranks_.size()) || !power_of_two(chunks_) || chunks_ < ranks_.size())
    fail(ErrorKind::usage,
         "network: {} slabs of latitude and {} chunks: both must be powers of two, and each slab needs a chunk",
         ranks_.size(), chunks_);
  const std::int64_t rows = whole_.token_rows;
  if (chunks_ > rows)
    fail(ErrorKind::usage, "network: {} chunks of latitude, the grid has {} rows of tokens", chunks_, rows);
  const std::vector<std::int64_t> windows = window_cuts(rows, window_rows);
  const auto count = static_cast<std::int64_t>(windows.size()) - 1;
  for (std::int64_t c = 0; c <= chunks_; ++c)
    cuts_.push_back(count >= chunks_ ? windows[static_cast<std::size_t>(c * count / chunks_)] : c * rows / chunks_);
  const auto first = static_cast<std::size_t>(first_chunk());
  for (int c = 0; c <= chunks_here(); ++c)
    offsets_.push_back((cuts_[first + static_cast<std::size_t>(c)] - cuts_[first]) * whole_.token_columns);
}

parallel::Range Slab::token_rows(int rank) const {
  const auto each = static_cast<std::size_t>(chunks_here()), first = static_cast<std::size_t>(rank) * each;
  return {static_cast<std::size_t>(cuts_[first]), static_cast<std::size_t>(cuts_[first + each])};
}

parallel::Range Slab::image_rows_between(std::int64_t first, std::int64_t end) const {
  const std::int64_t last = end == whole_.token_rows ? whole_.kernel_rows - whole_.size : 0;
  return {static_cast<std::size_t>(first * whole_.size), static_cast<std::size_t>(end * whole_.size + last)};
}

parallel::Range Slab::image_rows(int rank) const {
  const parallel::Range rows = token_rows(rank);
  return image_rows_between(static_cast<std::int64_t>(rows.begin), static_cast<std::int64_t>(rows.end));
}

parallel::Range Slab::image_rows_of_chunk(int chunk) const {
  const auto c = static_cast<std::size_t>(chunk);
  return image_rows_between(cuts_[c], cuts_[c + 1]);
}

std::vector<std::size_t> Slab::image_row_counts() const {
  std::vector<std::size_t> counts;
  for (int rank = 0; rank < ranks_.size(); ++rank) counts.push_back(image_rows(rank).size());
  return counts;
}

std::vector<std::size_t> Slab::token_row_counts() const {
  std::vector<std::size_t> counts;
  for (int rank = 0; rank < ranks_.size(); ++rank) counts.push_back(token_rows(rank).size());
  return counts;
}

std::vector<std::int64_t> Slab::image_row_offsets() const {
  std::vector<std::int64_t> offsets{0};
  for (int chunk = first_chunk(); chunk < first_chunk() + chunks_here(); ++chunk)
    offsets.push_back(static_cast<std::int64_t>(image_rows_of_chunk(chunk).end - image_rows().begin));
  return offsets;
}

PatchGeometry Slab::patches() const {
  PatchGeometry here = whole_;
  here.token_rows = static_cast<std::int64_t>(token_rows().size());
  return here;
}

}  // namespace zonda::model
