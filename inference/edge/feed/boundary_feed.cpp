#include "inference/edge/feed/boundary_feed.hpp"

#include <algorithm>
#include <cmath>

#include "core/error.hpp"

namespace zonda::edge {

std::size_t ring_size(std::size_t nlat, std::size_t nlon, int width) {
  const std::size_t both = 2 * static_cast<std::size_t>(std::max(width, 0));
  const std::size_t inner = (nlat > both ? nlat - both : 0) * (nlon > both ? nlon - both : 0);
  return nlat * nlon - inner;
}

std::vector<std::size_t> ring_cells(std::size_t nlat, std::size_t nlon, int width) {
  const std::size_t w = static_cast<std::size_t>(std::max(width, 0));
  std::vector<std::size_t> cells;
  cells.reserve(ring_size(nlat, nlon, width));
  for (std::size_t row = 0; row < nlat; ++row)
    for (std::size_t column = 0; column < nlon; ++column)
      if (std::min({row, nlat - 1 - row, column, nlon - 1 - column}) < w) cells.push_back(row * nlon + column);
  return cells;
}

void round_feed(BoundaryFeed& feed, double precision) {
  const std::size_t points = feed.grid.size(), channels = feed.channels.size(), ring = feed.ring();
  for (std::size_t c = 0; c < channels; ++c) {
    const auto state = std::span(feed.current).subspan(c * points, points);
    double mean = 0, square = 0;
    for (const float value : state) mean += value;
    mean /= static_cast<double>(points);
    for (const float value : state) square += (value - mean) * (value - mean);
    const double deviation = std::sqrt(square / static_cast<double>(points));
    if (!(precision * deviation > 0) || !std::isfinite(deviation)) continue;
    const double quantum = std::exp2(std::floor(std::log2(precision * deviation)));
    const auto round = [&](std::span<float> values) {
      for (float& value : values) value = static_cast<float>(std::nearbyint(value / quantum) * quantum);
    };
    round(std::span(feed.previous).subspan(c * points, points));
    round(std::span(feed.current).subspan(c * points, points));
    for (std::size_t lead = 0; lead < feed.leads.size(); ++lead)
      round(std::span(feed.strips).subspan((lead * channels + c) * ring, ring));
  }
}

}  // namespace zonda::edge
