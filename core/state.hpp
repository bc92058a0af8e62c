#pragma once
// A state: fields of several channels on one grid at one time.
#include <span>
#include <vector>

#include "core/grid.hpp"
#include "core/time.hpp"
#include "core/variables.hpp"

namespace zonda {

struct State {
  Grid grid;
  std::vector<Channel> channels;
  Time time;
  std::vector<float> values;  ///< [channel, lat, lon], SI

  State(Grid grid_, std::vector<Channel> channels_, Time time_)
      : grid(std::move(grid_)), channels(std::move(channels_)), time(time_), values(channels.size() * grid.size()) {}
  std::span<float> field(std::size_t channel) { return {values.data() + channel * grid.size(), grid.size()}; }
  std::span<const float> field(std::size_t channel) const {
    return {values.data() + channel * grid.size(), grid.size()};
  }
};

}  // namespace zonda
