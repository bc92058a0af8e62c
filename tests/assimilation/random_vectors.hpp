#pragma once
#include "assimilation/interfaces/vectors.hpp"
#include "core/philox.hpp"

namespace zonda::assimilation {

/// Standard normal numbers; each `stream` other ones.
inline Vector random_vector(std::size_t size, std::uint64_t stream, double deviation = 1) {
  const Philox random(stream, "test vector");
  Vector result(size);
  for (std::size_t i = 0; i < size; ++i) result[i] = deviation * random.normal(i);
  return result;
}

}  // namespace zonda::assimilation
