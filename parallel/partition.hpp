#pragma once
#include <cstddef>

namespace zonda::parallel {

/// The half-open range of a rank's share.
struct Range {
  std::size_t begin, end;
  std::size_t size() const { return end - begin; }
};

/// Contiguous, balanced shares: the first `n % parts` ones hold one more.
Range partition(std::size_t n, std::size_t parts, std::size_t part);
/// The part that holds item `i`.
std::size_t owner(std::size_t n, std::size_t parts, std::size_t i);

}  // namespace zonda::parallel
