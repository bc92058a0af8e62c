#include <algorithm>

#include "core/error.hpp"
#include "model/ops/gelu.hpp"
#include "model/ops/reference/reference_backend.hpp"

namespace zonda::model {

void ReferenceBackend::gelu(Context& ctx, const Tensor& x, const Tensor& y) {
  if (ctx.planning()) return;
  for_element_type(x.dtype, [&](auto zero) {
    using T = decltype(zero);
    for (std::int64_t i = 0; i < x.count(); ++i) y.as<T>()[i] = T(gelu_value(double(x.as<T>()[i])));
  });
}

void ReferenceBackend::gelu_backward(Context& ctx, const Tensor& x, const Tensor& dy, const Tensor& dx,
                                     const Tensor& y) {
  if (ctx.planning()) return;
  for_element_type(x.dtype, [&](auto zero) {
    using T = decltype(zero);
    for (std::int64_t i = 0; i < x.count(); ++i) {
      const double v = double(x.as<T>()[i]);
      dx.as<T>()[i] = T(double(dy.as<T>()[i]) * gelu_derivative(v));
      if (!y.none()) y.as<T>()[i] = T(gelu_value(v));
    }
  });
}

void ReferenceBackend::add(Context& ctx, const Tensor& x, const Tensor& y) {
  if (ctx.planning()) return;
  for_element_type(x.dtype, [&](auto zero) {
    using T = decltype(zero);
    for (std::int64_t i = 0; i < x.count(); ++i) y.as<T>()[i] = T(double(y.as<T>()[i]) + double(x.as<T>()[i]));
  });
}

void ReferenceBackend::add_rows(Context& ctx, const Tensor& x, const Tensor& rows, const Tensor& y) {
  if (ctx.planning()) return;
  for_element_type(x.dtype, [&](auto zero) {
    using T = decltype(zero);
    const std::int64_t period = rows.count();
    for (std::int64_t i = 0; i < x.count(); ++i)
      y.as<T>()[i] = T(double(x.as<T>()[i]) + double(rows.as<T>()[i % period]));
  });
}

void ReferenceBackend::sum_rows(Context& ctx, const Tensor& dy, const Tensor& gradient, bool accumulate) {
  if (ctx.planning()) return;
  for_element_type(dy.dtype, [&](auto zero) {
    using T = decltype(zero);
    const std::int64_t period = gradient.count();
    for (std::int64_t j = 0; j < period; ++j) {
      double sum = accumulate ? double(gradient.as<T>()[j]) : 0;
      for (std::int64_t i = j; i < dy.count(); i += period) sum += double(dy.as<T>()[i]);
      gradient.as<T>()[j] = T(sum);
    }
  });
}

void ReferenceBackend::fill(Context& ctx, const Tensor& x, double value) {
  if (ctx.planning()) return;
  for_element_type(x.dtype, [&](auto zero) {
    using T = decltype(zero);
    std::fill_n(x.as<T>(), x.count(), T(value));
  });
}

void ReferenceBackend::copy(Context& ctx, const Tensor& x, const Tensor& y) {
  if (ctx.planning()) return;
  for_element_type(x.dtype, [&](auto zero) {
    using T = decltype(zero);
    std::copy_n(x.as<T>(), x.count(), y.as<T>());
  });
}

void ReferenceBackend::cast(Context& ctx, const Tensor& x, const Tensor& y) {
  if (ctx.planning()) return;
  for_element_type(x.dtype, [&](auto from) {
    for_element_type(y.dtype, [&](auto to) {
      using From = decltype(from);
      using To = decltype(to);
      for (std::int64_t i = 0; i < x.count(); ++i) {
        if constexpr (std::is_same_v<From, To>)
          y.as<To>()[i] = x.as<From>()[i];
        else if constexpr (std::is_same_v<From, BFloat16>)
          y.as<To>()[i] = static_cast<To>(static_cast<float>(x.as<From>()[i]));
        else
          y.as<To>()[i] = static_cast<To>(x.as<From>()[i]);
      }
    });
  });
}

}  // namespace zonda::model
