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

std::vector<LocalObservation> local_observations(const Localisation& localisation, const Position& centre,
                                                 std::span<const Position> observations, double smallest,
                                                 std::size_t most) {
  std::vector<LocalObservation> found;
  for (std::size_t i = 0; i < observations.size(); ++i)
    if (const double weight = localisation.weight(centre, observations[i]); weight > smallest)
      found.push_back({i, weight});
  if (found.size() > most) {
    const auto heavier = [](const LocalObservation& a, const LocalObservation& b) {
      return a.weight != b.weight ? a.weight > b.weight : a.index < b.index;
    };
    std::nth_element(found.begin(), found.begin() + static_cast<std::ptrdiff_t>(most), found.end(), heavier);
    found.resize(most);
    std::sort(found.begin(), found.end(),
              [](const LocalObservation& a, const LocalObservation& b) { return a.index < b.index; });
  }
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
