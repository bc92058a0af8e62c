// Attention of one head over one sequence at a time, all of it in the L2 cache: gather, norm, rotation, logits, softmax
// and product without a round trip to memory.
#include "model/ops/attention.hpp"

#include <algorithm>
#include <cmath>
#include <type_traits>

#include "core/vectorise.hpp"
#include "model/ops/cpu/attention_head.hpp"
#include "model/ops/cpu/cpu_backend.hpp"
#include "model/ops/cpu/for_pieces.hpp"
#include "model/ops/cpu/pair_product.hpp"

namespace zonda::model {

namespace {

using head::Task;

std::int64_t forward_scratch(std::int64_t longest, std::int64_t size) {
  const std::int64_t padded = small::padded(longest);
  return 3 * longest * size + padded * size + longest * padded + 2 * padded;
}

template <class H>
[[gnu::always_inline]] inline void forward(const Task<H>& t, std::int64_t size, H* y, float* scratch) {
  const std::int64_t n = t.length(), padded = small::padded(n);
  float *q = scratch, *k = q + n * size, *v = k + n * size, *transposed = v + n * size, *p = transposed + padded * size,
        *inverse = p + n * padded, *share = inverse + padded;
  head::load_rotated(t.qkv, t.q, t.q_gain, t.cosine, t.sine, size, head::kLog2E / std::sqrt(float(size)), q, inverse);
  head::load_rotated(t.qkv, t.k, t.k_gain, t.cosine, t.sine, size, 1.0f, k, inverse);
  head::gather(t.qkv, t.v, size, v);
  small::transpose(k, n, size, transposed, padded);
  small::product(q, size, 1, transposed, padded, p, padded, n, padded, size);
  head::softmax_rows(t, p, padded, share);
  small::product(p, padded, 1, v, size, q, size, n, size, n);
  head::scatter(t.y, q, share, size, y);
}

std::int64_t backward_scratch(std::int64_t longest, std::int64_t size) {
  const std::int64_t padded = small::padded(longest);
  return 5 * longest * size + padded * size + 2 * longest * padded + 2 * padded;
}

/// gain_sum [2, size] overwritten.
template <class H>
[[gnu::always_inline]] inline void backward(const Task<H>& t, std::int64_t size, const H* dy, H* dqkv, float* gain_sum,
                                            float* scratch) {
  const std::int64_t n = t.length(), padded = small::padded(n), width = t.y.stride;  // q, k, v lie D columns apart
  float *q = scratch, *k = q + n * size, *v = k + n * size, *g = v + n * size, *out = g + n * size,
        *transposed = out + n * size, *p = transposed + padded * size, *ds = p + n * padded,
        *q_inverse = ds + n * padded, *k_inverse = q_inverse + padded;
  const float factor = 1.0f / std::sqrt(float(size));
  head::load_rotated(t.qkv, t.q, t.q_gain, t.cosine, t.sine, size, head::kLog2E * factor, q, q_inverse);
  head::load_rotated(t.qkv, t.k, t.k_gain, t.cosine, t.sine, size, 1.0f, k, k_inverse);
  head::gather(t.qkv, t.v, size, v);
  head::gather(t.y, dy, size, g);
  small::transpose(k, n, size, transposed, padded);
  small::product(q, size, 1, transposed, padded, p, padded, n, padded, size);
  small::transpose(v, n, size, transposed, padded);
  small::product(g, size, 1, transposed, padded, ds, padded, n, padded, size);
  head::softmax_rows_backward(t, p, ds, padded);
  std::fill_n(gain_sum, 2 * size, 0.0f);
  small::product(p, 1, padded, g, size, out, size, n, size, n);
  head::scatter(t.qkv, out, nullptr, size, dqkv + 2 * width);
  small::product(ds, padded, 1, k, size, out, size, n, size, n);
  head::store_rotated_adjoint(t.qkv, t.q, t.q_gain, t.cosine, t.sine, size, factor, out, q_inverse, dqkv, gain_sum);
  small::product(ds, 1, padded, q, size, out, size, n, size, n);
  head::store_rotated_adjoint(t.qkv, t.k, t.k_gain, t.cosine, t.sine, size, head::kLn2, out, k_inverse, dqkv + width,
                              gain_sum + size);
}

#ifdef ZONDA_AVX512_BF16

using small::Pair;

constexpr std::int64_t pairs_of(std::int64_t n) {
  return (n + 1) / 2;
}

/// Words of two numbers that lie side by side.
inline const Pair* words(const BFloat16* x) {
  return reinterpret_cast<const Pair*>(x);
}

std::int64_t paired_forward_scratch(std::int64_t longest, std::int64_t size) {
  const std::int64_t padded = small::padded(longest);
  return padded * (5 * size / 2 + 2) + padded * padded * 3 / 2;
}

/// The same with products of bf16 pairs. Probabilities are rounded to bf16 as they enter the second product.
template <class H>
ZONDA_AVX512_BF16 [[gnu::always_inline]] inline void paired_forward(const Task<H>& t, std::int64_t size, H* y,
                                                                    float* scratch) {
  const std::int64_t n = t.length(), padded = small::padded(n), half = size / 2;
  auto* q = reinterpret_cast<BFloat16*>(scratch);
  BFloat16* k = q + padded * size;
  auto* transposed = reinterpret_cast<float*>(k + padded * size);
  auto* v = reinterpret_cast<Pair*>(transposed + half * padded);
  float* p = transposed + 2 * half * padded;
  auto* rounded = reinterpret_cast<BFloat16*>(p + padded * padded);
  float *inverse = p + padded * padded * 3 / 2, *share = inverse + padded;
  head::load_rotated(t.qkv, t.q, t.q_gain, t.cosine, t.sine, size, head::kLog2E / std::sqrt(float(size)), q, inverse);
  head::load_rotated(t.qkv, t.k, t.k_gain, t.cosine, t.sine, size, 1.0f, k, inverse);
  small::transpose(reinterpret_cast<const float*>(k), n, half, transposed, padded);
  small::pair_product(words(q), half, 1, reinterpret_cast<const Pair*>(transposed), padded, p, padded, n, padded, half);
  head::softmax_rows(t, p, padded, share);
  small::round_all(p, n * padded, rounded);
  head::gather(t.qkv, t.v, size, k);
  small::pair_rows(k, n, size, v);
  small::pair_product(words(rounded), padded / 2, 1, v, size, scratch, size, n, size, pairs_of(n));
  head::scatter(t.y, scratch, share, size, y);
}

std::int64_t paired_backward_scratch(std::int64_t longest, std::int64_t size) {
  const std::int64_t padded = small::padded(longest);
  return padded * (4 * size + 2) + padded * padded * 7 / 2;
}

/// gain_sum [2, size] overwritten. Probabilities and the logits' gradients are rounded to bf16 for the products.
ZONDA_AVX512_BF16 [[gnu::always_inline]] inline void paired_backward(const Task<BFloat16>& t, std::int64_t size,
                                                                     const BFloat16* dy, BFloat16* dqkv,
                                                                     float* gain_sum, float* scratch) {
  const std::int64_t n = t.length(), padded = small::padded(n), half = size / 2, width = t.y.stride;
  auto* q = reinterpret_cast<BFloat16*>(scratch);
  BFloat16 *k = q + padded * size, *v = k + padded * size, *g = v + padded * size;
  auto* transposed = reinterpret_cast<float*>(g + padded * size);
  auto* operand = reinterpret_cast<Pair*>(transposed + half * padded);
  float *out = transposed + 2 * half * padded, *p = out + padded * size, *ds = p + padded * padded;
  auto* p_pairs = reinterpret_cast<Pair*>(ds + padded * padded);
  Pair* ds_pairs = p_pairs + padded * padded / 2;
  auto* ds_rounded = reinterpret_cast<BFloat16*>(ds_pairs + padded * padded / 2);
  float *q_inverse = ds + padded * padded * 5 / 2, *k_inverse = q_inverse + padded;
  const float factor = 1.0f / std::sqrt(float(size));
  head::load_rotated(t.qkv, t.q, t.q_gain, t.cosine, t.sine, size, head::kLog2E * factor, q, q_inverse);
  head::load_rotated(t.qkv, t.k, t.k_gain, t.cosine, t.sine, size, 1.0f, k, k_inverse);
  head::gather(t.qkv, t.v, size, v);
  head::gather(t.y, dy, size, g);
  const auto* right = reinterpret_cast<const Pair*>(transposed);
  small::transpose(reinterpret_cast<const float*>(k), n, half, transposed, padded);
  small::pair_product(words(q), half, 1, right, padded, p, padded, n, padded, half);
  small::transpose(reinterpret_cast<const float*>(v), n, half, transposed, padded);
  small::pair_product(words(g), half, 1, right, padded, ds, padded, n, padded, half);
  head::softmax_rows_backward(t, p, ds, padded);
  small::pair_rows(p, n, padded, p_pairs);
  small::pair_rows(ds, n, padded, ds_pairs);
  small::round_all(ds, n * padded, ds_rounded);
  std::fill_n(gain_sum, 2 * size, 0.0f);
  small::pair_rows(g, n, size, operand);
  small::pair_product(p_pairs, 1, padded, operand, size, out, size, n, size, pairs_of(n));
  head::scatter(t.qkv, out, nullptr, size, dqkv + 2 * width);
  small::pair_rows(k, n, size, operand);
  small::pair_product(words(ds_rounded), padded / 2, 1, operand, size, out, size, n, size, pairs_of(n));
  head::store_rotated_adjoint(t.qkv, t.q, t.q_gain, t.cosine, t.sine, size, factor, out, q_inverse, dqkv, gain_sum);
  small::pair_rows(q, n, size, operand);
  small::pair_product(ds_pairs, 1, padded, operand, size, out, size, n, size, pairs_of(n));
  head::store_rotated_adjoint(t.qkv, t.k, t.k_gain, t.cosine, t.sine, size, head::kLn2, out, k_inverse, dqkv + width,
                              gain_sum + size);
}

#endif

// Heads of 64, the usual size, as a constant: their loops over a row unroll.
template <class H>
ZONDA_CLONES void head_forward(const Task<H>& t, H* y, float* scratch) {
  if (t.size == 64) return forward(t, 64, y, scratch);
  forward(t, t.size, y, scratch);
}

template <class H>
ZONDA_CLONES void head_backward(const Task<H>& t, const H* dy, H* dqkv, float* gain_sum, float* scratch) {
  if (t.size == 64) return backward(t, 64, dy, dqkv, gain_sum, scratch);
  backward(t, t.size, dy, dqkv, gain_sum, scratch);
}

#ifdef ZONDA_AVX512_BF16
template <class H>
ZONDA_AVX512_BF16 void paired_head_forward(const Task<H>& t, H* y, float* scratch) {
  if (t.size == 64) return paired_forward(t, 64, y, scratch);
  paired_forward(t, t.size, y, scratch);
}

ZONDA_AVX512_BF16 void paired_head_backward(const Task<BFloat16>& t, const BFloat16* dy, BFloat16* dqkv,
                                            float* gain_sum, float* scratch) {
  if (t.size == 64) return paired_backward(t, 64, dy, dqkv, gain_sum, scratch);
  paired_backward(t, t.size, dy, dqkv, gain_sum, scratch);
}
#else
template <class H>
void paired_head_forward(const Task<H>& t, H* y, float* scratch) {
  head_forward(t, y, scratch);
}

void paired_head_backward(const Task<BFloat16>& t, const BFloat16* dy, BFloat16* dqkv, float* gain_sum,
                          float* scratch) {
  head_backward(t, dy, dqkv, gain_sum, scratch);
}

std::int64_t paired_forward_scratch(std::int64_t longest, std::int64_t size) {
  return forward_scratch(longest, size);
}

std::int64_t paired_backward_scratch(std::int64_t longest, std::int64_t size) {
  return backward_scratch(longest, size);
}
#endif

template <class H>
Task<H> task_of(std::int64_t task, const AttentionShape& shape, const SequenceTable& table, const Tensor& qkv,
                const Tensor& q_gain, const Tensor& k_gain, const Tensor& log_sum) {
  const std::int64_t head = task % shape.heads, sequence = task / shape.heads % table.sequences(),
                     sample = task / shape.heads / table.sequences();
  const std::int64_t width = shape.width(), first = table.offsets[static_cast<std::size_t>(sequence)],
                     length = table.offsets[static_cast<std::size_t>(sequence) + 1] - first,
                     row = sample * table.token_count();
  Task<H> t{};
  t.qkv = {table.tokens.data() + first, length, 3 * width, row};
  t.y = {table.tokens.data() + first, length, width, row};
  t.q = qkv.as<H>() + head * shape.head_size;
  t.k = t.q + width;
  t.v = t.k + width;
  t.q_gain = q_gain.as<float>();
  t.k_gain = k_gain.as<float>();
  t.cosine = table.cosine.as<float>() + first * (shape.head_size / 2);
  t.sine = table.sine.as<float>() + first * (shape.head_size / 2);
  t.log_sum = log_sum.none() ? nullptr : log_sum.as<float>() + row * shape.heads + head;
  t.heads = shape.heads;
  t.size = shape.head_size;
  return t;
}

bool vectorisable(const AttentionShape& shape, const Tensor& qkv) {
  return qkv.dtype != DType::f64 && shape.head_size % small::kLanes == 0;
}

}  // namespace

bool CpuBackend::paired(const AttentionShape& shape, DType operands) const {
  return operands == DType::bf16 && bf16_products_ && small::has_pair_products() && shape.head_size % 32 == 0;
}

void CpuBackend::attention(Context& ctx, const AttentionShape& shape, const SequenceTable& table, const Tensor& qkv,
                           const Tensor& q_gain, const Tensor& k_gain, const Tensor& y, const Tensor& log_sum) {
  if (!vectorisable(shape, qkv)) return ReferenceBackend::attention(ctx, shape, table, qkv, q_gain, k_gain, y, log_sum);
  const bool paired = this->paired(shape, ctx.int8 ? DType::bf16 : qkv.dtype);
  const std::int64_t room = small::padded(paired ? paired_forward_scratch(table.longest, shape.head_size)
                                                 : forward_scratch(table.longest, shape.head_size));
  Tensor scratch = ctx.take({threads_, room}, DType::f32);
  if (!ctx.planning()) {
    const std::int64_t tasks = shape.batch * table.sequences() * shape.heads;
    for_half_type(qkv.dtype, [&](auto half) {
      using H = decltype(half);
      for_pieces(team(qkv.count() * table.longest), tasks, [&](std::int64_t task, std::int64_t worker) {
        const Task<H> t = task_of<H>(task, shape, table, qkv, q_gain, k_gain, ctx.keep ? log_sum : Tensor{});
        if (t.length() == 0) return;
        H* out = y.as<H>() + task % shape.heads * shape.head_size;
        float* room_of_thread = scratch.as<float>() + worker * room;
        paired ? paired_head_forward(t, out, room_of_thread) : head_forward(t, out, room_of_thread);
      });
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
  const bool paired = this->paired(shape, qkv.dtype);
  const std::int64_t room = small::padded(paired ? paired_backward_scratch(table.longest, shape.head_size)
                                                 : backward_scratch(table.longest, shape.head_size));
  const std::int64_t tasks = shape.batch * table.sequences() * shape.heads, size = shape.head_size;
  Tensor scratch = ctx.take({threads_, room}, DType::f32);
  Tensor gain_sums = ctx.take({tasks, 2 * size}, DType::f32);
  if (!ctx.planning()) {
    for_half_type(qkv.dtype, [&](auto half) {
      using H = decltype(half);
      for_pieces(team(qkv.count() * table.longest), tasks, [&](std::int64_t task, std::int64_t worker) {
        const Task<H> t = task_of<H>(task, shape, table, qkv, q_gain, k_gain, log_sum);
        const std::int64_t column = task % shape.heads * size;
        float *sums = gain_sums.as<float>() + task * 2 * size, *room_of_thread = scratch.as<float>() + worker * room;
        if (t.length() == 0) {
          std::fill_n(sums, 2 * size, 0.0F);
          return;
        }
        if constexpr (std::is_same_v<H, BFloat16>)
          if (paired) {
            paired_head_backward(t, dy.as<H>() + column, dqkv.as<H>() + column, sums, room_of_thread);
            return;
          }
        head_backward(t, dy.as<H>() + column, dqkv.as<H>() + column, sums, room_of_thread);
      });
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
