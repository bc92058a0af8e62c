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
