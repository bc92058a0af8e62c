#pragma once
// Winds along a grid's own axes. Models on projected grids step winds along x and y; files, feeds and people are given
// true eastward and northward ones.
#include <cstddef>
#include <span>
#include <vector>

#include "core/grid.hpp"
#include "core/variables.hpp"

namespace zonda {

struct WindPair {
  std::size_t eastward, northward;  ///< channels
};
/// Which channels are the components of one wind. Throws Error(usage) naming a component whose partner is missing.
std::vector<WindPair> wind_pairs(std::span<const Channel> channels);

/// Turns components at `cells` of the grid in place; `u` and `v` hold one number for each. Nothing is done on grids
/// whose axes are east and north.
void turn_to_axes(const Grid& grid, std::span<const std::size_t> cells, std::span<float> u, std::span<float> v);
void turn_to_true(const Grid& grid, std::span<const std::size_t> cells, std::span<float> u, std::span<float> v);
/// All winds of a state `[channel, lat, lon]`, SI.
void turn_to_axes(const Grid& grid, std::span<const WindPair> pairs, std::span<float> state);
void turn_to_true(const Grid& grid, std::span<const WindPair> pairs, std::span<float> state);

}  // namespace zonda
