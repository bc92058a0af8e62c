#include "model/ops/optimiser.hpp"

#include <algorithm>
#include <cmath>
#include <vector>

#include "core/error.hpp"
#include "core/vectorise.hpp"
#include "model/ops/backend.hpp"
#include "model/ops/cpu/mixed.hpp"

namespace zonda::model {

namespace {

constexpr std::int64_t kChunk = optimiser_piece;  // summed by one thread in one go: sums do not depend on threads

constexpr std::int64_t kNear = 4096;  // numbers of a step whose new values are still near when their copies are made

struct Rates {
  double step, decay, beta1, beta2, correction2, epsilon, scale;
};

ZONDA_CLONES void adamw_range(float* w, const float* g, float* m, float* v, BFloat16* copy, std::int64_t n,
                              const Rates& rates) {
  const float step = float(rates.step), decay = float(rates.decay), beta1 = float(rates.beta1),
              beta2 = float(rates.beta2), correction2 = float(rates.correction2), epsilon = float(rates.epsilon),
              scale = float(rates.scale);
#pragma omp simd
  for (std::int64_t i = 0; i < n; ++i) {
    const float gi = g[i] * scale;
    const float mi = beta1 * m[i] + (1 - beta1) * gi, vi = beta2 * v[i] + (1 - beta2) * gi * gi;
    m[i] = mi;
    v[i] = vi;
    w[i] -= step * mi / (std::sqrt(vi * correction2) + epsilon) + decay * w[i];
  }
  if (!copy) return;
#pragma omp simd
  for (std::int64_t i = 0; i < n; ++i) store(w[i], copy[i]);
}

void adamw_range(double* w, const double* g, double* m, double* v, BFloat16*, std::int64_t n, const Rates& r) {
  for (std::int64_t i = 0; i < n; ++i) {
    const double gi = g[i] * r.scale;
    m[i] = r.beta1 * m[i] + (1 - r.beta1) * gi;
    v[i] = r.beta2 * v[i] + (1 - r.beta2) * gi * gi;
    w[i] -= r.step * m[i] / (std::sqrt(v[i] * r.correction2) + r.epsilon) + r.decay * w[i];
  }
}

ZONDA_CLONES double square_sum(const float* x, std::int64_t n) {
  double sum = 0;
#pragma omp simd reduction(+ : sum)
  for (std::int64_t i = 0; i < n; ++i) sum += double(x[i]) * double(x[i]);
  return sum;
}

double square_sum(const double* x, std::int64_t n) {
  double sum = 0;
  for (std::int64_t i = 0; i < n; ++i) sum += x[i] * x[i];
  return sum;
}

template <class F>
void by_type(DType type, F&& f) {
  if (type == DType::f64)
    f(double{});
  else
    f(float{});
}

}  // namespace

void adamw_step(const AdamW& o, std::int64_t step, double decay, const Tensor& w, const Tensor& g, const Tensor& m,
                const Tensor& v, const Tensor& copy) {
  const double correction1 = 1 - std::pow(o.beta1, double(step)), correction2 = 1 - std::pow(o.beta2, double(step));
  const Rates rates{o.learning_rate / correction1,
                    o.learning_rate * decay,
                    o.beta1,
                    o.beta2,
                    1 / correction2,
                    o.epsilon,
                    o.gradient_scale};
  const std::int64_t n = w.count();
  by_type(w.dtype, [&](auto zero) {
    using T = decltype(zero);
#pragma omp parallel for schedule(static) if (n > kChunk)
    for (std::int64_t i = 0; i < n; i += kNear)
      adamw_range(w.as<T>() + i, g.as<T>() + i, m.as<T>() + i, v.as<T>() + i,
                  copy.none() ? nullptr : copy.as<BFloat16>() + i, std::min(kNear, n - i), rates);
  });
}

double square_sum(const Tensor& x, std::int64_t raster) {
  const std::int64_t n = x.count(), end = raster + n;
  // Chunks are cut on the whole arena's raster: the parts of a shard add up alike wherever it begins on the raster.
  const std::int64_t chunk0 = raster / kChunk, chunks = n > 0 ? (end - 1) / kChunk - chunk0 + 1 : 0;
  std::vector<double> part(static_cast<std::size_t>(chunks));
  by_type(x.dtype, [&](auto zero) {
    using T = decltype(zero);
    const T* g = x.as<T>();
#pragma omp parallel for schedule(static)
    for (std::int64_t c = 0; c < chunks; ++c) {
      const std::int64_t begin = std::max(raster, (chunk0 + c) * kChunk),
                         stop = std::min(end, (chunk0 + c + 1) * kChunk);
      part[static_cast<std::size_t>(c)] = square_sum(g + (begin - raster), stop - begin);
    }
  });
  double sum = 0;
  for (double p : part) sum += p;
  return sum;
}

void scale_by(const Tensor& x, double factor) {
  by_type(x.dtype, [&](auto zero) {
    using T = decltype(zero);
    T* g = x.as<T>();
    const std::int64_t n = x.count();
#pragma omp parallel for simd schedule(static)
    for (std::int64_t i = 0; i < n; ++i) g[i] *= T(factor);
  });
}

void average_into(const Tensor& x, const Tensor& mean, double decay) {
  by_type(x.dtype, [&](auto zero) {
    using T = decltype(zero);
    const T* w = x.as<T>();
    T* a = mean.as<T>();
    const std::int64_t n = x.count();
#pragma omp parallel for simd schedule(static)
    for (std::int64_t i = 0; i < n; ++i) a[i] += T(1 - decay) * (w[i] - a[i]);
  });
}

void adamw_step(ParameterStore& store, const AdamW& options, std::int64_t step, std::int64_t first, std::int64_t n,
                Backend* backend) {
  if (store.gradients().none() || store.first_moment().none())
    fail(ErrorKind::failure, "an optimiser step needs gradients and moments");
  const std::int64_t end = n < 0 ? store.extent() : first + n;
  if (first < 0 || end > store.extent())
    fail(ErrorKind::failure, "the shard [{}, {}) is outside the parameters [0, {})", first, end, store.extent());
  // Copies that show the present values go on doing so where the whole store steps.
  const bool copied = !store.copies().none() && !store.copies_stale() && first == 0 && end == store.extent();
  for (const Parameter& p : store.list()) {
    const std::int64_t begin = std::max(p.offset, first), stop = std::min(p.offset + p.count, end);
    if (begin >= stop || p.frozen) continue;
    const double decay = p.decay ? options.weight_decay : 0;
    const auto part = [&](const Tensor& arena) { return arena.slice(begin, stop - begin); };
    const Tensor w = part(store.values()), g = part(store.gradients()), m = part(store.first_moment()),
                 v = part(store.second_moment()), copy = copied ? part(store.copies()) : Tensor{};
    if (backend)
      backend->adamw(options, step, decay, w, g, m, v, copy);
    else
      adamw_step(options, step, decay, w, g, m, v, copy);
  }
  store.values_changed();
  if (copied) store.copies_made();
}

namespace {

/// Calls `piece(first, count)` for the pieces that begin in [first, first + n).
template <class Piece>
void for_pieces(const ParameterStore& store, std::int64_t first, std::int64_t n, Piece&& piece) {
  const auto list = store.list();
  const std::int64_t end = first + n;
  auto p = std::upper_bound(list.begin(), list.end(), first,
                            [](std::int64_t at, const Parameter& parameter) { return at < parameter.offset; });
  if (p != list.begin()) --p;  // it may reach into the range
  for (; p != list.end() && p->offset < end; ++p) {
    const std::int64_t skipped = std::max<std::int64_t>(first - p->offset, 0);
    const std::int64_t begin = p->offset + (skipped + kChunk - 1) / kChunk * kChunk;
    for (std::int64_t at = begin; at < std::min(end, p->offset + p->count); at += kChunk)
      piece(at, std::min(kChunk, p->offset + p->count - at));
  }
}

}  // namespace

std::vector<double> gradient_square_sums(const ParameterStore& store, std::int64_t first, std::int64_t n) {
  if (store.gradients().none()) fail(ErrorKind::failure, "no gradients to take the norm of");
  std::vector<std::pair<std::int64_t, std::int64_t>> pieces;
  for_pieces(store, first, n, [&](std::int64_t at, std::int64_t count) { pieces.emplace_back(at, count); });
  std::vector<double> sums(pieces.size());
  by_type(store.dtype(), [&](auto zero) {
    const auto* g = store.gradients().as<decltype(zero)>();
#pragma omp parallel for schedule(static)
    for (std::size_t i = 0; i < pieces.size(); ++i) sums[i] = square_sum(g + pieces[i].first, pieces[i].second);
  });
  return sums;
}

std::size_t count_pieces(const ParameterStore& store, std::int64_t first, std::int64_t n) {
  std::size_t count = 0;
  for_pieces(store, first, n, [&](std::int64_t, std::int64_t) { ++count; });
  return count;
}

double gradient_norm(const ParameterStore& store, Backend* backend) {
  if (store.gradients().none()) fail(ErrorKind::failure, "no gradients to take the norm of");
  if (backend && store.memory().device() != Device::cpu) return std::sqrt(backend->square_sum(store.gradients(), 0));
  double sum = 0;
  for (const double part : gradient_square_sums(store, 0, store.extent())) sum += part;
  return std::sqrt(sum);
}

void scale_gradients(ParameterStore& store, double factor, Backend* backend) {
  backend ? backend->scale(store.gradients(), factor) : scale_by(store.gradients(), factor);
}

void average_update(ParameterStore& store, double decay, Backend* backend, std::int64_t first, std::int64_t n) {
  if (store.average().none()) fail(ErrorKind::failure, "the parameters have no moving average");
  if (n < 0) n = store.extent() - first;
  const Tensor values = store.values().slice(first, n), mean = store.average().slice(first, n);
  backend ? backend->average(values, mean, decay) : average_into(values, mean, decay);
}

}  // namespace zonda::model
