#pragma once
// Which tokens a block of the trunk mixes: those of a window, of a shifted window, of the same place in all windows, or
// all of them.
#include <compare>

#include "model/network/network_config.hpp"
#include "model/network/sequences.hpp"

namespace zonda::model {

enum class Reach { window, shifted_window, across_windows, everything };

/// Who attends to whom in a layer.
struct Mixing {
  Reach reach;
  int window = 0, lift = 1;
  friend auto operator<=>(const Mixing&, const Mixing&) = default;
};

/// Without global blocks, even blocks attend within windows and odd ones across them. Several windows take turns; a
/// window's second turn is shifted.
Mixing mixing_of(const NetworkShape& shape, int block);

/// The sequences of the whole grid's tokens.
SequenceDraft draft_of(const Mixing& mixing, const NetworkShape& shape, const TokenGrid& grid);

}  // namespace zonda::model
