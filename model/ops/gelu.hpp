#pragma once
// GELU, tanh form, written with one logistic function so that it vectorises over one exponential.
#include <cmath>

namespace zonda::model {

inline constexpr double kGeluA = 1.5957691216057308;  // 2 sqrt(2 / pi)
inline constexpr double kGeluB = 1.5957691216057308 * 0.044715;

template <class T>
inline T gelu_value(T x) {
  return x / (T(1) + std::exp(-x * (T(kGeluA) + T(kGeluB) * x * x)));
}

template <class T>
inline T gelu_derivative(T x) {
  const T s = T(1) / (T(1) + std::exp(-x * (T(kGeluA) + T(kGeluB) * x * x)));
  return s + x * s * (T(1) - s) * (T(kGeluA) + T(3 * kGeluB) * x * x);
}

}  // namespace zonda::model
