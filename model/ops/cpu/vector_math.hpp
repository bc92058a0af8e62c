#pragma once
// Scalar functions written without branches, so that a loop over them vectorises.
#include <bit>
#include <cstdint>

#include "model/ops/gelu.hpp"

namespace zonda::model {

/// 2^x in f32: at most 1 ulp in [-126, 126], saturating outside; NaN stays NaN. Range reduction by rounding x in the
/// mantissa of 1.5 * 2^23, then the best polynomial of degree 5 (relative error) on [-1/2, 1/2].
[[gnu::always_inline]] inline float fast_exp2(float x) {
  x = x < -126.0f ? -126.0f : x;
  x = x > 126.0f ? 126.0f : x;
  const float shifted = x + 12582912.0f;
  const float r = x - (shifted - 12582912.0f);
  float p = 1.327647152e-3f;
  p = p * r + 9.675541331e-3f;
  p = p * r + 5.550713275e-2f;
  p = p * r + 2.402211972e-1f;
  p = p * r + 6.931469671e-1f;
  p = p * r + 1.0f;
  return std::bit_cast<float>(std::bit_cast<std::int32_t>(p) +
                              static_cast<std::int32_t>(std::bit_cast<std::uint32_t>(shifted) << 23));
}

/// 1 / (1 + exp(-x (a + b x^2))), the logistic function within GELU.
[[gnu::always_inline]] inline float gelu_logistic(float x) {
  constexpr float log2e = 1.4426950408889634f;
  return 1.0f / (1.0f + fast_exp2(-x * (float(kGeluA) * log2e + float(kGeluB) * log2e * x * x)));
}

[[gnu::always_inline]] inline float fast_gelu(float x) {
  return x * gelu_logistic(x);
}

/// GELU and its derivative from one exponential.
[[gnu::always_inline]] inline void fast_gelu_both(float x, float& value, float& derivative) {
  const float s = gelu_logistic(x);
  value = x * s;
  derivative = s + value * (1.0f - s) * (float(kGeluA) + float(3 * kGeluB) * x * x);
}

}  // namespace zonda::model
