// Shorter ways to the same numbers: patches multiplied where they lie in the image, positions as sums over rows and
// columns of tokens.
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <string>

#include "model/network/token_grid.hpp"
#include "model/ops/cpu/cpu_backend.hpp"
#include "operation_table.hpp"

namespace zonda::model::testing {
namespace {

struct PatchCase {
  std::string name;
  int size, kernel_rows;
  std::int64_t samples, channels, token_rows, token_columns, width;
};

class PatchProducts : public ::testing::TestWithParam<PatchCase> {};

TEST_P(PatchProducts, AreThoseOfGatheredPatches) {
  const PatchCase& c = GetParam();
  const PatchGeometry geometry{c.size, c.kernel_rows, c.token_rows, c.token_columns};
  Operands operands(kF32);
  const std::int64_t k = c.channels * c.kernel_rows * c.size, rows = c.token_rows * c.size + c.kernel_rows - c.size;
  const Tensor image = operands.add({c.samples, c.channels, rows, c.token_columns * c.size}, "image"),
               w = operands.add({k, c.width}, "w"), bias = operands.add({c.width}, "bias");
  Tensor narrow = operands.zeros({k, c.width}, DType::bf16);
  ReferenceBackend reference;
  CpuBackend one(1), five(5, 0), without_pairs(2, 0, false);
  run_planned(reference, kF32, [&](Context& ctx) { ctx->cast(ctx, w, narrow); });
  for (const bool coarse : {false, true})
    for (const Tensor& weights : {w, narrow}) {
      std::vector<Tensor> tokens;
      for (Backend* backend : std::initializer_list<Backend*>{&reference, &one, &five, &without_pairs}) {
        tokens.push_back(operands.zeros({c.samples * c.token_rows * c.token_columns, c.width}));
        run_planned(*backend, kF32, [&](Context& ctx) {
          ctx->patch_product(ctx, geometry, image, weights, bias, coarse, tokens.back());
        });
      }
      double square = 0, off = 0, exact = 0;
      for (std::int64_t i = 0; i < tokens[0].count(); ++i) {
        const double truth = get(tokens[0], i);
        square += truth * truth;
        off += (get(tokens[1], i) - truth) * (get(tokens[1], i) - truth);
        exact = std::max(exact, std::abs(get(tokens[3], i) - truth));
      }
      EXPECT_LE(std::sqrt(off / square), coarse ? 4e-3 : 1e-6) << coarse;  // 2^-8
      EXPECT_LE(exact, 2e-5 * std::sqrt(square / double(tokens[0].count())));
      EXPECT_EQ(std::memcmp(tokens[1].data, tokens[2].data, tokens[1].bytes()), 0);
    }
}

INSTANTIATE_TEST_SUITE_P(
    Shapes, PatchProducts,
    ::testing::Values(PatchCase{"Station", 2, 2, 1, 71, 9, 16, 64}, PatchCase{"TwoSamples", 2, 2, 2, 5, 3, 7, 32},
                      PatchCase{"BothPoles", 4, 5, 2, 3, 5, 6, 48}, PatchCase{"OddPatches", 3, 3, 1, 4, 3, 5, 32},
                      PatchCase{"SinglePixels", 1, 1, 1, 6, 5, 9, 16}, PatchCase{"NarrowTokens", 2, 2, 1, 3, 4, 5, 24}),
    [](const auto& found) { return found.param.name; });

TEST(Rasters, GetWhatTheirRowsAndColumnsHave) {
  Operands operands(kF32);
  const Tensor rows = operands.add({3, 20}, "rows"), columns = operands.add({4, 20}, "columns"),
               before = operands.add({24, 20}, "tokens");
  ReferenceBackend reference;
  CpuBackend one(1), five(5, 0);
  std::vector<Tensor> found;
  for (Backend* backend : std::initializer_list<Backend*>{&reference, &one, &five}) {
    found.push_back(operands.zeros({24, 20}));
    run_planned(*backend, kF32, [&](Context& ctx) {
      ctx->copy(ctx, before, found.back());
      ctx->add_raster(ctx, rows, columns, found.back());
    });
    EXPECT_EQ(std::memcmp(found[0].data, found.back().data, found[0].bytes()), 0);
  }
  for (std::int64_t i = 0; i < 24; ++i)
    for (std::int64_t d = 0; d < 20; ++d)
      EXPECT_NEAR(get(found[0], i * 20 + d),
                  get(before, i * 20 + d) + get(rows, i / 4 % 3 * 20 + d) + get(columns, i % 4 * 20 + d), 1e-6);
}

TEST(Positions, AreSumsOverRowsAndColumns) {
  for (const Grid& grid : {Grid::latlon(18, 36, false), Grid::regional(60, 31, 30, 350, 39, 50)}) {
    const TokenGrid tokens(grid, 2);
    for (const int lift : {1, 3}) {
      const parallel::Range rows{2, 7};
      const std::vector<double> whole = tokens.position_features(rows, lift);
      const TokenGrid::SplitFeatures split = tokens.split_features(rows, lift);
      const auto columns = static_cast<std::size_t>(tokens.patches.token_columns);
      constexpr std::size_t count = TokenGrid::feature_count;
      ASSERT_EQ(whole.size(), rows.size() * columns * count);
      for (std::size_t i = 0; i < whole.size(); ++i) {
        const double of_row = split.rows[i / count / columns * count + i % count],
                     of_column = split.columns[i / count % columns * count + i % count];
        ASSERT_EQ(whole[i], of_row + of_column);
        ASSERT_TRUE(of_row == 0 || of_column == 0);
      }
    }
  }
}

}  // namespace
}  // namespace zonda::model::testing
