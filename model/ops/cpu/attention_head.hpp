#pragma once
// The parts of a head's attention around its products: where its rows are, norm, gain and rotation, softmax.
#include <cmath>
#include <cstdint>

#include "model/ops/attention.hpp"
#include "model/ops/cpu/mixed.hpp"
#include "model/ops/cpu/row_reductions.hpp"
#include "model/ops/cpu/small_product.hpp"

namespace zonda::model::head {

using small::Integers;
using small::kLanes;
using small::largest_of;
using small::sum_of;
using small::Vector;

inline constexpr float kLog2E = 1.44269504f, kLn2 = 0.693147181f;

/// Where the rows of one sequence are.
struct Rows {
  const std::int32_t* tokens;
  std::int64_t length, stride, first_row;  // stride in numbers, first_row of the sample
  std::int64_t at(std::int64_t i) const { return (first_row + tokens[i]) * stride; }
};

/// One head of one sequence.
template <class H>
struct Task {
  Rows qkv, y;         // strides 3 D and D
  const H *q, *k, *v;  // columns of the head in qkv
  const float *q_gain, *k_gain, *cosine, *sine;
  float* log_sum;  // of row 0 of the sample, this head; null: not wanted
  std::int64_t heads, size;
  std::int64_t length() const { return qkv.length; }
};

/// Asks for a row some rows ahead of the one in hand: rows lie too far apart for the hardware to guess.
template <class H>
[[gnu::always_inline]] inline void fetch_ahead(const Rows& rows, const H* x, std::int64_t i, std::int64_t size) {
  constexpr std::int64_t ahead = 12, line = 64 / sizeof(H);
  const H* row = x + rows.at(i + ahead < rows.length ? i + ahead : rows.length - 1);
  for (std::int64_t d = 0; d < size; d += line) __builtin_prefetch(row + d);
}

/// out [length, size] = rotate(norm(x) gain) * factor; inverse [length] gets 1 / rms.
template <class H, class Out>
[[gnu::always_inline]] inline void load_rotated(const Rows& rows, const H* x, const float* gain, const float* cosine,
                                                const float* sine, std::int64_t size, float factor, Out* out,
                                                float* inverse) {
  const std::int64_t half = size / 2;
  for (std::int64_t i = 0; i < rows.length; ++i) {
    const H* row = x + rows.at(i);
    fetch_ahead(rows, x, i, size);
    const float scale = 1.0f / std::sqrt(small::square_sum(row, size) / float(size) + float(AttentionShape::epsilon));
    inverse[i] = scale;
    const float *c = cosine + i * half, *s = sine + i * half;
    Out* to = out + i * size;
#pragma omp simd
    for (std::int64_t d = 0; d < half; ++d) {
      const float a = widen(row[d]) * gain[d] * (scale * factor),
                  b = widen(row[d + half]) * gain[d + half] * (scale * factor);
      store(a * c[d] - b * s[d], to[d]);
      store(a * s[d] + b * c[d], to[d + half]);
    }
  }
}

/// Adjoint of load_rotated with factor already applied to g [length, size]; gain_sum [size] accumulates.
template <class H>
[[gnu::always_inline]] inline void store_rotated_adjoint(const Rows& rows, const H* x, const float* gain,
                                                         const float* cosine, const float* sine, std::int64_t size,
                                                         float factor, float* g, const float* inverse, H* dx,
                                                         float* gain_sum) {
  const std::int64_t half = size / 2;
  for (std::int64_t i = 0; i < rows.length; ++i) {
    const H* row = x + rows.at(i);
    H* to = dx + rows.at(i);
    fetch_ahead(rows, x, i, size);
    fetch_ahead(rows, dx, i, size);
    float* gi = g + i * size;
    const float *c = cosine + i * half, *s = sine + i * half;
    float dot = 0;
#pragma omp simd reduction(+ : dot)
    for (std::int64_t d = 0; d < half; ++d) {
      const float a = gi[d] * factor, b = gi[d + half] * factor;
      const float ga = a * c[d] + b * s[d], gb = b * c[d] - a * s[d];
      const float ua = widen(row[d]) * inverse[i], ub = widen(row[d + half]) * inverse[i];
      gain_sum[d] += ga * ua;
      gain_sum[d + half] += gb * ub;
      gi[d] = ga * gain[d];
      gi[d + half] = gb * gain[d + half];
      dot += gi[d] * ua + gi[d + half] * ub;
    }
    dot /= float(size);
#pragma omp simd
    for (std::int64_t d = 0; d < size; ++d) store(inverse[i] * (gi[d] - widen(row[d]) * inverse[i] * dot), to[d]);
  }
}

template <class H, class Out>
[[gnu::always_inline]] inline void gather(const Rows& rows, const H* x, std::int64_t size, Out* out) {
  for (std::int64_t i = 0; i < rows.length; ++i) {
    const H* row = x + rows.at(i);
    fetch_ahead(rows, x, i, size);
#pragma omp simd
    for (std::int64_t d = 0; d < size; ++d) store(widen(row[d]), out[i * size + d]);
  }
}

/// Rows of x [length, size], each times its factor (none: 1).
template <class H>
[[gnu::always_inline]] inline void scatter(const Rows& rows, const float* x, const float* factor, std::int64_t size,
                                           H* out) {
  for (std::int64_t i = 0; i < rows.length; ++i) {
    H* row = out + rows.at(i);
    fetch_ahead(rows, out, i, size);
    const float share = factor ? factor[i] : 1.0f;
#pragma omp simd
    for (std::int64_t d = 0; d < size; ++d) store(x[i * size + d] * share, row[d]);
  }
}

/// x = 2^x for x <= 127, at most 1 ulp; 2^-126 below; NaN stays NaN. A polynomial of degree 5 on [-1/2, 1/2].
[[gnu::always_inline]] inline void exp2(Vector& x) {
  x = x < -126.0f ? Vector{} - 126.0f : x;
  const Vector shifted = x + 12582912.0f;
  const Vector r = x - (shifted - 12582912.0f);
  Vector p = r * 1.327647152e-3f + 9.675541331e-3f;
  p = p * r + 5.550713275e-2f;
  p = p * r + 2.402211972e-1f;
  p = p * r + 6.931469671e-1f;
  p = p * r + 1.0f;
  const Integers sum = reinterpret_cast<Integers>(p) + (reinterpret_cast<Integers>(shifted) << 23);
  x = reinterpret_cast<Vector>(sum);
}

/// `other` from lane `n` on.
[[gnu::always_inline]] inline void cut(Vector& x, std::int64_t n, float other = 0) {
  const Integers lane = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
  x = lane < static_cast<std::int32_t>(n) ? x : Vector{} + other;
}

/// p [n, row] holds logits in units of ln 2 and becomes exp(logit - largest of the row), zeros beyond n; share [n] the
/// row's 1 / sum and `log_sum` (rows' places by `tokens`), unless it is null, the log of the sum.
template <class H>
[[gnu::always_inline]] inline void softmax_rows(const Task<H>& t, float* p, std::int64_t row, float* share) {
  const std::int64_t n = t.length(), last = (n - 1) / kLanes * kLanes;
  for (std::int64_t i = 0; i < n; ++i, p += row) {
    Vector* x = reinterpret_cast<Vector*>(p);
    Vector highest = x[last / kLanes];
    cut(highest, n - last, p[0]);
    for (std::int64_t j = 0; j < last / kLanes; ++j) highest = x[j] > highest ? x[j] : highest;
    const float shift = largest_of(highest);
    Vector total = {};
    for (std::int64_t j = 0; j < last / kLanes; ++j) {
      Vector e = x[j] - shift;
      exp2(e);
      total += e;
      x[j] = e;
    }
    Vector e = x[last / kLanes] - shift;
    exp2(e);
    cut(e, n - last);
    x[last / kLanes] = e;
    const float sum = sum_of(total + e);
    share[i] = 1.0f / sum;
    if (t.log_sum) t.log_sum[t.qkv.tokens[i] * t.heads] = (shift + std::log2(sum)) * kLn2;
  }
}

/// p [n, row] logits in units of ln 2 -> probabilities; dp [n, row] -> dlogits = p (dp - sum p dp), zeros beyond n.
template <class H>
[[gnu::always_inline]] inline void softmax_rows_backward(const Task<H>& t, float* p, float* dp, std::int64_t row) {
  const std::int64_t n = t.length(), last = (n - 1) / kLanes * kLanes;
  for (std::int64_t i = 0; i < n; ++i, p += row, dp += row) {
    Vector *x = reinterpret_cast<Vector*>(p), *dx = reinterpret_cast<Vector*>(dp);
    const float log_total = t.log_sum[t.qkv.tokens[i] * t.heads] * kLog2E;
    Vector total = {};
    for (std::int64_t j = 0; j <= last / kLanes; ++j) {
      Vector e = x[j] - log_total;
      exp2(e);
      if (j == last / kLanes) cut(e, n - last);
      total += e * dx[j];
      x[j] = e;
    }
    const float mean = sum_of(total);
    for (std::int64_t j = 0; j <= last / kLanes; ++j) dx[j] = x[j] * (dx[j] - mean);
  }
}

}  // namespace zonda::model::head
