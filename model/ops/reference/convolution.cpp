#include <algorithm>

#include "model/ops/reference/reference_backend.hpp"

namespace zonda::model {

namespace {

/// f(x index, weight index, y index) for every multiply-add of the convolution.
template <class F>
void for_each_term(bool periodic, const Tensor& x, const Tensor& y, F&& f) {
  const std::int64_t batch = x.shape[0], in = x.shape[1], out = y.shape[1], rows = x.shape[2], columns = x.shape[3];
  for (std::int64_t b = 0; b < batch; ++b)
    for (std::int64_t o = 0; o < out; ++o)
      for (std::int64_t c = 0; c < in; ++c)
        for (std::int64_t i = 0; i < rows; ++i)
          for (std::int64_t j = 0; j < columns; ++j)
            for (int u = -1; u <= 1; ++u)
              for (int v = -1; v <= 1; ++v) {
                const std::int64_t row = std::clamp<std::int64_t>(i + u, 0, rows - 1);
                const std::int64_t column =
                    periodic ? (j + v + columns) % columns : std::clamp<std::int64_t>(j + v, 0, columns - 1);
                f(((b * in + c) * rows + row) * columns + column, ((o * in + c) * 3 + u + 1) * 3 + v + 1,
                  ((b * out + o) * rows + i) * columns + j);
              }
}

}  // namespace

void ReferenceBackend::convolution(Context& ctx, bool periodic, const Tensor& x, const Tensor& weight,
                                   const Tensor& bias, const Tensor& y) {
  if (ctx.planning()) return;
  for_wide_type(x.dtype, [&](auto zero) {
    using T = decltype(zero);
    const std::int64_t pixels = y.shape[2] * y.shape[3];
    for (std::int64_t i = 0; i < y.count(); ++i)
      y.as<T>()[i] = bias.none() ? T(0) : bias.as<T>()[i / pixels % y.shape[1]];
    for_each_term(periodic, x, y, [&](std::int64_t xi, std::int64_t wi, std::int64_t yi) {
      y.as<T>()[yi] += weight.as<T>()[wi] * x.as<T>()[xi];
    });
  });
}

void ReferenceBackend::convolution_backward_input(Context& ctx, bool periodic, const Tensor& weight, const Tensor& dy,
                                                  const Tensor& dx) {
  if (ctx.planning()) return;
  fill(ctx, dx, 0);
  for_wide_type(dx.dtype, [&](auto zero) {
    using T = decltype(zero);
    for_each_term(periodic, dx, dy, [&](std::int64_t xi, std::int64_t wi, std::int64_t yi) {
      dx.as<T>()[xi] += weight.as<T>()[wi] * dy.as<T>()[yi];
    });
  });
}

void ReferenceBackend::convolution_backward_weight(Context& ctx, bool periodic, const Tensor& x, const Tensor& dy,
                                                   const Tensor& weight_gradient, const Tensor& bias_gradient) {
  if (ctx.planning()) return;
  for_wide_type(x.dtype, [&](auto zero) {
    using T = decltype(zero);
    std::vector<double> sum(static_cast<std::size_t>(weight_gradient.count()));
    for_each_term(periodic, x, dy, [&](std::int64_t xi, std::int64_t wi, std::int64_t yi) {
      sum[static_cast<std::size_t>(wi)] += double(x.as<T>()[xi]) * double(dy.as<T>()[yi]);
    });
    for (std::size_t i = 0; i < sum.size(); ++i)
      weight_gradient.as<T>()[i] = T(double(weight_gradient.as<T>()[i]) + sum[i]);
    if (bias_gradient.none()) return;
    const std::int64_t pixels = dy.shape[2] * dy.shape[3];
    for (std::int64_t i = 0; i < dy.count(); ++i) bias_gradient.as<T>()[i / pixels % dy.shape[1]] += dy.as<T>()[i];
  });
}

}  // namespace zonda::model
