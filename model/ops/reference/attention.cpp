// Attention written out: one sequence and one head at a time, everything in f64.
#include "model/ops/attention.hpp"

#include <cmath>

#include "model/ops/reference/reference_backend.hpp"

namespace zonda::model {

namespace {

/// One head of one sequence: queries and keys after norm, gain and rotation.
template <class H, class T>
struct Head {
  const AttentionShape& shape;
  const SequenceTable& table;
  const H* qkv;
  const T *q_gain, *k_gain, *cosine, *sine;
  std::int64_t sample;
  std::int32_t first, length;
  int head;
  std::vector<double> q, k, v, q_inverse, k_inverse;

  std::int64_t row(int i) const {
    return sample * table.token_count() + table.tokens[static_cast<std::size_t>(first + i)];
  }
  /// part 0 query, 1 key, 2 value
  std::int64_t column(int part) const {
    return std::int64_t{part} * shape.width() + std::int64_t{head} * shape.head_size;
  }
  std::int64_t at(int i, int part) const { return row(i) * 3 * shape.width() + column(part); }

  void rotate(int i, double* x, double sign) const {
    const int half = shape.head_size / 2;
    for (int d = 0; d < half; ++d) {
      const double c = cosine[std::int64_t{first + i} * half + d], s = sign * sine[std::int64_t{first + i} * half + d];
      const double a = x[d], b = x[d + half];
      x[d] = a * c - b * s;
      x[d + half] = a * s + b * c;
    }
  }
  double normalise(const H* x, const T* gain, double* out) const {
    double square = 0;
    for (int d = 0; d < shape.head_size; ++d) square += double(x[d]) * double(x[d]);
    const double inverse = 1 / std::sqrt(square / shape.head_size + AttentionShape::epsilon);
    for (int d = 0; d < shape.head_size; ++d) out[d] = double(x[d]) * inverse * double(gain[d]);
    return inverse;
  }
  void load() {
    const int h = shape.head_size;
    const auto n = static_cast<std::size_t>(length * h);
    q.resize(n), k.resize(n), v.resize(n);
    q_inverse.resize(static_cast<std::size_t>(length)), k_inverse = q_inverse;
    for (int i = 0; i < length; ++i) {
      q_inverse[static_cast<std::size_t>(i)] = normalise(qkv + at(i, 0), q_gain, &q[static_cast<std::size_t>(i * h)]);
      k_inverse[static_cast<std::size_t>(i)] = normalise(qkv + at(i, 1), k_gain, &k[static_cast<std::size_t>(i * h)]);
      rotate(i, &q[static_cast<std::size_t>(i * h)], 1);
      rotate(i, &k[static_cast<std::size_t>(i * h)], 1);
      for (int d = 0; d < h; ++d) v[static_cast<std::size_t>(i * h + d)] = double(qkv[at(i, 2) + d]);
    }
  }
  double logit(int i, int j) const {
    double sum = 0;
    for (int d = 0; d < shape.head_size; ++d)
      sum +=
          q[static_cast<std::size_t>(i * shape.head_size + d)] * k[static_cast<std::size_t>(j * shape.head_size + d)];
    return sum / std::sqrt(double(shape.head_size));
  }
  /// Through rotation, gain and norm: dx = adjoint of d(out)/d(x) applied to g; the gain's gradient accumulates.
  void normalise_backward(int i, const H* x, const T* gain, double inverse, double* g, H* dx, T* dgain) const {
    rotate(i, g, -1);
    double dot = 0;
    for (int d = 0; d < shape.head_size; ++d) dot += g[d] * double(gain[d]) * double(x[d]) * inverse;
    dot /= shape.head_size;
    for (int d = 0; d < shape.head_size; ++d) {
      const double u = double(x[d]) * inverse;
      if (dgain) dgain[d] = T(double(dgain[d]) + g[d] * u);
      dx[d] = H(inverse * (g[d] * double(gain[d]) - u * dot));
    }
  }
  void normalise_tangent(int i, const H* x, const T* gain, double inverse, const H* dx, double* out) const {
    double dot = 0;
    for (int d = 0; d < shape.head_size; ++d) dot += double(x[d]) * inverse * double(dx[d]);
    dot /= shape.head_size;
    for (int d = 0; d < shape.head_size; ++d)
      out[d] = inverse * (double(dx[d]) - double(x[d]) * inverse * dot) * double(gain[d]);
    rotate(i, out, 1);
  }
};

template <class H, class T, class F>
void for_each_head(const AttentionShape& shape, const SequenceTable& table, const Tensor& qkv, const Tensor& q_gain,
                   const Tensor& k_gain, F&& f) {
  for (std::int64_t b = 0; b < shape.batch; ++b)
    for (std::int32_t s = 0; s < table.sequences(); ++s)
      for (int h = 0; h < shape.heads; ++h) {
        const std::int32_t first = table.offsets[static_cast<std::size_t>(s)];
        Head<H, T> head{shape,
                        table,
                        qkv.as<H>(),
                        q_gain.as<T>(),
                        k_gain.as<T>(),
                        table.cosine.as<T>(),
                        table.sine.as<T>(),
                        b,
                        first,
                        table.offsets[static_cast<std::size_t>(s) + 1] - first,
                        h,
                        {},
                        {},
                        {},
                        {},
                        {}};
        head.load();
        f(head);
      }
}

}  // namespace

void ReferenceBackend::attention(Context& ctx, const AttentionShape& shape, const SequenceTable& table,
                                 const Tensor& qkv, const Tensor& q_gain, const Tensor& k_gain, const Tensor& y,
                                 const Tensor& log_sum) {
  if (ctx.planning()) return;
  for_element_types(qkv.dtype, [&](auto half, auto wide) {
    using H = decltype(half);
    using T = decltype(wide);
    for_each_head<H, T>(shape, table, qkv, q_gain, k_gain, [&](const Head<H, T>& head) {
      const int n = shape.head_size;
      std::vector<double> p(static_cast<std::size_t>(head.length)), sum(static_cast<std::size_t>(n));
      for (int i = 0; i < head.length; ++i) {
        double highest = -INFINITY, total = 0;
        for (int j = 0; j < head.length; ++j)
          highest = std::max(highest, p[static_cast<std::size_t>(j)] = head.logit(i, j));
        for (double& x : p) total += x = std::exp(x - highest);
        std::fill(sum.begin(), sum.end(), 0.0);
        for (int j = 0; j < head.length; ++j)
          for (int d = 0; d < n; ++d)
            sum[static_cast<std::size_t>(d)] +=
                p[static_cast<std::size_t>(j)] * head.v[static_cast<std::size_t>(j * n + d)];
        for (int d = 0; d < n; ++d)
          y.as<H>()[head.row(i) * shape.width() + head.head * n + d] = H(sum[static_cast<std::size_t>(d)] / total);
        log_sum.as<T>()[head.row(i) * shape.heads + head.head] = T(highest + std::log(total));
      }
    });
  });
}

void ReferenceBackend::attention_backward(Context& ctx, const AttentionShape& shape, const SequenceTable& table,
                                          const Tensor& qkv, const Tensor& q_gain, const Tensor& k_gain, const Tensor&,
                                          const Tensor& log_sum, const Tensor& dy, const Tensor& dqkv,
                                          const Tensor& dq_gain, const Tensor& dk_gain) {
  if (ctx.planning()) return;
  for_element_types(qkv.dtype, [&](auto half, auto wide) {
    using H = decltype(half);
    using T = decltype(wide);
    for_each_head<H, T>(shape, table, qkv, q_gain, k_gain, [&](const Head<H, T>& head) {
      const int n = shape.head_size;
      const auto size = static_cast<std::size_t>(head.length * n);
      std::vector<double> dq(size), dk(size), dv(size), p(static_cast<std::size_t>(head.length)), dp(p);
      const double scale = 1 / std::sqrt(double(n));
      for (int i = 0; i < head.length; ++i) {
        const H* g = dy.as<H>() + head.row(i) * shape.width() + head.head * n;
        const double log_total = double(log_sum.as<T>()[head.row(i) * shape.heads + head.head]);
        double mean = 0;
        for (int j = 0; j < head.length; ++j) {
          const auto sj = static_cast<std::size_t>(j);
          p[sj] = std::exp(head.logit(i, j) - log_total);
          dp[sj] = 0;
          for (int d = 0; d < n; ++d) {
            dp[sj] += double(g[d]) * head.v[static_cast<std::size_t>(j * n + d)];
            dv[static_cast<std::size_t>(j * n + d)] += p[sj] * double(g[d]);
          }
          mean += p[sj] * dp[sj];
        }
        for (int j = 0; j < head.length; ++j) {
          const double ds = p[static_cast<std::size_t>(j)] * (dp[static_cast<std::size_t>(j)] - mean) * scale;
          for (int d = 0; d < n; ++d) {
            dq[static_cast<std::size_t>(i * n + d)] += ds * head.k[static_cast<std::size_t>(j * n + d)];
            dk[static_cast<std::size_t>(j * n + d)] += ds * head.q[static_cast<std::size_t>(i * n + d)];
          }
        }
      }
      for (int i = 0; i < head.length; ++i) {
        const auto si = static_cast<std::size_t>(i);
        head.normalise_backward(i, head.qkv + head.at(i, 0), head.q_gain, head.q_inverse[si],
                                &dq[static_cast<std::size_t>(i * n)], dqkv.as<H>() + head.at(i, 0), dq_gain.as<T>());
        head.normalise_backward(i, head.qkv + head.at(i, 1), head.k_gain, head.k_inverse[si],
                                &dk[static_cast<std::size_t>(i * n)], dqkv.as<H>() + head.at(i, 1), dk_gain.as<T>());
        for (int d = 0; d < n; ++d) dqkv.as<H>()[head.at(i, 2) + d] = H(dv[static_cast<std::size_t>(i * n + d)]);
      }
    });
  });
}

void ReferenceBackend::attention_tangent(Context& ctx, const AttentionShape& shape, const SequenceTable& table,
                                         const Tensor& qkv, const Tensor& q_gain, const Tensor& k_gain,
                                         const Tensor& log_sum, const Tensor& dqkv, const Tensor& dy) {
  if (ctx.planning()) return;
  for_element_types(qkv.dtype, [&](auto half, auto wide) {
    using H = decltype(half);
    using T = decltype(wide);
    for_each_head<H, T>(shape, table, qkv, q_gain, k_gain, [&](const Head<H, T>& head) {
      const int n = shape.head_size;
      const auto size = static_cast<std::size_t>(head.length * n);
      std::vector<double> dq(size), dk(size), p(static_cast<std::size_t>(head.length)), ds(p),
          sum(static_cast<std::size_t>(n));
      for (int i = 0; i < head.length; ++i) {
        const auto si = static_cast<std::size_t>(i);
        head.normalise_tangent(i, head.qkv + head.at(i, 0), head.q_gain, head.q_inverse[si],
                               dqkv.as<H>() + head.at(i, 0), &dq[static_cast<std::size_t>(i * n)]);
        head.normalise_tangent(i, head.qkv + head.at(i, 1), head.k_gain, head.k_inverse[si],
                               dqkv.as<H>() + head.at(i, 1), &dk[static_cast<std::size_t>(i * n)]);
      }
      const double scale = 1 / std::sqrt(double(n));
      for (int i = 0; i < head.length; ++i) {
        const double log_total = double(log_sum.as<T>()[head.row(i) * shape.heads + head.head]);
        double mean = 0;
        for (int j = 0; j < head.length; ++j) {
          const auto sj = static_cast<std::size_t>(j);
          p[sj] = std::exp(head.logit(i, j) - log_total);
          ds[sj] = 0;
          for (int d = 0; d < n; ++d) {
            const auto qi = static_cast<std::size_t>(i * n + d), kj = static_cast<std::size_t>(j * n + d);
            ds[sj] += (dq[qi] * head.k[kj] + head.q[qi] * dk[kj]) * scale;
          }
          mean += p[sj] * ds[sj];
        }
        std::fill(sum.begin(), sum.end(), 0.0);
        for (int j = 0; j < head.length; ++j) {
          const auto sj = static_cast<std::size_t>(j);
          for (int d = 0; d < n; ++d)
            sum[static_cast<std::size_t>(d)] += p[sj] * ((ds[sj] - mean) * head.v[static_cast<std::size_t>(j * n + d)] +
                                                         double(dqkv.as<H>()[head.at(j, 2) + d]));
        }
        for (int d = 0; d < n; ++d)
          dy.as<H>()[head.row(i) * shape.width() + head.head * n + d] = H(sum[static_cast<std::size_t>(d)]);
      }
    });
  });
}

}  // namespace zonda::model
