// cuDNN says without a GPU whether it has an engine for the attention of a shape: asked about described devices.
#include <dlfcn.h>
#include <fmt/core.h>
#include <gtest/gtest.h>

#include "model/ops/cuda/cudnn_attention.hpp"

namespace zonda::model::cuda {
namespace {

struct Target {
  int compute, multiprocessors, shared_memory;
};

std::string described(const Target& target) {
  return fmt::format(
      R"({{"deviceName": "described", "deviceVer": {}, "driverVer": 13000, "cudaDeviceId": 0, "pciDeviceId": 0,)"
      R"( "maxGridSize": [2147483647, 65535, 65535], "maxBlockSize": [1024, 1024, 64], "regsPerBlock": 65536,)"
      R"( "multiProcessorCount": {}, "warpSize": 32, "maxSharedMemoryPerBlock": 49152,)"
      R"( "maxSharedMemoryPerBlockOptin": {}, "reservedSharedMemoryPerBlock": 1024, "maxRegistersPerSM": 65536,)"
      R"( "maxCtasPerSM": 32, "maxThreadsPerBlock": 1024, "maxThreadsPerSM": 2048, "isTccDriver": 0,)"
      R"( "supportCoopLaunch": 1, "totalGlobalMem": 85899345920, "smClockRateKHz": 1410000,)"
      R"( "memClockRateKHz": 1593000, "l2CacheSize": 41943040}})",
      target.compute, target.multiprocessors, target.shared_memory);
}

class CudnnSupportOn : public ::testing::TestWithParam<Target> {
 protected:
  void SetUp() override {
    if (!dlopen("libcudnn.so.9", RTLD_LAZY)) GTEST_SKIP() << "no cuDNN at run time";
    // It asks a driver that it finds by name: without one, the toolkit's stub, which has the name and no device.
    if (!dlopen("libcuda.so.1", RTLD_NOW | RTLD_GLOBAL) && !dlopen(ZONDA_CUDA_STUB, RTLD_NOW | RTLD_GLOBAL))
      GTEST_SKIP() << "neither a driver nor its stub: " << dlerror();
  }
};

TEST_P(CudnnSupportOn, LongSequencesHaveAnEngine) {
  for (const LongAttentionShape& shape : {LongAttentionShape{1, 8, 7200, 64}, LongAttentionShape{2, 12, 7200, 64},
                                          LongAttentionShape{1, 24, 28800, 64}, LongAttentionShape{1, 16, 7200, 128}}) {
    const CudnnSupport answer = cudnn_support(shape, false, described(GetParam()));
    EXPECT_TRUE(answer.supported) << shape.tokens << " tokens: " << answer.reason;
  }
}

TEST_P(CudnnSupportOn, TheirGradientsHaveAnEngine) {
  for (const LongAttentionShape& shape : {LongAttentionShape{1, 8, 7200, 64}, LongAttentionShape{2, 12, 4050, 64},
                                          LongAttentionShape{1, 7, 7200, 32}, LongAttentionShape{1, 16, 7200, 128}}) {
    const CudnnSupport answer = cudnn_support(shape, true, described(GetParam()));
    EXPECT_TRUE(answer.supported) << shape.tokens << " tokens: " << answer.reason;
  }
}

TEST_P(CudnnSupportOn, ARefusalGivesItsReason) {
  for (const bool backward : {false, true}) {
    const CudnnSupport answer = cudnn_support({1, 8, 7200, 7}, backward, described(GetParam()));
    EXPECT_FALSE(answer.supported);
    EXPECT_FALSE(answer.reason.empty());
  }
  const CudnnSupport beyond_memory = cudnn_support({1, 24, 28800, 64}, true, described(GetParam()));
  EXPECT_FALSE(beyond_memory.supported);
  EXPECT_NE(beyond_memory.reason.find("28800 tokens"), std::string::npos) << beyond_memory.reason;
}

INSTANTIATE_TEST_SUITE_P(Targets, CudnnSupportOn,
                         ::testing::Values(Target{800, 108, 166912}, Target{900, 132, 232448},
                                           Target{1000, 148, 232448}),
                         [](const auto& each) { return "sm_" + std::to_string(each.param.compute / 10); });

}  // namespace
}  // namespace zonda::model::cuda
