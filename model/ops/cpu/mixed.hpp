#pragma once
// Loads that widen and stores that round, so that one vectorised loop serves f32 and bf16.
#include <bit>
#include <cstdint>

#include "model/tensor/tensor.hpp"

namespace zonda::model {

[[gnu::always_inline]] inline float widen(float x) {
  return x;
}
[[gnu::always_inline]] inline float widen(BFloat16 x) {
  return std::bit_cast<float>(std::uint32_t{x.bits} << 16);
}
[[gnu::always_inline]] inline void store(float value, float& to) {
  to = value;
}
/// Rounds to nearest, ties to even, as BFloat16 does, without a branch.
[[gnu::always_inline]] inline void store(float value, BFloat16& to) {
  const auto word = std::bit_cast<std::uint32_t>(value);
  const std::uint32_t rounded = (word + 0x7fff + ((word >> 16) & 1)) >> 16;
  to.bits = static_cast<std::uint16_t>(value != value ? (word >> 16) | 0x40 : rounded);
}

/// Calls f(float{}) or f(BFloat16{}): the element type of an operation's (h) tensors.
template <class F>
void for_half_type(DType type, F&& f) {
  if (type == DType::bf16)
    f(BFloat16{});
  else
    f(float{});
}

}  // namespace zonda::model
