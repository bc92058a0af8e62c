#pragma once
// Gradients, adjoint and tangent of a network in f64 against one another and against central differences.
#include <gtest/gtest.h>

#include "network_sample.hpp"

namespace zonda::model::testing {

/// Of a sample in a tangent plan: weight gradients and tangent to 1e-6 of central differences, the adjoint to 1e-12 of
/// the tangent, linearity to rounding.
inline void expect_derivatives_agree(Sample& s) {
  ParameterStore& store = s.network.parameters();
  store.zero_gradients();
  s.network.forward(s.x, s.condition, s.y);
  s.network.backward(s.w, s.dx);
  const Tensor adjoint = s.numbers.zeros(s.in), d = s.numbers.add(s.in, "d"), e = s.numbers.add(s.in, "e"),
               td = s.numbers.zeros(s.out), te = s.numbers.zeros(s.out), both = s.numbers.zeros(s.in),
               tboth = s.numbers.zeros(s.out);
  // In a tangent plan the activations stay: adjoint and tangent come in any order, any number of times.
  s.network.tangent(d, td);
  s.network.backward(s.w, adjoint, false);
  s.network.tangent(e, te);
  for (std::int64_t i = 0; i < d.count(); ++i) {
    ASSERT_EQ(get(adjoint, i), get(s.dx, i));
    set(both, i, 3 * get(d, i) - get(e, i));
  }
  s.network.tangent(both, tboth);
  double scale = 0, largest = 0;
  for (std::int64_t i = 0; i < td.count(); ++i) {
    scale += std::abs(get(td, i) * get(s.w, i));
    largest = std::max(largest, std::abs(get(td, i)));
  }
  ASSERT_GT(largest, 1e-3);
  for (std::int64_t i = 0; i < td.count(); ++i)
    ASSERT_NEAR(get(tboth, i), 3 * get(td, i) - get(te, i), 1e-12 * 10 * largest) << "linearity";
  EXPECT_NEAR(dot(td, s.w), dot(d, s.dx), 1e-12 * scale) << "adjoint";

  constexpr double h = 1e-5;
  const Tensor moved = s.numbers.zeros(s.in), side[2] = {s.numbers.zeros(s.out), s.numbers.zeros(s.out)};
  for (int k = 0; k < 2; ++k) {
    for (std::int64_t i = 0; i < d.count(); ++i) set(moved, i, get(s.x, i) + (k == 0 ? h : -h) * get(d, i));
    s.network.forward(moved, s.condition, side[k]);
  }
  double error = 0;
  for (std::int64_t i = 0; i < td.count(); ++i)
    error = std::max(error, std::abs(get(td, i) - (get(side[0], i) - get(side[1], i)) / (2 * h)));
  EXPECT_LE(error, 1e-6 * largest) << "tangent";

  for (ParameterId id = 0; id < static_cast<ParameterId>(store.list().size()); ++id) {
    const Tensor value = store.value(id), direction = s.numbers.add(value.shape, "direction");
    double sum[2];
    for (int k = 0; k < 2; ++k) {
      for (std::int64_t i = 0; i < value.count(); ++i)
        set(value, i, get(value, i) + (k == 0 ? h : -h) * get(direction, i));
      s.network.forward(s.x, s.condition, side[k]);
      sum[k] = dot(side[k], s.w);
      for (std::int64_t i = 0; i < value.count(); ++i)
        set(value, i, get(value, i) - (k == 0 ? h : -h) * get(direction, i));
    }
    const double expected = (sum[0] - sum[1]) / (2 * h);
    EXPECT_NEAR(dot(store.gradient(id), direction), expected, 1e-6 * std::max(1.0, std::abs(expected)))
        << store.at(id).name;
  }
}

}  // namespace zonda::model::testing
