// One table for all operations: operation x element type x shape x backend against the f64 reference, and the
// reference's gradients against central differences.
#include <gtest/gtest.h>

#include <cmath>

#include "core/error.hpp"
#include "model/ops/cpu/cpu_backend.hpp"
#include "model/ops/gelu.hpp"
#include "operation_table.hpp"

namespace zonda::model::testing {
namespace {

class OperationTable : public ::testing::TestWithParam<Operation> {};

TEST_P(OperationTable, AgreesWithTheReference) {
  const Operation& op = GetParam();
  ReferenceBackend reference;
  CpuBackend cpu1(1), cpu3(3, 0), widening(3, 0, false);
  const auto truth = run(op, reference, kF64);
  struct Other {
    const char* name;
    Backend& backend;
    Precision precision;
    double tolerance;
  };
  std::vector<Other> others{{"reference", reference, kF32, op.f32_tolerance},
                            {"1 thread", cpu1, kF64, 1e-14},
                            {"1 thread", cpu1, kF32, op.f32_tolerance},
                            {"3 threads", cpu3, kF32, op.f32_tolerance}};
  if (op.mixed) {
    others.push_back({"reference", reference, kMixed, op.f32_tolerance});
    others.push_back({"1 thread", cpu1, kMixed, op.mixed_tolerance});
    others.push_back({"3 threads", cpu3, kMixed, op.mixed_tolerance});
    others.push_back({"3 threads without bf16 products", widening, kMixed, op.mixed_tolerance});
  }
  for (const Other& other : others) {
    const auto result = run(op, other.backend, other.precision);
    const std::string what = std::string(other.name) + ", " + other.precision.name();
    const auto bound = [&](const Tensor& exact, const Tensor& found) {
      return 1.5 * rounding(exact, found.dtype) + other.tolerance;
    };
    EXPECT_LE(difference(result->output, truth->output), bound(truth->output, result->output)) << what;
    for (std::size_t i = 0; i < result->gradients.size(); ++i)
      EXPECT_LE(difference(result->gradients[i], truth->gradients[i]), bound(truth->gradients[i], result->gradients[i]))
          << what << ", gradient " << i;
  }
}

TEST_P(OperationTable, HasTheSameBitsOnAnyNumberOfThreads) {
  const Operation& op = GetParam();
  CpuBackend one(1), five(5, 0);
  std::vector<Precision> precisions{kF64, kF32};
  if (op.mixed) precisions.push_back(kMixed);
  for (const Precision& precision : precisions) {
    const auto a = run(op, one, precision), b = run(op, five, precision);
    EXPECT_EQ(std::memcmp(a->output.data, b->output.data, a->output.bytes()), 0) << precision.name();
    for (std::size_t i = 0; i < a->gradients.size(); ++i)
      EXPECT_EQ(std::memcmp(a->gradients[i].data, b->gradients[i].data, a->gradients[i].bytes()), 0)
          << precision.name() << ", gradient " << i;
  }
}

/// All but the products, whose gradients are products again.
class OperationGradients : public OperationTable {};

TEST_P(OperationGradients, AreCentralDifferences) {
  const Operation& op = GetParam();
  const auto reference = make_backend("reference");
  const auto truth = run(op, *reference, kF64);
  Operands moved(DType::f64);
  for (std::size_t i = 0; i < op.inputs.size(); ++i) {
    const Tensor direction = moved.add(op.inputs[i].shape, "direction");
    const Tensor output = moved.zeros(op.output);
    double side[2];
    constexpr double h = 1e-5;
    for (int s = 0; s < 2; ++s) {
      Tensors inputs = truth->inputs;
      inputs[i] = moved.zeros(op.inputs[i].shape);
      for (std::int64_t j = 0; j < direction.count(); ++j)
        set(inputs[i], j, get(truth->inputs[i], j) + (s == 0 ? h : -h) * get(direction, j));
      run_planned(*reference, DType::f64, [&](Context& ctx) { op.forward(ctx, inputs, output); });
      side[s] = dot(output, truth->weight);
    }
    const double expected = (side[0] - side[1]) / (2 * h), found = dot(truth->gradients[i], direction);
    EXPECT_NEAR(found, expected, 1e-6 * std::max(1.0, std::abs(expected))) << "input " << i;
  }
}

std::vector<Operation> operations_with_backward() {
  std::vector<Operation> all = operations();
  std::erase_if(all, [](const Operation& op) { return !op.backward; });
  return all;
}

INSTANTIATE_TEST_SUITE_P(All, OperationTable, ::testing::ValuesIn(operations()),
                         [](const auto& each) { return each.param.name; });
INSTANTIATE_TEST_SUITE_P(All, OperationGradients, ::testing::ValuesIn(operations_with_backward()),
                         [](const auto& each) { return each.param.name; });

TEST(Backend, UnknownNamesAreListed) {
  try {
    make_backend("cpv");
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::usage);
    EXPECT_NE(std::string(error.what()).find("did you mean 'cpu'"), std::string::npos) << error.what();
  }
}

TEST(Operations, NotANumberIsNotHidden) {
  const auto cpu = make_backend("cpu", 1);
  Operands operands(DType::f32);
  const Tensor x = operands.add({64}, "x"), y = operands.zeros({64});
  set(x, 13, std::nan(""));
  run_planned(*cpu, DType::f32, [&](Context& ctx) { ctx->gelu(ctx, x, y); });
  EXPECT_TRUE(std::isnan(get(y, 13)));
  EXPECT_FALSE(std::isnan(get(y, 12)));
}

/// The error that half a step of either operand allows: sum over l of sa/2 |b| + sb/2 |a| + sa sb / 4.
TEST(Operations, Int8ProductsStayWithinTheirQuantisation) {
  constexpr std::int64_t m = 300, n = 33, k = 70;
  for (const Precision& precision : {kF32, kMixed}) {
    Operands operands(precision), bytes(kF32);
    const Tensor a = operands.add({m, k}, "a", 2, 0.3, true), w = bytes.add({k, n}, "w"), bias = bytes.add({n}, "bias"),
                 values = bytes.zeros({k, n}, DType::i8), scales = bytes.zeros({n}, DType::f32);
    for (std::int64_t l = 0; l < k; ++l) set(w, l * n + 5, 0);  // a column of zeros
    ReferenceBackend reference;
    CpuBackend one(1), five(5, 0);
    run_planned(one, precision, [&](Context& ctx) { ctx->quantise_columns(ctx, w, values, scales); });
    std::vector<Tensor> results;
    for (Backend* backend : std::initializer_list<Backend*>{&reference, &one, &five}) {
      const Tensor c = operands.zeros({m, n}), activated = operands.zeros({m, n});
      run_planned(*backend, precision, [&](Context& ctx) {
        GemmOptions options;
        options.bias = bias;
        options.activated = activated;
        ctx->gemm_int8(ctx, a, values, scales, c, options);
      });
      results.push_back(c);
      for (std::int64_t i = 0; i < m; ++i) {
        double largest = 0;
        for (std::int64_t l = 0; l < k; ++l) largest = std::max(largest, std::abs(get(a, i * k + l)));
        const double sa = largest / 127;
        for (std::int64_t j = 0; j < n; ++j) {
          const double sb = get(scales, j);
          double exact = get(bias, j), bound = 1e-5;
          for (std::int64_t l = 0; l < k; ++l) {
            const double x = get(a, i * k + l), y = get(w, l * n + j);
            exact += x * y;
            bound += sa / 2 * std::abs(y) + sb / 2 * std::abs(x) + sa * sb / 4;
          }
          ASSERT_LE(std::abs(get(c, i * n + j) - exact), bound) << backend->name() << " " << i << " " << j;
          ASSERT_NEAR(get(activated, i * n + j), gelu_value(get(c, i * n + j)), 1e-5 * (1 + std::abs(exact)));
        }
      }
    }
    EXPECT_LE(difference(results[1], results[0]), 1e-6);
    EXPECT_EQ(std::memcmp(results[1].data, results[2].data, results[1].bytes()), 0);
  }
}

TEST(Operations, CastRoundsAndWidens) {
  const auto reference = make_backend("reference");
  Operands wide(DType::f64), narrow(DType::f32);
  const Tensor x = wide.add({50}, "x"), y = narrow.zeros({50}), z = wide.zeros({50});
  set(x, 0, 0.1);
  run_planned(*reference, DType::f64, [&](Context& ctx) {
    ctx->cast(ctx, x, y);
    ctx->cast(ctx, y, z);
    ctx->fill(ctx, x, 2.5);
  });
  EXPECT_EQ(get(z, 0), static_cast<double>(0.1f));
  EXPECT_EQ(get(x, 49), 2.5);
}

}  // namespace
}  // namespace zonda::model::testing
