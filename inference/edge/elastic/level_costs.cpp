#include "inference/edge/elastic/level_costs.hpp"

#include <algorithm>
#include <cmath>

#include "core/error.hpp"

namespace zonda::edge {

LevelCosts::LevelCosts(std::vector<Seconds> measured) {
  if (measured.empty()) fail(ErrorKind::usage, "token levels: no level's time is known");
  for (const Seconds seconds : measured) {
    if (!(seconds.count() > 0)) fail(ErrorKind::usage, "token levels: a time of {} s", seconds.count());
    cost_.push_back({seconds.count()});
  }
}

LevelCosts::Seconds LevelCosts::expected(int level) const {
  const Cost& cost = cost_.at(static_cast<std::size_t>(level));
  return Seconds(cost.mean + 2 * cost.deviation);
}

LevelCosts::Seconds LevelCosts::least() const {
  Seconds best = expected(0);
  for (int level = 1; level < levels(); ++level) best = std::min(best, expected(level));
  return best;
}

void LevelCosts::observe(int level, Seconds taken) {
  Cost& cost = cost_.at(static_cast<std::size_t>(level));
  if (!cost.seen) {
    const double factor = taken.count() / cost.mean;
    for (Cost& other : cost_)
      if (!other.seen && &other != &cost) other.mean *= factor;
    cost = {taken.count(), 0, true};
    return;
  }
  const double off = taken.count() - cost.mean;
  cost.mean += off / 8;
  cost.deviation += (std::abs(off) - cost.deviation) / 4;
}

}  // namespace zonda::edge
