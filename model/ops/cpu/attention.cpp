// Attention of one head over one sequence at a time, all of it in the L2 cache: gather, norm, rotation, logits, softmax
// and product without a round trip to memory.
#include "model/ops/attention.hpp"

#include <omp.h>

#include <algorithm>
#include <cmath>

#include "core/vectorise.hpp"
#include "model/ops/cpu/cpu_backend.hpp"
#include "model/ops/cpu/mixed.hpp"
#include "model/ops/cpu/small_product.hpp"
#include "model/ops/cpu/vector_math.hpp"

namespace zonda::model {

namespace {

/// Where the rows of one sequence and head are.
struct Rows {
  const std::int32_t* tokens;
  std::int64_t length, stride, first_row;  // stride in numbers, first_row of the sample
  std::int64_t at(std::int64_t i) const { return (first_row + tokens[i]) * stride; }
};

/// out [length, size] = rotate(norm(x) gain) * factor; inverse [length] gets 1 / rms.
template <class H>
[[gnu::always_inline]] inline void load_rotated(const Rows& rows, const H* x, const float* gain, const float* cosine,
                                                const float* sine, std::int64_t size, float factor, float* out,
                                                float* inverse) {
  const std::int64_t half = size / 2;
  for (std::int64_t i = 0; i < rows.length; ++i) {
    const H* row = x + rows.at(i);
    float square = 0;
#pragma omp simd reduction(+ : square)
    for (std::int64_t d = 0; d < size; ++d) square += widen(row[d]) * widen(row[d]);
    const float scale = 1.0f / std::sqrt(square / float(size) + float(AttentionShape::epsilon));
    inverse[i] = scale;
    const float *c = cosine + i * half, *s = sine + i * half;
    float* to = out + i * size;
#pragma omp simd
    for (std::int64_t d = 0; d < half; ++d) {
      const float a = widen(row[d]) * gain[d] * (scale * factor),
                  b = widen(row[d + half]) * gain[d + half] * (scale * factor);
      to[d] = a * c[d] - b * s[d];
      to[d + half] = a * s[d] + b * c[d];
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

/// out [size, padded length] = transpose of x [length, size], zeros beyond.
[[gnu::always_inline]] inline void transpose(const float* x, std::int64_t length, std::int64_t size,
                                             std::int64_t padded, float* out) {
  for (std::int64_t i = 0; i < length; i += small::kLanes) {
    const std::int64_t n = std::min(small::kLanes, length - i);
    for (std::int64_t d = 0; d < size; ++d) {
      float* to = out + d * padded + i;
      const float* from = x + i * size + d;
      if (n == small::kLanes) {
        for (int l = 0; l < small::kLanes; ++l) to[l] = from[l * size];
      } else {
        for (std::int64_t l = 0; l < small::kLanes; ++l) to[l] = l < n ? from[l * size] : 0.0f;
      }
    }
  }
}

template <class H>
[[gnu::always_inline]] inline void gather(const Rows& rows, const H* x, std::int64_t size, float* out) {
  for (std::int64_t i = 0; i < rows.length; ++i) {
    const H* row = x + rows.at(i);
#pragma omp simd
    for (std::int64_t d = 0; d < size; ++d) out[i * size + d] = widen(row[d]);
  }
}

template <class H>
[[gnu::always_inline]] inline void scatter(const Rows& rows, const float* x, std::int64_t size, H* out) {
  for (std::int64_t i = 0; i < rows.length; ++i) {
    H* row = out + rows.at(i);
#pragma omp simd
    for (std::int64_t d = 0; d < size; ++d) store(x[i * size + d], row[d]);
  }
}

template <class H>
struct HeadTask {
  Rows qkv, y;         // strides 3 D and D
  const H *q, *k, *v;  // columns of the head in qkv
  const float *q_gain, *k_gain, *cosine, *sine;
  float* log_sum;  // of row 0 of the sample, this head
  std::int64_t heads, size, padded;
};

std::int64_t forward_scratch(std::int64_t longest, std::int64_t size) {
  const std::int64_t padded = small::padded(longest);
  return 3 * longest * size + padded * size + longest * padded + 2 * padded;
}

template <class H>
ZONDA_CLONES void head_forward(const HeadTask<H>& t, H* y, float* scratch) {
  const std::int64_t n = t.qkv.length, size = t.size, padded = t.padded;
  float *q = scratch, *k = q + n * size, *v = k + n * size, *transposed = v + n * size, *p = transposed + padded * size,
        *inverse = p + n * padded;
  load_rotated(t.qkv, t.q, t.q_gain, t.cosine, t.sine, size, 1.0f / std::sqrt(float(size)), q, inverse);
  load_rotated(t.qkv, t.k, t.k_gain, t.cosine, t.sine, size, 1.0f, k, inverse);
  transpose(k, n, size, padded, transposed);
  gather(t.qkv, t.v, size, v);
  small::product(q, size, 1, transposed, padded, p, padded, n, padded, size);
  for (std::int64_t i = 0; i < n; ++i) {
    float* row = p + i * padded;
    float highest = row[0], total = 0;
#pragma omp simd reduction(max : highest)
    for (std::int64_t j = 0; j < n; ++j) highest = row[j] > highest ? row[j] : highest;
#pragma omp simd reduction(+ : total)
    for (std::int64_t j = 0; j < n; ++j) {
      row[j] = fast_exp(row[j] - highest);
      total += row[j];
    }
    const float share = 1.0f / total;
#pragma omp simd
    for (std::int64_t j = 0; j < n; ++j) row[j] *= share;
    t.log_sum[t.qkv.tokens[i] * t.heads] = highest + std::log(total);
  }
  small::product(p, padded, 1, v, size, q, size, n, size, n);
  scatter(t.y, q, size, y);
}

std::int64_t backward_scratch(std::int64_t longest, std::int64_t size) {
  const std::int64_t padded = small::padded(longest);
  return 5 * longest * size + padded * size + 2 * longest * padded + 2 * padded;
}

/// gain_sum [2, size] overwritten.
template <class H>
ZONDA_CLONES void head_backward(const HeadTask<H>& t, const H* dy, H* dqkv, float* gain_sum, float* scratch) {
  const std::int64_t n = t.qkv.length, size = t.size, padded = t.padded;
  float *q = scratch, *k = q + n * size, *v = k + n * size, *g = v + n * size, *out = g + n * size,
        *transposed = out + n * size, *p = transposed + padded * size, *ds = p + n * padded,
        *q_inverse = ds + n * padded, *k_inverse = q_inverse + padded;
  const float factor = 1.0f / std::sqrt(float(size));
  load_rotated(t.qkv, t.q, t.q_gain, t.cosine, t.sine, size, factor, q, q_inverse);
  load_rotated(t.qkv, t.k, t.k_gain, t.cosine, t.sine, size, 1.0f, k, k_inverse);
  gather(t.qkv, t.v, size, v);
  gather(t.y, dy, size, g);
  transpose(k, n, size, padded, transposed);
  small::product(q, size, 1, transposed, padded, p, padded, n, padded, size);
  transpose(v, n, size, padded, transposed);
  small::product(g, size, 1, transposed, padded, ds, padded, n, padded, size);
  for (std::int64_t i = 0; i < n; ++i) {
    float *row = p + i * padded, *drow = ds + i * padded;
    const float log_total = t.log_sum[t.qkv.tokens[i] * t.heads];
    float mean = 0;
#pragma omp simd reduction(+ : mean)
    for (std::int64_t j = 0; j < n; ++j) {
      row[j] = fast_exp(row[j] - log_total);
      mean += row[j] * drow[j];
    }
#pragma omp simd
    for (std::int64_t j = 0; j < n; ++j) drow[j] = row[j] * (drow[j] - mean);
  }
  const std::int64_t width = t.y.stride;  // D: queries, keys and values lie D columns apart
  H* dq = dqkv;
  std::fill_n(gain_sum, 2 * size, 0.0f);
  small::product(p, 1, padded, g, size, out, size, n, size, n);
  scatter(t.qkv, out, size, dq + 2 * width);
  small::product(ds, padded, 1, k, size, out, size, n, size, n);
  store_rotated_adjoint(t.qkv, t.q, t.q_gain, t.cosine, t.sine, size, factor, out, q_inverse, dq, gain_sum);
  small::product(ds, 1, padded, q, size, out, size, n, size, n);
  store_rotated_adjoint(t.qkv, t.k, t.k_gain, t.cosine, t.sine, size, 1.0f, out, k_inverse, dq + width,
                        gain_sum + size);
}

template <class H>
HeadTask<H> task_of(std::int64_t task, const AttentionShape& shape, const SequenceTable& table, const Tensor& qkv,
                    const Tensor& q_gain, const Tensor& k_gain, const Tensor& log_sum) {
  const std::int64_t head = task % shape.heads, sequence = task / shape.heads % table.sequences(),
                     sample = task / shape.heads / table.sequences();
  const std::int64_t width = shape.width(), first = table.offsets[static_cast<std::size_t>(sequence)],
                     length = table.offsets[static_cast<std::size_t>(sequence) + 1] - first,
                     row = sample * table.token_count();
  HeadTask<H> t{};
  t.qkv = {table.tokens.data() + first, length, 3 * width, row};
  t.y = {table.tokens.data() + first, length, width, row};
  t.q = qkv.as<H>() + head * shape.head_size;
  t.k = t.q + width;
  t.v = t.k + width;
  t.q_gain = q_gain.as<float>();
  t.k_gain = k_gain.as<float>();
  t.cosine = table.cosine.as<float>() + first * (shape.head_size / 2);
  t.sine = table.sine.as<float>() + first * (shape.head_size / 2);
  t.log_sum = log_sum.as<float>() + row * shape.heads + head;
  t.heads = shape.heads;
  t.size = shape.head_size;
  t.padded = small::padded(length);
  return t;
}

bool vectorisable(const AttentionShape& shape, const Tensor& qkv) {
  return qkv.dtype != DType::f64 && shape.head_size % small::kLanes == 0;
}

}  // namespace

void CpuBackend::attention(Context& ctx, const AttentionShape& shape, const SequenceTable& table, const Tensor& qkv,
                           const Tensor& q_gain, const Tensor& k_gain, const Tensor& y, const Tensor& log_sum) {
  if (!vectorisable(shape, qkv)) return ReferenceBackend::attention(ctx, shape, table, qkv, q_gain, k_gain, y, log_sum);
  const std::int64_t room = small::padded(forward_scratch(table.longest, shape.head_size));
  Tensor scratch = ctx.take({threads_, room}, DType::f32);
  if (!ctx.planning()) {
    const std::int64_t tasks = shape.batch * table.sequences() * shape.heads;
    for_half_type(qkv.dtype, [&](auto half) {
      using H = decltype(half);
#pragma omp parallel for schedule(dynamic) num_threads(team(qkv.count() * table.longest))
      for (std::int64_t task = 0; task < tasks; ++task) {
        const HeadTask<H> t = task_of<H>(task, shape, table, qkv, q_gain, k_gain, log_sum);
        head_forward(t, y.as<H>() + task % shape.heads * shape.head_size,
                     scratch.as<float>() + omp_get_thread_num() * room);
      }
    });
  }
  ctx.release(scratch);
}

void CpuBackend::attention_backward(Context& ctx, const AttentionShape& shape, const SequenceTable& table,
                                    const Tensor& qkv, const Tensor& q_gain, const Tensor& k_gain, const Tensor& y,
                                    const Tensor& log_sum, const Tensor& dy, const Tensor& dqkv, const Tensor& dq_gain,
                                    const Tensor& dk_gain) {
  if (!vectorisable(shape, qkv))
    return ReferenceBackend::attention_backward(ctx, shape, table, qkv, q_gain, k_gain, y, log_sum, dy, dqkv, dq_gain,
                                                dk_gain);
  const std::int64_t room = small::padded(backward_scratch(table.longest, shape.head_size));
  const std::int64_t tasks = shape.batch * table.sequences() * shape.heads, size = shape.head_size;
  Tensor scratch = ctx.take({threads_, room}, DType::f32);
  Tensor gain_sums = ctx.take({tasks, 2 * size}, DType::f32);
  if (!ctx.planning()) {
    for_half_type(qkv.dtype, [&](auto half) {
      using H = decltype(half);
#pragma omp parallel for schedule(dynamic) num_threads(team(qkv.count() * table.longest))
      for (std::int64_t task = 0; task < tasks; ++task) {
        const HeadTask<H> t = task_of<H>(task, shape, table, qkv, q_gain, k_gain, log_sum);
        const std::int64_t column = task % shape.heads * size;
        head_backward(t, dy.as<H>() + column, dqkv.as<H>() + column, gain_sums.as<float>() + task * 2 * size,
                      scratch.as<float>() + omp_get_thread_num() * room);
      }
    });
    for (int part = 0; part < 2; ++part) {
      const Tensor& gradient = part == 0 ? dq_gain : dk_gain;
      if (gradient.none()) continue;
      for (std::int64_t d = 0; d < size; ++d) {
        double sum = 0;
        for (std::int64_t task = 0; task < tasks; ++task)
          sum += double(gain_sums.as<float>()[(task * 2 + part) * size + d]);
        gradient.as<float>()[d] += float(sum);
      }
    }
  }
  ctx.release(scratch, gain_sums);
}

}  // namespace zonda::model
