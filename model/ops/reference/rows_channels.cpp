// Maps between channels, permutations of rows, depthwise convolution of tokens.
#include <algorithm>

#include "model/ops/reference/reference_backend.hpp"

namespace zonda::model {

void ReferenceBackend::map_channels(Context& ctx, const Tensor& x, std::span<const ChannelTerm> terms, const Tensor& y,
                                    bool accumulate) {
  if (ctx.planning()) return;
  for_wide_type(y.dtype, [&](auto zero) {
    using T = decltype(zero);
    const std::int64_t batch = y.shape[0], points = y.shape[2] * y.shape[3];
    if (!accumulate) std::fill_n(y.as<T>(), y.count(), T(0));
    for (std::int64_t b = 0; b < batch; ++b)
      for (const ChannelTerm& term : terms) {
        const T* from = x.as<T>() + (b * x.shape[1] + term.from) * points;
        T* to = y.as<T>() + (b * y.shape[1] + term.to) * points;
        for (std::int64_t i = 0; i < points; ++i) to[i] += T(term.factor) * from[i];
      }
  });
}

void ReferenceBackend::bound_channels(Context& ctx, std::span<const ChannelRange> ranges, const Tensor& x) {
  if (ctx.planning()) return;
  for_wide_type(x.dtype, [&](auto zero) {
    using T = decltype(zero);
    const std::int64_t points = x.shape[2] * x.shape[3];
    for (std::int64_t b = 0; b < x.shape[0]; ++b)
      for (const ChannelRange& range : ranges) {
        T* values = x.as<T>() + (b * x.shape[1] + range.channel) * points;
        const T lower = T(range.lower), upper = T(range.upper);
        for (std::int64_t i = 0; i < points; ++i)
          values[i] = values[i] < lower ? lower : values[i] > upper ? upper : values[i];
      }
  });
}

void ReferenceBackend::bound_channels_backward(Context& ctx, std::span<const ChannelRange> ranges,
                                               const Tensor& bounded, const Tensor& gradient) {
  if (ctx.planning()) return;
  for_wide_type(gradient.dtype, [&](auto zero) {
    using T = decltype(zero);
    const std::int64_t points = bounded.shape[2] * bounded.shape[3];
    for (std::int64_t b = 0; b < bounded.shape[0]; ++b)
      for (const ChannelRange& range : ranges) {
        const std::int64_t first = (b * bounded.shape[1] + range.channel) * points;
        for (std::int64_t i = first; i < first + points; ++i)
          if (bounded.as<T>()[i] <= T(range.lower) || bounded.as<T>()[i] >= T(range.upper)) gradient.as<T>()[i] = 0;
      }
  });
}

void ReferenceBackend::permute_rows(Context& ctx, const Tensor& x, const IndexTable& index, const Tensor& y) {
  if (ctx.planning()) return;
  const auto tokens = static_cast<std::int64_t>(index.values.size());
  const std::size_t row = static_cast<std::size_t>(x.shape[1]) * size_of(x.dtype);
  for (std::int64_t i = 0; i < x.shape[0]; ++i) {
    const std::int64_t from = i / tokens * tokens + index.values[static_cast<std::size_t>(i % tokens)];
    std::copy_n(static_cast<const std::byte*>(x.data) + static_cast<std::size_t>(from) * row, row,
                static_cast<std::byte*>(y.data) + static_cast<std::size_t>(i) * row);
  }
}

namespace {

/// Calls f(token, neighbour, tap) for every tap of every token that has a neighbour there.
template <class F>
void for_taps(const TokenRaster& raster, F&& f) {
  for (std::int64_t i = 0; i < raster.rows; ++i)
    for (std::int64_t j = 0; j < raster.columns; ++j)
      for (int tap = 0; tap < 9; ++tap) {
        const std::int64_t row = i + tap / 3 - 1;
        std::int64_t column = j + tap % 3 - 1;
        if (raster.periodic) column = (column + raster.columns) % raster.columns;
        if (row < 0 || row >= raster.rows || column < 0 || column >= raster.columns) continue;
        f(i * raster.columns + j, row * raster.columns + column, tap);
      }
}

}  // namespace

void ReferenceBackend::depthwise(Context& ctx, const TokenRaster& raster, const Tensor& x, const Tensor& weight,
                                 const Tensor& bias, const Tensor& y) {
  if (ctx.planning()) return;
  for_wide_type(x.dtype, [&](auto zero) {
    using T = decltype(zero);
    const std::int64_t width = x.shape[1], tokens = raster.rows * raster.columns;
    for (std::int64_t i = 0; i < y.count(); ++i) y.as<T>()[i] = bias.none() ? T(0) : bias.as<T>()[i % width];
    for (std::int64_t b = 0; b < x.shape[0] / tokens; ++b)
      for_taps(raster, [&](std::int64_t token, std::int64_t neighbour, int tap) {
        const T* from = x.as<T>() + (b * tokens + neighbour) * width;
        T* to = y.as<T>() + (b * tokens + token) * width;
        for (std::int64_t d = 0; d < width; ++d) to[d] += weight.as<T>()[tap * width + d] * from[d];
      });
  });
}

void ReferenceBackend::depthwise_backward_input(Context& ctx, const TokenRaster& raster, const Tensor& weight,
                                                const Tensor& dy, const Tensor& dx) {
  if (ctx.planning()) return;
  for_wide_type(dy.dtype, [&](auto zero) {
    using T = decltype(zero);
    const std::int64_t width = dy.shape[1], tokens = raster.rows * raster.columns;
    std::fill_n(dx.as<T>(), dx.count(), T(0));
    for (std::int64_t b = 0; b < dy.shape[0] / tokens; ++b)
      for_taps(raster, [&](std::int64_t token, std::int64_t neighbour, int tap) {
        const T* from = dy.as<T>() + (b * tokens + token) * width;
        T* to = dx.as<T>() + (b * tokens + neighbour) * width;
        for (std::int64_t d = 0; d < width; ++d) to[d] += weight.as<T>()[tap * width + d] * from[d];
      });
  });
}

void ReferenceBackend::depthwise_backward_weight(Context& ctx, const TokenRaster& raster, const Tensor& x,
                                                 const Tensor& dy, const Tensor& weight_gradient,
                                                 const Tensor& bias_gradient_sum) {
  if (ctx.planning()) return;
  for_wide_type(dy.dtype, [&](auto zero) {
    using T = decltype(zero);
    const std::int64_t width = dy.shape[1], tokens = raster.rows * raster.columns;
    for (std::int64_t b = 0; b < dy.shape[0] / tokens; ++b)
      for_taps(raster, [&](std::int64_t token, std::int64_t neighbour, int tap) {
        const T *g = dy.as<T>() + (b * tokens + token) * width, *from = x.as<T>() + (b * tokens + neighbour) * width;
        for (std::int64_t d = 0; d < width; ++d) weight_gradient.as<T>()[tap * width + d] += g[d] * from[d];
      });
    if (bias_gradient_sum.none()) return;
    for (std::int64_t i = 0; i < dy.count(); ++i) bias_gradient_sum.as<T>()[i % width] += dy.as<T>()[i];
  });
}

}  // namespace zonda::model
