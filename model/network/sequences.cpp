#include "model/network/sequences.hpp"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "core/error.hpp"

namespace zonda::model {

namespace {

/// Rotary phases: the first half of a head's pairs turns with the row, the second with the column.
void append_phases(std::vector<double>& phases, int head_size, double row, double column,
                   const std::vector<double>& frequencies) {
  const int pairs = head_size / 2;
  for (int k = 0; k < pairs; ++k)
    phases.push_back(k < pairs / 2 ? row * frequencies[static_cast<std::size_t>(k)]
                                   : column * frequencies[static_cast<std::size_t>(k - pairs / 2)]);
}

/// Drafts the sequences of each sub-field, token numbers those of the whole grid.
template <class Write>
SequenceDraft for_sub_fields(const TokenGrid& grid, int head_size, int lift, Write&& write) {
  if (grid.patches.token_rows % lift != 0 || grid.patches.token_columns % lift != 0)
    fail(ErrorKind::usage, "network: {} x {} tokens cannot be taken apart into {} x {} sub-fields",
         grid.patches.token_rows, grid.patches.token_columns, lift, lift);
  SequenceDraft draft;
  draft.pairs = static_cast<std::size_t>(head_size / 2);
  for (int row = 0; row < lift; ++row)
    for (int column = 0; column < lift; ++column) {
      const std::size_t first = draft.tokens.size();
      write(grid.sub_field(lift, row, column), draft);
      for (std::size_t i = first; i < draft.tokens.size(); ++i)
        draft.tokens[i] = static_cast<std::int32_t>(grid.token_of(lift, row, column, draft.tokens[i]));
    }
  return draft;
}

/// One radian a token down to 1/100.
std::vector<double> index_frequencies(int head_size) {
  std::vector<double> frequencies;
  for (int k = 0; k < (head_size + 3) / 4; ++k)
    frequencies.push_back(std::pow(100.0, -k / std::max(1.0, head_size / 4.0)));
  return frequencies;
}

/// Windows of an axis as lists of its indices.
std::vector<std::vector<std::int64_t>> axis_windows(std::int64_t n, int wanted, bool shifted, bool periodic) {
  const std::vector<std::int64_t> cuts = window_cuts(n, wanted);
  std::vector<std::vector<std::int64_t>> windows;
  const auto append = [&](std::int64_t first, std::int64_t end) {
    if (first == end) return;
    std::vector<std::int64_t> window;
    for (std::int64_t i = first; i < end; ++i) window.push_back(i % n);
    windows.push_back(std::move(window));
  };
  // A single window around the globe has nothing to gain from a shift.
  if (!shifted || cuts.size() == 2) {
    for (std::size_t w = 0; w + 1 < cuts.size(); ++w) append(cuts[w], cuts[w + 1]);
    return windows;
  }
  std::vector<std::int64_t> middles;
  for (std::size_t w = 0; w + 1 < cuts.size(); ++w) middles.push_back((cuts[w] + cuts[w + 1]) / 2);
  if (!periodic) append(0, middles.front());
  for (std::size_t w = 0; w + 1 < middles.size(); ++w) append(middles[w], middles[w + 1]);
  append(middles.back(), periodic ? middles.front() + n : n);
  return windows;
}

}  // namespace

std::vector<std::int64_t> window_cuts(std::int64_t n, int wanted) {
  std::int64_t best = 0;
  for (std::int64_t size = 1; size <= n; ++size)
    if (n % size == 0 && 2 * size <= 3 * wanted && 3 * size >= 2 * wanted &&
        (best == 0 || std::abs(size - wanted) < std::abs(best - wanted)))
      best = size;
  const std::int64_t windows = best ? n / best : std::max<std::int64_t>(1, (n + wanted / 2) / wanted);
  std::vector<std::int64_t> cuts;
  for (std::int64_t w = 0; w <= windows; ++w) cuts.push_back(w * n / windows);
  return cuts;
}

Sequences settle(const SequenceDraft& draft, DType dtype, Memory& memory) {
  Sequences result;
  SequenceTable& table = result.table;
  table.offsets = draft.offsets;
  table.tokens = draft.tokens;
  const std::size_t n = draft.phases.size();
  // Cosines, then sines.
  std::vector<double> turns(2 * n);
  for (std::size_t i = 0; i < n; ++i) {
    turns[i] = std::cos(draft.phases[i]);
    turns[n + i] = std::sin(draft.phases[i]);
  }
  result.storage = numbers_in(memory, dtype, turns);
  const Shape shape{static_cast<std::int64_t>(draft.tokens.size()), static_cast<std::int64_t>(draft.pairs)};
  table.cosine = Tensor(result.storage.data(), shape, dtype, memory.device());
  table.sine =
      Tensor(static_cast<std::byte*>(result.storage.data()) + n * size_of(dtype), shape, dtype, memory.device());
  for (std::size_t s = 0; s + 1 < table.offsets.size(); ++s)
    table.longest = std::max(table.longest, table.offsets[s + 1] - table.offsets[s]);
  table.id = IndexTable::next_id();
  return result;
}

SequenceDraft draft_windows(const TokenGrid& grid, int window_rows, int window_columns, bool shifted, int head_size,
                            int lift) {
  const std::vector<double> frequencies = index_frequencies(head_size);
  const auto write = [&](const TokenGrid& part, SequenceDraft& draft) {
    const auto rows = axis_windows(part.patches.token_rows, window_rows, shifted, false);
    const auto columns = axis_windows(part.patches.token_columns, window_columns, shifted, part.periodic);
    for (const auto& window_r : rows)
      for (const auto& window_c : columns) {
        for (std::size_t i = 0; i < window_r.size(); ++i)
          for (std::size_t j = 0; j < window_c.size(); ++j) {
            draft.tokens.push_back(static_cast<std::int32_t>(window_r[i] * part.patches.token_columns + window_c[j]));
            append_phases(draft.phases, head_size, double(i), double(j), frequencies);
          }
        draft.end_sequence();
      }
  };
  return for_sub_fields(grid, head_size, lift, write);
}

Sequences window_sequences(const TokenGrid& grid, int window_rows, int window_columns, bool shifted, int head_size,
                           DType dtype, Memory& memory, int lift) {
  return settle(draft_windows(grid, window_rows, window_columns, shifted, head_size, lift), dtype, memory);
}

SequenceDraft draft_across_windows(const TokenGrid& grid, int window_rows, int window_columns, int head_size,
                                   int lift) {
  std::vector<double> harmonics;  // integers 1 to 64, each about 1.3 times the last
  for (int k = 0; k < (head_size + 3) / 4; ++k)
    harmonics.push_back(std::round(std::exp2(6.0 * k / std::max(1, (head_size + 3) / 4 - 1))));
  const auto write = [&](const TokenGrid& part, SequenceDraft& draft) {
    const auto rows = axis_windows(part.patches.token_rows, window_rows, false, false);
    const auto columns = axis_windows(part.patches.token_columns, window_columns, false, part.periodic);
    std::size_t tallest = 0, widest = 0;
    for (const auto& window : rows) tallest = std::max(tallest, window.size());
    for (const auto& window : columns) widest = std::max(widest, window.size());
    constexpr double radian = std::numbers::pi / 180;
    for (std::size_t i = 0; i < tallest; ++i)
      for (std::size_t j = 0; j < widest; ++j) {
        for (const auto& window_r : rows)
          for (const auto& window_c : columns) {
            if (i >= window_r.size() || j >= window_c.size()) continue;
            draft.tokens.push_back(static_cast<std::int32_t>(window_r[i] * part.patches.token_columns + window_c[j]));
            append_phases(
                draft.phases, head_size,
                part.latitude(static_cast<std::size_t>(window_r[i]), static_cast<std::size_t>(window_c[j])) * radian,
                part.longitude(static_cast<std::size_t>(window_r[i]), static_cast<std::size_t>(window_c[j])) * radian,
                harmonics);
          }
        draft.end_sequence();
      }
  };
  return for_sub_fields(grid, head_size, lift, write);
}

Sequences across_window_sequences(const TokenGrid& grid, int window_rows, int window_columns, int head_size,
                                  DType dtype, Memory& memory, int lift) {
  return settle(draft_across_windows(grid, window_rows, window_columns, head_size, lift), dtype, memory);
}

SequenceDraft draft_global(const TokenGrid& grid, int head_size, int lift) {
  return draft_across_windows(grid, 1, 1, head_size, lift);  // windows of one token
}

Sequences global_sequence(const TokenGrid& grid, int head_size, DType dtype, Memory& memory, int lift) {
  return settle(draft_global(grid, head_size, lift), dtype, memory);
}

SequenceDraft draft_levels(int levels, int head_size) {
  const std::vector<double> frequencies = index_frequencies(head_size);
  SequenceDraft draft;
  draft.pairs = static_cast<std::size_t>(head_size / 2);
  for (int level = 0; level < levels; ++level) {
    draft.tokens.push_back(level);
    append_phases(draft.phases, head_size, double(level), 0, frequencies);
  }
  draft.end_sequence();
  return draft;
}

Sequences level_sequence(int levels, int head_size, DType dtype, Memory& memory) {
  return settle(draft_levels(levels, head_size), dtype, memory);
}

}  // namespace zonda::model
