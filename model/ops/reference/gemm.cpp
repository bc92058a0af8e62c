#include "model/ops/gelu.hpp"
#include "model/ops/reference/reference_backend.hpp"

namespace zonda::model {

namespace {

template <class H, class C, class T>
void product(const Tensor& a, const Tensor& b, const Tensor& c, const GemmOptions& o) {
  const std::int64_t m = c.shape[0], n = c.shape[1], k = o.transpose_a ? a.shape[0] : a.shape[1];
  for (std::int64_t i = 0; i < m; ++i)
    for (std::int64_t j = 0; j < n; ++j) {
      double sum = o.accumulate ? double(c.as<C>()[i * n + j]) : 0;
      if (!o.bias.none()) sum += double(o.bias.as<T>()[j]);
      for (std::int64_t l = 0; l < k; ++l)
        sum += double(o.transpose_a ? a.as<H>()[l * m + i] : a.as<H>()[i * k + l]) *
               double(o.transpose_b ? b.as<H>()[j * k + l] : b.as<H>()[l * n + j]);
      c.as<C>()[i * n + j] = C(sum);
      if (!o.activated.none()) o.activated.as<C>()[i * n + j] = C(gelu_value(sum));
    }
}

Tensor matrix(const Tensor& t, std::int64_t i) {
  return t.slice(i, 1).reshaped({t.shape[1], t.shape[2]});
}

}  // namespace

void ReferenceBackend::gemm(Context& ctx, const Tensor& a, const Tensor& b, const Tensor& c,
                            const GemmOptions& options) {
  if (b.dtype == DType::bf16 && a.dtype != DType::bf16) {
    Tensor wide = ctx.take(b.shape, a.dtype);
    cast(ctx, b, wide);
    gemm(ctx, a, wide, c, options);
    return ctx.release(wide);
  }
  if (ctx.planning()) return;
  if (c.shape.rank() == 3) {
    for (std::int64_t i = 0; i < c.shape[0]; ++i) {
      GemmOptions one = options;
      if (!options.activated.none()) one.activated = matrix(options.activated, i);
      gemm(ctx, matrix(a, i), matrix(b, i), matrix(c, i), one);
    }
    return;
  }
  for_element_types(a.dtype, [&](auto half, auto wide) {
    using H = decltype(half);
    using T = decltype(wide);
    if (c.dtype == a.dtype)
      product<H, H, T>(a, b, c, options);
    else
      product<H, T, T>(a, b, c, options);
  });
}

void ReferenceBackend::bias_gradient(Context& ctx, const Tensor& dy, const Tensor& gradient) {
  if (ctx.planning()) return;
  for_element_types(dy.dtype, [&](auto half, auto wide) {
    using H = decltype(half);
    using T = decltype(wide);
    const std::int64_t n = gradient.count(), rows = dy.count() / n;
    for (std::int64_t j = 0; j < n; ++j) {
      double sum = double(gradient.as<T>()[j]);
      for (std::int64_t i = 0; i < rows; ++i) sum += double(dy.as<H>()[i * n + j]);
      gradient.as<T>()[j] = T(sum);
    }
  });
}

}  // namespace zonda::model
