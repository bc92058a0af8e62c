// A block's branch in int8 in one operation: the numbers of the operations that it is made of, the same on any number
// of threads.
#include <gtest/gtest.h>

#include <cstring>
#include <string>
#include <vector>

#include "model/ops/cpu/cpu_backend.hpp"
#include "operation_table.hpp"

namespace zonda::model::testing {
namespace {

struct BranchCase {
  std::string name;
  std::int64_t rows, groups, width, hidden;  ///< hidden 0: one layer
  bool norm, gated;
};

class Int8Branches : public ::testing::TestWithParam<BranchCase> {};

TEST_P(Int8Branches, AgreeWithTheirOperationsOneByOne) {
  const BranchCase& c = GetParam();
  Operands operands(kF32);
  ReferenceBackend reference;
  CpuBackend one(1), five(5, 0);
  const auto layer = [&](const std::string& name, std::int64_t k, std::int64_t n) {
    const Tensor w = operands.add({k, n}, name, 1, 0.0, true), numbers = operands.zeros({k, n}, DType::i8),
                 scales = operands.zeros({n}, DType::f32);
    run_planned(reference, kF32, [&](Context& ctx) { ctx->quantise_columns(ctx, w, numbers, scales); });
    return Int8Layer{numbers, scales, operands.add({n}, name + ".bias")};
  };
  const std::int64_t out = c.hidden > 0 || c.gated ? c.width : 3 * c.width;
  const Tensor x = operands.add({c.rows, c.width}, "x", 2, 0.3, true),
               rows = operands.add({c.groups, 6 * c.width}, "g");
  Backend::Int8Branch branch{.first = layer("first", c.width, c.hidden > 0 ? c.hidden : out)};
  if (c.norm) branch.norm = {rows, c.width, 0};
  if (c.hidden > 0) branch.second = layer("second", c.hidden, c.width);
  if (c.gated) branch.onto = operands.add({c.rows, c.width}, "onto"), branch.gates = rows, branch.gate = 2 * c.width;
  std::vector<Tensor> results;
  for (Backend* backend : std::initializer_list<Backend*>{&reference, &one, &five}) {
    results.push_back(operands.zeros({c.rows, out}));
    run_planned(*backend, kF32, [&](Context& ctx) { ctx->branch_int8(ctx, x, branch, results.back()); });
  }
  double square = 0, off = 0, largest = 0, most = 0;
  for (std::int64_t i = 0; i < results[0].count(); ++i) {
    const double truth = get(results[0], i), error = std::abs(get(results[1], i) - truth);
    square += truth * truth;
    off += error * error;
    largest = std::max(largest, std::abs(truth));
    most = std::max(most, error);
  }
  // One layer: the same integers but for what lies on the edge between two. Behind GELU (1.1e-4) a few numbers more
  // are rounded to their neighbour.
  EXPECT_LE(std::sqrt(off / square), c.hidden > 0 ? 2e-3 : 2e-4);
  EXPECT_LE(most, 0.02 * largest);
  EXPECT_GT(square, 0);
  EXPECT_EQ(std::memcmp(results[1].data, results[2].data, results[1].bytes()), 0);
}

INSTANTIATE_TEST_SUITE_P(Shapes, Int8Branches,
                         ::testing::Values(BranchCase{"Queries", 100, 1, 64, 0, true, false},
                                           BranchCase{"Projection", 100, 2, 64, 0, false, true},
                                           BranchCase{"Mlp", 144, 1, 64, 256, true, true},
                                           BranchCase{"MlpOfTwoSamples", 98, 2, 72, 200, true, true},
                                           BranchCase{"FewRows", 3, 1, 24, 96, true, true}),
                         [](const auto& found) { return found.param.name; });

}  // namespace
}  // namespace zonda::model::testing
