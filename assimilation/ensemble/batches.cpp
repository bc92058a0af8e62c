#include "assimilation/ensemble/batches.hpp"

#include <algorithm>

#include "core/error.hpp"

namespace zonda::assimilation {

std::vector<Batch> ring_batches(std::size_t size, std::size_t width) {
  if (width == 0) fail(ErrorKind::usage, "batches of no variables");
  std::vector<Batch> batches;
  for (std::size_t first = 0; first < size; first += width) {
    const std::size_t last = std::min(first + width, size) - 1;
    Batch batch{{static_cast<double>(first + last) / 2, 0, 0}, {}};
    for (std::size_t i = first; i <= last; ++i) batch.variables.push_back(i);
    batches.push_back(std::move(batch));
  }
  return batches;
}

LocalSearch::LocalSearch(const Localisation& localisation, std::span<const Position> observations, double smallest,
                         std::size_t most)
    : localisation_(localisation), observations_(observations), smallest_(smallest), most_(most) {
  for (std::size_t i = 0; i < observations.size(); ++i) by_y_.push_back(i);
  std::sort(by_y_.begin(), by_y_.end(),
            [&](std::size_t a, std::size_t b) { return observations[a].y < observations[b].y; });
}

std::vector<LocalObservation> LocalSearch::near(const Position& centre) const {
  // A little more than the reach: its rounding must not decide.
  const double reach = localisation_.reach_in_y() * (1 + 1e-9);
  auto at = std::lower_bound(by_y_.begin(), by_y_.end(), centre.y - reach,
                             [&](std::size_t i, double y) { return observations_[i].y < y; });
  std::vector<LocalObservation> found;
  for (; at != by_y_.end() && observations_[*at].y <= centre.y + reach; ++at)
    if (const double weight = localisation_.weight(centre, observations_[*at]); weight > smallest_)
      found.push_back({*at, weight});
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

std::vector<parallel::Range> balanced_shares(std::span<const std::size_t> work, std::size_t parts) {
  std::size_t total = 0;
  for (const std::size_t w : work) total += w;
  std::vector<parallel::Range> shares;
  std::size_t begin = 0, done = 0;
  for (std::size_t part = 0; part < parts; ++part) {
    std::size_t end = begin;
    // An item goes to the part in which its middle lies.
    while (end < work.size() && (part + 1 == parts || (2 * done + work[end]) * parts < 2 * total * (part + 1)))
      done += work[end++];
    shares.push_back({begin, end});
    begin = end;
  }
  return shares;
}

}  // namespace zonda::assimilation
