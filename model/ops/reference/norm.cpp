#include <cmath>

#include "model/ops/reference/reference_backend.hpp"

namespace zonda::model {

void ReferenceBackend::norm_modulate(Context& ctx, NormKind kind, const Tensor& x, const Modulation& modulation,
                                     const Tensor& y, const Tensor& statistics) {
  if (ctx.planning()) return;
  for_element_types(y.dtype, [&](auto half, auto wide) {
    using H = decltype(half);
    using T = decltype(wide);
    const std::int64_t rows = x.shape[0], width = x.shape[1], per_group = rows / modulation.rows.shape[0];
    for (std::int64_t i = 0; i < rows; ++i) {
      const T* row = x.as<T>() + i * width;
      const T* m = modulation.rows.as<T>() + i / per_group * modulation.rows.shape[1];
      double mean = 0, square = 0;
      if (kind == NormKind::layer) {
        for (std::int64_t d = 0; d < width; ++d) mean += double(row[d]);
        mean /= double(width);
      }
      for (std::int64_t d = 0; d < width; ++d) square += (double(row[d]) - mean) * (double(row[d]) - mean);
      const double inverse = 1 / std::sqrt(square / double(width) + norm_epsilon);
      for (std::int64_t d = 0; d < width; ++d)
        y.as<H>()[i * width + d] = H((double(row[d]) - mean) * inverse * (1 + double(m[modulation.scale + d])) +
                                     double(m[modulation.shift + d]));
      statistics.as<T>()[2 * i] = T(mean);
      statistics.as<T>()[2 * i + 1] = T(inverse);
    }
  });
}

void ReferenceBackend::norm_modulate_backward(Context& ctx, NormKind kind, const Tensor& x,
                                              const Modulation& modulation, const Tensor& statistics, const Tensor& dy,
                                              const Tensor& dx, bool accumulate, const Modulation& gradient) {
  if (ctx.planning()) return;
  for_element_types(dy.dtype, [&](auto half, auto wide) {
    using H = decltype(half);
    using T = decltype(wide);
    const std::int64_t rows = x.shape[0], width = x.shape[1], groups = modulation.rows.shape[0],
                       per_group = rows / groups;
    std::vector<double> scale_sum(static_cast<std::size_t>(width)), shift_sum(scale_sum);
    for (std::int64_t g = 0; g < groups; ++g) {
      std::fill(scale_sum.begin(), scale_sum.end(), 0.0);
      std::fill(shift_sum.begin(), shift_sum.end(), 0.0);
      const T* m = modulation.rows.as<T>() + g * modulation.rows.shape[1];
      for (std::int64_t i = g * per_group; i < (g + 1) * per_group; ++i) {
        const T* row = x.as<T>() + i * width;
        const H* g_row = dy.as<H>() + i * width;
        const double mean = double(statistics.as<T>()[2 * i]), inverse = double(statistics.as<T>()[2 * i + 1]);
        double dot = 0, total = 0;
        for (std::int64_t d = 0; d < width; ++d) {
          const double u = (double(row[d]) - mean) * inverse,
                       du = double(g_row[d]) * (1 + double(m[modulation.scale + d]));
          dot += u * du;
          total += du;
          scale_sum[static_cast<std::size_t>(d)] += double(g_row[d]) * u;
          shift_sum[static_cast<std::size_t>(d)] += double(g_row[d]);
        }
        dot /= double(width);
        total = kind == NormKind::layer ? total / double(width) : 0;
        for (std::int64_t d = 0; d < width; ++d) {
          const double u = (double(row[d]) - mean) * inverse,
                       du = double(g_row[d]) * (1 + double(m[modulation.scale + d]));
          T& out = dx.as<T>()[i * width + d];
          out = T((accumulate ? double(out) : 0) + inverse * (du - u * dot - total));
        }
      }
      if (!gradient.rows.none()) {
        T* out = gradient.rows.as<T>() + g * gradient.rows.shape[1];
        for (std::int64_t d = 0; d < width; ++d) {
          out[gradient.scale + d] = T(scale_sum[static_cast<std::size_t>(d)]);
          out[gradient.shift + d] = T(shift_sum[static_cast<std::size_t>(d)]);
        }
      }
    }
  });
}

void ReferenceBackend::norm_modulate_tangent(Context& ctx, NormKind kind, const Tensor& x, const Modulation& modulation,
                                             const Tensor& statistics, const Tensor& dx, const Tensor& dy) {
  if (ctx.planning()) return;
  for_wide_type(x.dtype, [&](auto zero) {
    using T = decltype(zero);
    const std::int64_t rows = x.shape[0], width = x.shape[1], per_group = rows / modulation.rows.shape[0];
    for (std::int64_t i = 0; i < rows; ++i) {
      const T *row = x.as<T>() + i * width, *t = dx.as<T>() + i * width;
      const T* m = modulation.rows.as<T>() + i / per_group * modulation.rows.shape[1];
      const double mean = double(statistics.as<T>()[2 * i]), inverse = double(statistics.as<T>()[2 * i + 1]);
      double dot = 0, total = 0;
      for (std::int64_t d = 0; d < width; ++d) {
        dot += (double(row[d]) - mean) * inverse * double(t[d]);
        total += double(t[d]);
      }
      dot /= double(width);
      total = kind == NormKind::layer ? total / double(width) : 0;
      for (std::int64_t d = 0; d < width; ++d)
        dy.as<T>()[i * width + d] = T(inverse * (double(t[d]) - total - (double(row[d]) - mean) * inverse * dot) *
                                      (1 + double(m[modulation.scale + d])));
    }
  });
}

void ReferenceBackend::gated_add(Context& ctx, const Tensor& x, const Tensor& branch, const Tensor& rows,
                                 std::int64_t gate, const Tensor& y) {
  if (ctx.planning()) return;
  for_element_types(branch.dtype, [&](auto half, auto wide) {
    using H = decltype(half);
    using T = decltype(wide);
    const std::int64_t n = y.shape[0], width = y.shape[1], per_group = n / rows.shape[0];
    for (std::int64_t i = 0; i < n; ++i)
      for (std::int64_t d = 0; d < width; ++d)
        y.as<T>()[i * width + d] =
            T((x.none() ? 0 : double(x.as<T>()[i * width + d])) +
              double(rows.as<T>()[i / per_group * rows.shape[1] + gate + d]) * double(branch.as<H>()[i * width + d]));
  });
}

void ReferenceBackend::gated_add_backward(Context& ctx, const Tensor& branch, const Tensor& rows, std::int64_t gate,
                                          const Tensor& dy, const Tensor& dbranch, const Tensor& rows_gradient) {
  if (ctx.planning()) return;
  for_element_types(branch.dtype, [&](auto half, auto wide) {
    using H = decltype(half);
    using T = decltype(wide);
    const std::int64_t n = dy.shape[0], width = dy.shape[1], groups = rows.shape[0], per_group = n / groups;
    for (std::int64_t g = 0; g < groups; ++g)
      for (std::int64_t d = 0; d < width; ++d) {
        double sum = 0;
        for (std::int64_t i = g * per_group; i < (g + 1) * per_group; ++i) {
          const double dyi = double(dy.as<T>()[i * width + d]);
          sum += dyi * double(branch.as<H>()[i * width + d]);
          dbranch.as<H>()[i * width + d] = H(double(rows.as<T>()[g * rows.shape[1] + gate + d]) * dyi);
        }
        if (!rows_gradient.none()) rows_gradient.as<T>()[g * rows_gradient.shape[1] + gate + d] = T(sum);
      }
  });
}

}  // namespace zonda::model
