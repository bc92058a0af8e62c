#include "inference/edge/runner/lagged_member.hpp"

#include "core/philox.hpp"

namespace zonda::edge {

void perturb_feed(BoundaryFeed& feed, int member) {
  if (member == 0) return;
  const Philox random(static_cast<std::uint64_t>(feed.cycle.time_since_epoch().count()), "lagged members");
  const auto share = static_cast<float>(0.1 * random.normal(static_cast<std::uint64_t>(member)));
  const std::size_t points = feed.grid.size();
  std::vector<bool> interior(points, true);
  for (const std::size_t cell : ring_cells(feed.grid.nlat(), feed.grid.nlon(), feed.ring_width)) interior[cell] = false;
  for (std::size_t i = 0; i < feed.current.size(); ++i)
    if (interior[i % points]) feed.current[i] += share * (feed.current[i] - feed.previous[i]);
}

}  // namespace zonda::edge
