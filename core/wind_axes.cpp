#include "core/wind_axes.hpp"

#include <numeric>

#include "core/error.hpp"

namespace zonda {
namespace {

/// (u, v) turned by the angle whose cosine and sine are given, anticlockwise; `sign` -1: clockwise.
void turn(const Grid& grid, std::span<const std::size_t> cells, double sign, std::span<float> u, std::span<float> v) {
  if (!grid.projection()) return;
  if (u.size() != cells.size() || v.size() != cells.size())
    fail(ErrorKind::failure, "winds of {} and {} values at {} cells", u.size(), v.size(), cells.size());
  for (std::size_t i = 0; i < cells.size(); ++i) {
    const double c = grid.east_cosine(cells[i]), s = sign * grid.east_sine(cells[i]);
    const auto x = static_cast<double>(u[i]), y = static_cast<double>(v[i]);
    u[i] = static_cast<float>(c * x - s * y);
    v[i] = static_cast<float>(s * x + c * y);
  }
}

void turn_state(const Grid& grid, std::span<const WindPair> pairs, double sign, std::span<float> state) {
  if (!grid.projection()) return;
  std::vector<std::size_t> cells(grid.size());
  std::iota(cells.begin(), cells.end(), std::size_t{0});
  for (const WindPair& pair : pairs)
    turn(grid, cells, sign, state.subspan(pair.eastward * grid.size(), grid.size()),
         state.subspan(pair.northward * grid.size(), grid.size()));
}

}  // namespace

std::vector<WindPair> wind_pairs(std::span<const Channel> channels) {
  std::vector<WindPair> pairs;
  for (std::size_t c = 0; c < channels.size(); ++c) {
    const Variable& info = channels[c].info();
    if (info.vector_partner.empty()) continue;
    const auto partner = find_channel(channels, {info.vector_partner, channels[c].level_hpa});
    if (!partner)
      fail(ErrorKind::usage, "{} without its partner {}: a wind of one component cannot be turned", channels[c].name(),
           Channel{info.vector_partner, channels[c].level_hpa}.name());
    if (info.standard_name.starts_with("eastward")) pairs.push_back({c, *partner});
  }
  return pairs;
}

void turn_to_axes(const Grid& grid, std::span<const std::size_t> cells, std::span<float> u, std::span<float> v) {
  turn(grid, cells, 1, u, v);
}
void turn_to_true(const Grid& grid, std::span<const std::size_t> cells, std::span<float> u, std::span<float> v) {
  turn(grid, cells, -1, u, v);
}
void turn_to_axes(const Grid& grid, std::span<const WindPair> pairs, std::span<float> state) {
  turn_state(grid, pairs, 1, state);
}
void turn_to_true(const Grid& grid, std::span<const WindPair> pairs, std::span<float> state) {
  turn_state(grid, pairs, -1, state);
}

}  // namespace zonda
