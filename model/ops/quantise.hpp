#pragma once
// Symmetric quantisation to int8: x ~ number * scale with scale = largest |x| / 127.
#include <cmath>
#include <cstdint>

namespace zonda::model {

inline constexpr float kQuantised = 127.0f;  ///< the largest number

/// 1 / scale of numbers whose largest magnitude is `largest`; zeros stay zeros.
inline float inverse_scale(float largest) {
  return largest > 0 ? kQuantised / largest : 0.0f;
}

/// x * inverse to the nearest integer, ties to even.
[[gnu::always_inline]] inline std::int8_t quantised(float x, float inverse) {
  return static_cast<std::int8_t>(static_cast<std::int32_t>(std::rint(x * inverse)));
}

}  // namespace zonda::model
