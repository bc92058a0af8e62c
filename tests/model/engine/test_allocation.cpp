// The arena's promise: a step allocates nothing.
#include <gtest/gtest.h>
#include <malloc.h>

#include <atomic>
#include <cstdlib>
#include <new>

#include "model/ops/optimiser.hpp"
#include "network_sample.hpp"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define ZONDA_HEAP_IS_WATCHED 1
#endif

namespace {
std::atomic<long> allocations{0};
}

#ifndef ZONDA_HEAP_IS_WATCHED
// Counts what goes through operator new anywhere in this program, oneDNN included.
void* operator new(std::size_t bytes) {
  ++allocations;
  if (void* memory = std::malloc(bytes ? bytes : 1)) return memory;
  throw std::bad_alloc();
}
void operator delete(void* memory) noexcept {
  std::free(memory);
}
void operator delete(void* memory, std::size_t) noexcept {
  std::free(memory);
}
#endif

namespace zonda::model::testing {
namespace {

TEST(Allocation, AStepTakesNothingFromTheHeap) {
#ifdef ZONDA_HEAP_IS_WATCHED
  GTEST_SKIP() << "a sanitiser keeps its own heap";
#endif
  struct Case {
    const char *name, *precision;
  };
  for (const auto& [name, precision] : {Case{"cpu", "fp32"}, Case{"cpu", "bf16"}, Case{"reference", "fp32"}}) {
    const bool fast = std::string(name) == "cpu";
    NetworkConfig config = fast ? NetworkConfig{} : smallest_network();
    config.precision = precision;
    Sample s(config, fast ? Grid::gaussian(32, 64) : Grid::gaussian(8, 12), 2, fast ? DType::f32 : DType::f64,
             Use::training, make_backend(name));
    s.network.initialise(1);
    s.network.parameters().zero_gradients();
    s.network.parameters().allocate_optimiser(true);
    const auto step = [&] {
      s.network.forward(s.x, s.condition, s.y);
      s.network.backward(s.w, s.dx);
    };
    const auto heap_bytes = [] { return mallinfo2().uordblks + mallinfo2().hblkhd; };
    step();  // oneDNN makes its kernels, OpenMP its threads
    const long before = allocations;
    // A thread's first piece of work makes its thread-local storage, whenever that comes: the heap settles and then
    // stays.
    std::size_t heap = 0;
    int unchanged = 0;
    for (int i = 0; i < 60 && unchanged < 8; ++i) {
      step();
      unchanged = heap_bytes() == heap ? unchanged + 1 : 0;
      heap = heap_bytes();
    }
    EXPECT_EQ(unchanged, 8) << name << ", " << precision << ": the heap goes on changing";
    if (fast) {
      EXPECT_EQ(allocations - before, 0) << precision;
    }
  }
}

}  // namespace
}  // namespace zonda::model::testing
