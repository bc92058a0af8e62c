// The CUDA backend over the table of operations: on the emulated device everywhere, on a real one where there is one.
#include <gtest/gtest.h>

#include "cuda_runtime.h"
#include "emulated_backend.hpp"
#include "model/ops/cuda/device_query.hpp"
#include "model/ops/reference/reference_backend.hpp"
#include "operation_table.hpp"

namespace zonda::model::testing {
namespace {

std::vector<Operation> all_operations() {
  std::vector<Operation> table = operations();
  // In bf16 on the tensor cores: several tiles, every size of head and some between.
  table.push_back(attention_case({70, 33, 64, 1, 17}, 1, 1, 64));
  table.push_back(attention_case({17, 34}, 1, 1, 20));
  table.push_back(attention_case({20, 21}, 1, 2, 96));
  table.push_back(attention_case({18, 5}, 1, 1, 104));
  table.push_back(attention_case({40, 71}, 1, 1, 192));
  // Rows over several blocks, gathered before.
  table.push_back(attention_case({171, 1}, 1, 1, 64));
  table.push_back(attention_case({131, 3}, 2, 1, 136));
  table.push_back(attention_case({101}, 1, 1, 16));  // one long sequence: a library's
  table.push_back(norm_case(NormKind::rms, 40, 1536, 2));
  table.push_back(norm_case(NormKind::layer, 5, 4100, 1));
  table.push_back(gated_case(40, 1536, 2));
  table.push_back(convolution_case(true, 1, 17, 2, 9, 33));
  table.push_back(convolution_case(false, 1, 2, 17, 9, 33));
  return table;
}

double bound(const Tensor& exact, const Tensor& found, double tolerance) {
  return 1.5 * rounding(exact, found.dtype) + tolerance;
}

void compare(const Operation& op, Backend& backend) {
  ReferenceBackend reference;
  const auto truth = run(op, reference, kF64);
  std::vector<std::pair<Precision, double>> precisions{{kF32, op.f32_tolerance}};
  if (op.mixed) precisions.emplace_back(kMixed, op.mixed_tolerance);
  for (const auto& [precision, tolerance] : precisions) {
    const auto result = run(op, backend, precision);
    EXPECT_LE(difference(result->output, truth->output), bound(truth->output, result->output, tolerance))
        << precision.name();
    for (std::size_t i = 0; i < result->gradients.size(); ++i)
      EXPECT_LE(difference(result->gradients[i], truth->gradients[i]),
                bound(truth->gradients[i], result->gradients[i], tolerance))
          << precision.name() << ", gradient " << i;
  }
}

class CudaOperations : public ::testing::TestWithParam<Operation> {};

TEST_P(CudaOperations, AgreeWithTheReferenceEmulated) {
  compare(GetParam(), *emulated_cuda_backend());
}

TEST_P(CudaOperations, DoNotDependOnTheOrderOfThreads) {
  const auto backend = emulated_cuda_backend();
  const Operation& op = GetParam();
  std::vector<Precision> precisions{kF32};
  if (op.mixed) precisions.push_back(kMixed);
  for (const Precision& precision : precisions) {
    const auto forwards = run(op, *backend, precision);
    emulator::reverse_turns(true);
    const auto backwards = run(op, *backend, precision);
    emulator::reverse_turns(false);
    EXPECT_EQ(std::memcmp(forwards->output.data, backwards->output.data, forwards->output.bytes()), 0);
    for (std::size_t i = 0; i < forwards->gradients.size(); ++i)
      EXPECT_EQ(std::memcmp(forwards->gradients[i].data, backwards->gradients[i].data, forwards->gradients[i].bytes()),
                0)
          << "gradient " << i;
  }
}

TEST(CudaDevice, AgreesWithTheReferenceOnAllOperations) {
  if (cuda_devices().empty()) GTEST_SKIP() << "no CUDA device";
  const auto device = make_backend("cuda");
  for (const Operation& op : all_operations()) {
    SCOPED_TRACE(op.name);
    compare(op, *device);
  }
}

INSTANTIATE_TEST_SUITE_P(All, CudaOperations, ::testing::ValuesIn(all_operations()),
                         [](const auto& each) { return each.param.name; });

}  // namespace
}  // namespace zonda::model::testing
