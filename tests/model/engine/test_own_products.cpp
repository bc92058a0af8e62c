// Products by own tiles, and those whose operands may be rounded.
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <vector>

#include "core/philox.hpp"
#include "model/ops/cpu/cpu_backend.hpp"
#include "model/ops/cpu/own_product.hpp"
#include "operation_table.hpp"

namespace zonda::model::testing {
namespace {

std::vector<float> normals(std::int64_t count, const char* name) {
  const Philox random(5, name);
  std::vector<float> values(static_cast<std::size_t>(count));
  for (std::size_t i = 0; i < values.size(); ++i) values[i] = static_cast<float>(random.normal(i));
  return values;
}

struct Sizes {
  std::int64_t rows, n, k;
};

class OwnProducts : public ::testing::TestWithParam<Sizes> {};

TEST_P(OwnProducts, AreThoseInF64AndARowDependsOnNoOther) {
  const auto [rows, n, k] = GetParam();
  const auto a = normals(rows * k, "a"), b = normals(k * n, "b"), before = normals(rows * n, "c");
  for (const bool accumulate : {false, true})
    for (const char transpose_b : {'N', 'T'}) {
      std::vector<float> c = before;
      const MatrixProduct product{'N', transpose_b, rows, n, k, k, transpose_b == 'N' ? n : k};
      multiply_by_tiles(product, a.data(), b.data(), accumulate, c.data());
      for (std::int64_t i = 0; i < rows; ++i)
        for (std::int64_t j = 0; j < n; ++j) {
          double sum = accumulate ? double(before[static_cast<std::size_t>(i * n + j)]) : 0.0;
          for (std::int64_t l = 0; l < k; ++l)
            sum += double(a[static_cast<std::size_t>(i * k + l)]) *
                   double(b[static_cast<std::size_t>(transpose_b == 'N' ? l * n + j : j * k + l)]);
          ASSERT_NEAR(c[static_cast<std::size_t>(i * n + j)], sum, 1e-5 * std::sqrt(double(k))) << i << ' ' << j;
        }
      std::vector<float> last(before.end() - n, before.end());
      MatrixProduct alone = product;
      alone.rows = 1;
      multiply_by_tiles(alone, a.data() + (rows - 1) * k, b.data(), accumulate, last.data());
      EXPECT_EQ(std::memcmp(last.data(), c.data() + (rows - 1) * n, last.size() * sizeof(float)), 0);
    }
}

TEST_P(OwnProducts, WithRoundedOperandsAreOffByTheRounding) {
  const auto [rows, n, k] = GetParam();
  Operands operands(kF32);
  const Tensor a = operands.add({rows, k}, "a", 1, 0.0, true), b = operands.add({k, n}, "b", 1, 0.0, true),
               bias = operands.add({n}, "bias");
  CpuBackend one(1), five(5, 0);
  const auto product = [&](Backend& backend, bool coarse) {
    std::vector<Tensor> results{operands.zeros({rows, n}), operands.zeros({rows, n})};
    run_planned(backend, kF32, [&](Context& ctx) {
      ctx->gemm(ctx, a, b, results[0], {.bias = bias, .activated = results[1], .coarse = coarse});
    });
    return results;
  };
  const auto exact = product(one, false), rounded = product(one, true), shared = product(five, true);
  for (std::size_t r = 0; r < 2; ++r) {
    double square = 0, off = 0;
    for (std::int64_t i = 0; i < exact[r].count(); ++i) {
      square += get(exact[r], i) * get(exact[r], i);
      off += (get(rounded[r], i) - get(exact[r], i)) * (get(rounded[r], i) - get(exact[r], i));
    }
    EXPECT_GT(square, 0);
    EXPECT_LE(std::sqrt(off / square), 1.0 / 256);
    EXPECT_EQ(std::memcmp(rounded[r].data, shared[r].data, rounded[r].bytes()), 0);
  }
}

INSTANTIATE_TEST_SUITE_P(Shapes, OwnProducts,
                         ::testing::Values(Sizes{1, 16, 1}, Sizes{7, 64, 33}, Sizes{50, 96, 238}, Sizes{13, 70, 31},
                                           Sizes{97, 208, 64}));

TEST(CoarseConvolution, IsOffByTheRounding) {
  for (const bool periodic : {false, true})
    for (const std::int64_t columns : {12, 33, 96}) {
      constexpr std::int64_t in = 5, out = 11, rows = 4;
      Operands operands(kF32);
      const Tensor x = operands.add({2, in, rows, columns}, "x"), weight = operands.add({out, in, 3, 3}, "w"),
                   bias = operands.add({out}, "bias");
      CpuBackend one(1), five(5, 0);
      const auto convolved = [&](Backend& backend, bool int8) {
        const Tensor y = operands.zeros({2, out, rows, columns});
        run_planned(backend, kF32, [&](Context& ctx) {
          ctx.int8 = int8;
          ctx->convolution(ctx, periodic, x, weight, bias, y);
        });
        return y;
      };
      const Tensor exact = convolved(one, false), rounded = convolved(one, true), shared = convolved(five, true);
      double square = 0, off = 0;
      for (std::int64_t i = 0; i < exact.count(); ++i) {
        square += get(exact, i) * get(exact, i);
        off += (get(rounded, i) - get(exact, i)) * (get(rounded, i) - get(exact, i));
      }
      EXPECT_GT(square, 0);
      EXPECT_LE(std::sqrt(off / square), 1.0 / 256) << columns;
      EXPECT_EQ(std::memcmp(rounded.data, shared.data, rounded.bytes()), 0);
    }
}

}  // namespace
}  // namespace zonda::model::testing
