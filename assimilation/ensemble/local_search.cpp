#include "assimilation/ensemble/batches.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <tuple>

namespace zonda::assimilation {
namespace {

/// A little more than the reach: its rounding must not decide.
double widened(double reach) {
  return reach * (1 + 1e-9) + 1e-12;
}

}  // namespace

std::size_t LocalSearch::Axis::cell(double at) const {
  const double c = std::floor((at - first) / width);
  return c > 0 ? std::min(static_cast<std::size_t>(c), cells - 1) : 0;
}

double LocalSearch::turned(double x) const {
  return std::isfinite(period_) ? x - period_ * std::floor(x / period_) : x;
}

LocalSearch::LocalSearch(const Localisation& localisation, std::span<const Position> observations, double smallest,
                         std::size_t most)
    : localisation_(localisation),
      observations_(observations),
      smallest_(smallest),
      most_(most),
      period_(localisation.period_in_x()) {
  const std::size_t n = observations.size();
  // Cells of half the reach, but no more than hold an observation or two on average.
  const auto axis = [&](double low, double high, double reach, double most_cells) {
    const double wanted = std::isfinite(reach) && reach > 0 ? std::ceil((high - low) / (reach / 2)) : 1;
    Axis result{low, high - low, static_cast<std::size_t>(std::clamp(wanted, 1.0, std::max(1.0, most_cells)))};
    result.width = high > low ? (high - low) / static_cast<double>(result.cells) : 1;
    return result;
  };
  if (n > 0) {
    const auto [low, high] = std::minmax_element(observations.begin(), observations.end(),
                                                 [](const Position& a, const Position& b) { return a.y < b.y; });
    const double side = std::sqrt(static_cast<double>(n));
    y_ = axis(low->y, high->y, localisation.reach_in_y(), side);
    if (std::isfinite(period_)) x_ = axis(0, period_, localisation.reach_in_x((low->y + high->y) / 2), 2 * side);
  }
  std::vector<std::size_t> cell(n);
  for (std::size_t i = 0; i < n; ++i)
    cell[i] = y_.cell(observations[i].y) * x_.cells + x_.cell(turned(observations[i].x));
  by_site_.resize(n);
  std::iota(by_site_.begin(), by_site_.end(), std::size_t{0});
  const auto rank = [&](std::size_t i) {
    return std::tuple(cell[i], observations[i].y, observations[i].x, observations[i].z, i);
  };
  std::sort(by_site_.begin(), by_site_.end(), [&](std::size_t a, std::size_t b) { return rank(a) < rank(b); });
  first_site_.assign(x_.cells * y_.cells + 1, 0);
  for (std::size_t k = 0; k < n; ++k) {
    const std::size_t i = by_site_[k];
    z_.push_back(observations[i].z);
    if (k > 0 && observations[i].x == observations[by_site_[k - 1]].x &&
        observations[i].y == observations[by_site_[k - 1]].y)
      continue;
    first_.push_back(k);
    ++first_site_[cell[i] + 1];
  }
  first_.push_back(n);
  std::partial_sum(first_site_.begin(), first_site_.end(), first_site_.begin());
}

/// use(cell)
template <class Use>
void LocalSearch::for_each_cell(const Position& centre, Use use) const {
  const double reach_y = widened(localisation_.reach_in_y());
  const std::size_t south = std::isfinite(reach_y) ? y_.cell(centre.y - reach_y) : 0,
                    north = std::isfinite(reach_y) ? y_.cell(centre.y + reach_y) : y_.cells - 1;
  const double reach_x = widened(localisation_.reach_in_x(centre.y)), x = turned(centre.x);
  std::size_t first_column = 0, columns = x_.cells;
  if (2 * (reach_x + x_.width) < period_ && x_.cells > 1) {
    first_column = x_.cell(turned(x - reach_x));
    columns = (x_.cell(turned(x + reach_x)) + x_.cells - first_column) % x_.cells + 1;
  }
  for (std::size_t row = south; row <= north; ++row)
    for (std::size_t c = 0; c < columns; ++c) use(row * x_.cells + (first_column + c) % x_.cells);
}

std::vector<LocalObservation> LocalSearch::near(const Position& centre) const {
  const double reach_z = widened(localisation_.reach_in_z());
  std::vector<LocalObservation> found;
  for_each_cell(centre, [&](std::size_t cell) {
    for (std::size_t site = first_site_[cell]; site < first_site_[cell + 1]; ++site) {
      const auto begin = z_.begin() + static_cast<std::ptrdiff_t>(first_[site]),
                 end = z_.begin() + static_cast<std::ptrdiff_t>(first_[site + 1]);
      auto at = std::lower_bound(begin, end, centre.z - reach_z);
      if (at == end || *at > centre.z + reach_z) continue;
      const double horizontal = localisation_.horizontal_weight(centre, observations_[by_site_[first_[site]]]);
      if (!(horizontal > smallest_)) continue;
      for (; at != end && *at <= centre.z + reach_z; ++at) {
        const std::size_t i = by_site_[static_cast<std::size_t>(at - z_.begin())];
        if (const double weight = localisation_.vertical_weight(centre.z, observations_[i].z) * horizontal;
            weight > smallest_)
          found.push_back({i, weight});
      }
    }
  });
  if (found.size() > most_) {
    const auto heavier = [](const LocalObservation& a, const LocalObservation& b) {
      return a.weight != b.weight ? a.weight > b.weight : a.index < b.index;
    };
    std::nth_element(found.begin(), found.begin() + static_cast<std::ptrdiff_t>(most_), found.end(), heavier);
    found.resize(most_);
  }
  std::sort(found.begin(), found.end(),
            [](const LocalObservation& a, const LocalObservation& b) { return a.index < b.index; });
  return found;
}

}  // namespace zonda::assimilation
