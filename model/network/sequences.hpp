#pragma once
// Which tokens attend to one another: windows, shifted windows, and tokens across windows, as sequence tables.
#include <cstdint>
#include <vector>

#include "model/network/token_grid.hpp"
#include "model/ops/attention.hpp"

namespace zonda::model {

/// One axis of n tokens cut into windows: the size nearest to `wanted` (within a factor 1.5) that divides n; where
/// there is none, round(n / wanted) windows whose sizes differ by one at most. Returns the cuts, 0 first, n last.
std::vector<std::int64_t> window_cuts(std::int64_t n, int wanted);

/// A sequence table and the memory of its rotary phases.
struct Sequences {
  SequenceTable table;
  Buffer storage;
  std::size_t bytes() const { return storage.bytes() + 4 * (table.tokens.size() + table.offsets.size()); }
};

/// Sequences in the making, all of a sample's.
struct SequenceDraft {
  std::vector<std::int32_t> offsets{0}, tokens;
  std::vector<double> phases;  ///< [tokens, pairs]
  std::size_t pairs = 0;
  std::size_t sequences() const { return offsets.size() - 1; }
  void end_sequence() { offsets.push_back(static_cast<std::int32_t>(tokens.size())); }
};
/// Its table, phases in `dtype`.
Sequences settle(const SequenceDraft& draft, DType dtype, Memory& memory = host_memory());

// With `lift` r the grid's tokens are r x r interleaved sub-fields, each with tables of its own: what a model knows of
// grids r times as wide applies to them, and no token moves.

/// Windows; with `shifted`, cuts lie in the middle of the unshifted windows: columns wrap around on a periodic grid; in
/// latitude (and on a regional grid) the halves at the edges stay windows of their own, so that nothing attends across
/// a pole. Rotary phases are the row and column within the window.
SequenceDraft draft_windows(const TokenGrid& grid, int window_rows, int window_columns, bool shifted, int head_size,
                            int lift = 1);
Sequences window_sequences(const TokenGrid& grid, int window_rows, int window_columns, bool shifted, int head_size,
                           DType dtype, Memory& memory = host_memory(), int lift = 1);

/// Tokens with the same place in their (unshifted) windows. Rotary phases are multiples of the true latitude and
/// integer multiples of the true longitude, periodic around the globe.
SequenceDraft draft_across_windows(const TokenGrid& grid, int window_rows, int window_columns, int head_size,
                                   int lift = 1);
Sequences across_window_sequences(const TokenGrid& grid, int window_rows, int window_columns, int head_size,
                                  DType dtype, Memory& memory = host_memory(), int lift = 1);

/// All tokens attend to one another; phases as across windows.
SequenceDraft draft_global(const TokenGrid& grid, int head_size, int lift = 1);
Sequences global_sequence(const TokenGrid& grid, int head_size, DType dtype, Memory& memory = host_memory(),
                          int lift = 1);

/// The `levels` tokens of a site attend to one another; phases are the level's number.
SequenceDraft draft_levels(int levels, int head_size);
Sequences level_sequence(int levels, int head_size, DType dtype, Memory& memory = host_memory());

}  // namespace zonda::model
