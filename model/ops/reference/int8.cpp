#include <cmath>

#include "model/ops/gelu.hpp"
#include "model/ops/quantise.hpp"
#include "model/ops/reference/reference_backend.hpp"

namespace zonda::model {

void ReferenceBackend::quantise_columns(Context& ctx, const Tensor& w, const Tensor& values, const Tensor& scales) {
  if (ctx.planning()) return;
  for_element_type(w.dtype, [&](auto zero) {
    using T = decltype(zero);
    const std::int64_t rows = w.shape[0], columns = w.shape[1];
    for (std::int64_t j = 0; j < columns; ++j) {
      float largest = 0;
      for (std::int64_t i = 0; i < rows; ++i) {
        const float size = std::fabs(float(w.as<T>()[i * columns + j]));
        if (size > largest) largest = size;
      }
      scales.as<float>()[j] = largest / kQuantised;
      for (std::int64_t i = 0; i < rows; ++i)
        values.as<std::int8_t>()[i * columns + j] =
            quantised(float(w.as<T>()[i * columns + j]), inverse_scale(largest));
    }
  });
}

void ReferenceBackend::gemm_int8(Context& ctx, const Tensor& a, const Tensor& b, const Tensor& scales, const Tensor& c,
                                 const GemmOptions& options) {
  if (ctx.planning()) return;
  const Tensor& some = c.none() ? options.activated : c;
  const std::int64_t m = some.shape[0], n = some.shape[1], k = a.shape[1];
  for_element_types(a.dtype, [&](auto half, auto) {
    for_element_type(some.dtype, [&](auto result) {
      using H = decltype(half);
      using C = decltype(result);
      std::vector<std::int8_t> row(static_cast<std::size_t>(k));
      for (std::int64_t i = 0; i < m; ++i) {
        float largest = 0;
        for (std::int64_t l = 0; l < k; ++l) {
          const float size = std::fabs(float(a.as<H>()[i * k + l]));
          if (size > largest) largest = size;
        }
        for (std::int64_t l = 0; l < k; ++l)
          row[static_cast<std::size_t>(l)] = quantised(float(a.as<H>()[i * k + l]), inverse_scale(largest));
        for (std::int64_t j = 0; j < n; ++j) {
          std::int32_t dot = 0;
          for (std::int64_t l = 0; l < k; ++l)
            dot += std::int32_t{row[static_cast<std::size_t>(l)]} * b.as<std::int8_t>()[l * n + j];
          double sum = double(dot) * double(largest / kQuantised) * double(scales.as<float>()[j]);
          if (!options.bias.none()) sum += double(options.bias.as<float>()[j]);
          if (!c.none()) c.as<C>()[i * n + j] = C(sum);
          if (!options.activated.none()) options.activated.as<C>()[i * n + j] = C(gelu_value(sum));
        }
      }
    });
  });
}

}  // namespace zonda::model
