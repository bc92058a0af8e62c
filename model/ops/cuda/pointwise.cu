// Element by element: GELU, sums, casts, the epilogue of products that the library cannot fuse.
#include "model/ops/cuda/kernels.hpp"
#include "model/ops/cuda/numbers.hpp"
#include "model/ops/gelu.hpp"

namespace zonda::model::cuda {

namespace {

constexpr int kThreads = 256;

/// Calls f(i) for i = 0 .. n - 1.
template <class F>
__global__ void each(F f, std::int64_t n) {
  const std::int64_t i = std::int64_t{blockIdx.x} * kThreads + threadIdx.x;
  if (i < n) f(i);
}

template <class F>
void for_each(Stream stream, std::int64_t n, const F& f) {
  if (n > 0) launch(each<F>, dim3(blocks_for(n, kThreads)), dim3(kThreads), 0, stream, f, n);
}

template <class H>
inline constexpr int kPack = 16 / sizeof(H);

/// Calls f(std::integral_constant<int, N>) with the numbers of a pack: 16 bytes of H where n and all pointers allow,
/// else 1.
template <int N>
struct Width {
  static constexpr int value = N;
};
template <class H, class F, class... T>
void by_pack(std::int64_t n, F&& f, const T*... pointers) {
  constexpr int wide = kPack<H>;
  if ((packs<wide>(pointers, n) && ...))
    f(Width<wide>{});
  else
    f(Width<1>{});
}

__device__ __forceinline__ float logistic_argument(float x) {
  return -x * (float(kGeluA) + float(kGeluB) * x * x);
}
__device__ __forceinline__ float gelu_of(float x) {
  return x / (1.0f + expf(logistic_argument(x)));
}
__device__ __forceinline__ float gelu_slope(float x) {
  const float s = 1.0f / (1.0f + expf(logistic_argument(x)));
  return s + x * s * (1.0f - s) * (float(kGeluA) + 3 * float(kGeluB) * x * x);
}

template <class H, int N>
struct Gelu {
  const H* x;
  H* y;
  __device__ void operator()(std::int64_t i) const {
    Pack<N> v = load<N>(x + i * N);
#pragma unroll
    for (int k = 0; k < N; ++k) v.at[k] = gelu_of(v.at[k]);
    store(y + i * N, v);
  }
};

template <class H, int N>
struct GeluBackward {
  const H *x, *dy;
  H *dx, *y;
  __device__ void operator()(std::int64_t i) const {
    Pack<N> v = load<N>(x + i * N), g = load<N>(dy + i * N);
#pragma unroll
    for (int k = 0; k < N; ++k) {
      g.at[k] *= gelu_slope(v.at[k]);
      v.at[k] = gelu_of(v.at[k]);
    }
    store(dx + i * N, g);
    if (y) store(y + i * N, v);
  }
};

/// y[i] = x[i] + rows[i % period]; rows may be y itself.
template <class H, int N>
struct Add {
  const H *x, *rows;
  H* y;
  std::int64_t period;
  __device__ void operator()(std::int64_t i) const {
    const std::int64_t at = i * N;
    Pack<N> v = load<N>(x + at);
    const Pack<N> r = load<N>(rows + (at < period ? at : at % period));  // a division is dear
#pragma unroll
    for (int k = 0; k < N; ++k) v.at[k] += r.at[k];
    store(y + at, v);
  }
};

template <class H>
struct SumRows {
  const H* dy;
  H* gradient;
  std::int64_t groups, period;
  bool accumulate;
  __device__ void operator()(std::int64_t j) const {
    float sum = accumulate ? widen(gradient[j]) : 0.0f;
    for (std::int64_t g = 0; g < groups; ++g) sum += widen(dy[g * period + j]);
    gradient[j] = narrow<H>(sum);
  }
};

template <class H>
struct Fill {
  H* x;
  float value;
  __device__ void operator()(std::int64_t i) const { x[i] = narrow<H>(value); }
};

template <class From, class To, int N>
struct Cast {
  const From* x;
  To* y;
  __device__ void operator()(std::int64_t i) const { store(y + i * N, load<N>(x + i * N)); }
};

template <class H, int N>
struct FinishProduct {
  H* c;
  const float* bias;
  H* activated;
  std::int64_t columns;
  __device__ void operator()(std::int64_t i) const {
    Pack<N> v = load<N>(c + i * N);
    if (bias) {
      const float* b = bias + i * N % columns;
#pragma unroll
      for (int k = 0; k < N; ++k) v.at[k] += b[k];
      store(c + i * N, v);
    }
    if (!activated) return;
#pragma unroll
    for (int k = 0; k < N; ++k) v.at[k] = gelu_of(v.at[k]);
    store(activated + i * N, v);
  }
};

}  // namespace

template <class H>
void gelu(Stream stream, const H* x, H* y, std::int64_t n) {
  by_pack<H>(
      n,
      [&](auto width) {
        constexpr int N = decltype(width)::value;
        for_each(stream, n / N, Gelu<H, N>{x, y});
      },
      x, y);
}

template <class H>
void gelu_backward(Stream stream, const H* x, const H* dy, H* dx, H* y, std::int64_t n) {
  by_pack<H>(
      n,
      [&](auto width) {
        constexpr int N = decltype(width)::value;
        for_each(stream, n / N, GeluBackward<H, N>{x, dy, dx, y});
      },
      x, dy, dx, y);
}

template <class H>
void add_rows(Stream stream, const H* x, const H* rows, H* y, std::int64_t n, std::int64_t period) {
  by_pack<H>(
      period,
      [&](auto width) {
        constexpr int N = decltype(width)::value;
        for_each(stream, n / N, Add<H, N>{x, rows, y, period});
      },
      x, rows, y);
}

template <class H>
void add(Stream stream, const H* x, H* y, std::int64_t n) {
  add_rows(stream, x, static_cast<const H*>(y), y, n, n);
}

template <class H>
void sum_rows(Stream stream, const H* dy, H* gradient, std::int64_t groups, std::int64_t period, bool accumulate) {
  for_each(stream, period, SumRows<H>{dy, gradient, groups, period, accumulate});
}

template <class H>
void fill(Stream stream, H* x, std::int64_t n, float value) {
  for_each(stream, n, Fill<H>{x, value});
}

template <class From, class To>
void cast(Stream stream, const From* x, To* y, std::int64_t n) {
  constexpr int wide = 4;
  if (packs<wide>(x, n) && packs<wide>(y, n))
    for_each(stream, n / wide, Cast<From, To, wide>{x, y});
  else
    for_each(stream, n, Cast<From, To, 1>{x, y});
}

template <class H>
void finish_product(Stream stream, H* c, const float* bias, H* activated, std::int64_t rows, std::int64_t n) {
  if (!bias && !activated) return;
  by_pack<H>(
      n,
      [&](auto width) {
        constexpr int N = decltype(width)::value;
        for_each(stream, rows * n / N, FinishProduct<H, N>{c, bias, activated, n});
      },
      c, activated);
}

#define ZONDA_POINTWISE(H)                                                               \
  template void gelu<H>(Stream, const H*, H*, std::int64_t);                             \
  template void gelu_backward<H>(Stream, const H*, const H*, H*, H*, std::int64_t);      \
  template void add<H>(Stream, const H*, H*, std::int64_t);                              \
  template void add_rows<H>(Stream, const H*, const H*, H*, std::int64_t, std::int64_t); \
  template void sum_rows<H>(Stream, const H*, H*, std::int64_t, std::int64_t, bool);     \
  template void fill<H>(Stream, H*, std::int64_t, float);                                \
  template void finish_product<H>(Stream, H*, const float*, H*, std::int64_t, std::int64_t);
ZONDA_POINTWISE(float)
ZONDA_POINTWISE(bf16)
#undef ZONDA_POINTWISE
template void cast<float, bf16>(Stream, const float*, bf16*, std::int64_t);
template void cast<bf16, float>(Stream, const bf16*, float*, std::int64_t);

}  // namespace zonda::model::cuda
