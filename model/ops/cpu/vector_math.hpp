#pragma once
// Scalar functions written without branches, so that a loop over them vectorises.
#include <bit>
#include <cstdint>

#include "model/ops/gelu.hpp"

namespace zonda::model {

/// exp(x) in f32: at most 2 ulp in [-87.3, 88.3], saturating outside; NaN stays NaN. Range reduction by rounding
/// x / ln 2 in the mantissa of 1.5 * 2^23, then a polynomial of degree 6 (Cephes' coefficients).
[[gnu::always_inline]] inline float fast_exp(float x) {
  x = x < -87.3f ? -87.3f : x;
  x = x > 88.3f ? 88.3f : x;
  const float shifted = x * 1.44269504f + 12582912.0f;
  const float n = shifted - 12582912.0f;
  const float r = (x - n * 0.693359375f) + n * 2.12194440e-4f;
  float p = 1.9875691500e-4f;
  p = p * r + 1.3981999507e-3f;
  p = p * r + 8.3334519073e-3f;
  p = p * r + 4.1665795894e-2f;
  p = p * r + 1.6666665459e-1f;
  p = p * r + 5.0000001201e-1f;
  p = p * r * r + r + 1.0f;
  return std::bit_cast<float>(std::bit_cast<std::int32_t>(p) +
                              static_cast<std::int32_t>(std::bit_cast<std::uint32_t>(shifted) << 23));
}

[[gnu::always_inline]] inline float fast_logistic(float x) {
  return 1.0f / (1.0f + fast_exp(-x));
}

[[gnu::always_inline]] inline float fast_gelu(float x) {
  return x * fast_logistic(x * (float(kGeluA) + float(kGeluB) * x * x));
}

/// GELU and its derivative from one exponential.
[[gnu::always_inline]] inline void fast_gelu_both(float x, float& value, float& derivative) {
  const float s = fast_logistic(x * (float(kGeluA) + float(kGeluB) * x * x));
  value = x * s;
  derivative = s + value * (1.0f - s) * (float(kGeluA) + float(3 * kGeluB) * x * x);
}

}  // namespace zonda::model
