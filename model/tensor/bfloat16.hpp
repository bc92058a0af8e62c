#pragma once
// BFloat16: the upper half of an f32. Rounds to nearest, ties to even; NaN stays NaN.
#include <bit>
#include <cstdint>

namespace zonda::model {

struct BFloat16 {
  std::uint16_t bits = 0;

  BFloat16() = default;
  explicit BFloat16(float value) {
    const auto word = std::bit_cast<std::uint32_t>(value);
    bits =
        value != value ? std::uint16_t((word >> 16) | 0x40) : std::uint16_t((word + 0x7fff + ((word >> 16) & 1)) >> 16);
  }
  explicit BFloat16(double value) : BFloat16(static_cast<float>(value)) {}
  explicit operator float() const { return std::bit_cast<float>(std::uint32_t{bits} << 16); }
  explicit operator double() const { return static_cast<double>(static_cast<float>(*this)); }
};
static_assert(sizeof(BFloat16) == 2);

}  // namespace zonda::model
