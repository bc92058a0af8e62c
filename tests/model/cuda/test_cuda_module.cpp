// The CUDA module as the program meets it, and what the backend's memory and arguments answer.
#include <dlfcn.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "core/error.hpp"
#include "emulated_backend.hpp"
#include "model/ops/cuda/cuda_memory.hpp"
#include "model/ops/cuda/device_query.hpp"
#include "model/ops/cuda/module.hpp"
#include "operation_bench.hpp"

namespace zonda::model::testing {
namespace {

std::string message_of(const std::function<void()>& action, ErrorKind kind) {
  try {
    action();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), kind) << error.what();
    return error.what();
  }
  return "no error";
}

TEST(CudaModule, DevicesAreNumberedFromZero) {
  EXPECT_EQ(cuda::device_number("cuda"), 0);
  EXPECT_EQ(cuda::device_number("cuda:3"), 3);
  for (const char* other : {"cpu", "cuda:", "cuda:x", "cuda:-1", "cuda:1x", "cudax"})
    EXPECT_EQ(cuda::device_number(other), -1) << other;
}

TEST(CudaModule, WithoutADeviceTheErrorSaysSo) {
  if (!cuda_devices().empty()) GTEST_SKIP() << "there is a CUDA device";
  const std::string message = message_of([] { make_backend("cuda"); }, ErrorKind::usage);
  EXPECT_NE(message.find("'cpu'"), std::string::npos) << message;
}

TEST(CudaModule, ADeviceThatIsNotThereIsNamed) {
  const std::string message = message_of([] { make_backend("cuda:4711"); }, ErrorKind::usage);
  EXPECT_NE(message.find(cuda_devices().empty() ? "CUDA" : "cuda:4711"), std::string::npos) << message;
}

#ifdef ZONDA_WITH_CUDA
TEST(CudaModule, OpensWithoutADriver) {
  const std::filesystem::path path = std::filesystem::read_symlink("/proc/self/exe").parent_path() / "zonda_cuda.so";
  ASSERT_TRUE(std::filesystem::exists(path)) << path;
  void* module = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  ASSERT_NE(module, nullptr) << dlerror();
  const auto entry = reinterpret_cast<cuda::EntryPoint>(dlsym(module, "zonda_cuda_backend"));
  ASSERT_NE(entry, nullptr) << dlerror();
  EXPECT_EQ(dlsym(module, "_ZN5zonda5model4cuda5checkE9cudaErrorPKc"), nullptr);  // shows its entry point alone
  if (!cuda_devices().empty()) return;
  // The module's exceptions are the program's.
  const std::string message = message_of([&] { delete entry(0); }, ErrorKind::failure);
  EXPECT_NE(message.find("CUDA"), std::string::npos) << message;
}
#endif

TEST(CudaMemory, BytesGoInAndOutInPieces) {
  const auto backend = emulated_cuda_backend();
  Memory& memory = backend->memory();
  EXPECT_EQ(memory.device(), Device::cuda);
  std::vector<std::uint32_t> numbers(std::size_t{3} << 20), back(numbers.size());  // 12 MiB: three pieces
  for (std::size_t i = 0; i < numbers.size(); ++i) numbers[i] = static_cast<std::uint32_t>(i * 2654435761u);
  const std::size_t bytes = numbers.size() * sizeof(std::uint32_t) - 4;
  const Buffer a(bytes + 4, memory), b(bytes + 4, memory);
  memory.copy_in(a.data(), numbers.data(), bytes);
  memory.copy(b.data(), a.data(), bytes + 4);
  memory.copy_out(back.data(), b.data(), bytes + 4);
  numbers.back() = 0;  // not copied: memory begins cleared
  EXPECT_EQ(numbers, back);
  memory.fill_bytes(b.data(), 0x5a, bytes);
  memory.copy_out(back.data(), b.data(), bytes);
  EXPECT_EQ(back[123456], 0x5a5a5a5au);
}

TEST(CudaMemory, ShortMemoryIsNamedWithItsSize) {
  const auto backend = emulated_cuda_backend();
  const std::string message = message_of([&] { Buffer(std::size_t{2} << 40, backend->memory()); }, ErrorKind::failure);
  EXPECT_NE(message.find("2097152.0 MiB"), std::string::npos) << message;
  EXPECT_NE(message.find("device 0"), std::string::npos) << message;
}

TEST(CudaBackend, RefusesF64) {
  const auto backend = emulated_cuda_backend();
  Operands operands(DType::f64, backend->memory());
  const Tensor x = operands.zeros({4}), y = operands.zeros({4});
  const std::string message =
      message_of([&] { run_planned(*backend, kF64, [&](Context& ctx) { ctx->gelu(ctx, x, y); }); }, ErrorKind::usage);
  EXPECT_NE(message.find("not f64"), std::string::npos) << message;
}

}  // namespace
}  // namespace zonda::model::testing
