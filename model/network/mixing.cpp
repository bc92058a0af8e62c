#include "model/network/mixing.hpp"

namespace zonda::model {

Mixing mixing_of(const NetworkShape& shape, int block) {
  const int kinds = static_cast<int>(shape.windows.size());
  int turn = block / 2;
  if (shape.global_every > 0) {
    if (block % shape.global_every == shape.global_every - 1) return {Reach::everything, 0, shape.lift};
    turn = block - block / shape.global_every;
  } else if (block % 2 == 1) {
    return {Reach::across_windows, turn % kinds, shape.lift};
  }
  return {turn / kinds % 2 == 1 ? Reach::shifted_window : Reach::window, turn % kinds, shape.lift};
}

SequenceDraft draft_of(const Mixing& mixing, const NetworkShape& shape, const TokenGrid& grid) {
  const int head_size = shape.width / shape.heads;
  const auto [rows, columns] = shape.windows[static_cast<std::size_t>(mixing.window)];
  switch (mixing.reach) {
    case Reach::across_windows:
      return draft_across_windows(grid, rows, columns, head_size, mixing.lift);
    case Reach::everything:
      return draft_global(grid, head_size, mixing.lift);
    default:
      return draft_windows(grid, rows, columns, mixing.reach == Reach::shifted_window, head_size, mixing.lift);
  }
}

}  // namespace zonda::model
