#include "parallel/partition.hpp"

#include <algorithm>

namespace zonda::parallel {

Range partition(std::size_t n, std::size_t parts, std::size_t part) {
  const std::size_t share = n / parts, longer = n % parts;
  const std::size_t begin = part * share + std::min(part, longer);
  return {begin, begin + share + (part < longer ? 1 : 0)};
}

std::size_t owner(std::size_t n, std::size_t parts, std::size_t i) {
  const std::size_t share = n / parts, longer = n % parts;
  const std::size_t in_longer = longer * (share + 1);
  return i < in_longer ? i / (share + 1) : longer + (i - in_longer) / share;
}

}  // namespace zonda::parallel
