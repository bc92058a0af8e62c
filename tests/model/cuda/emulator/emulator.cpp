#include <setjmp.h>
#include <ucontext.h>

#include <algorithm>
#include <bit>
#include <cstdlib>
#include <memory>
#include <stdexcept>
#include <vector>

#include "cuda_runtime.h"

constinit thread_local dim3 threadIdx, blockIdx, blockDim, gridDim;

namespace emulator {

namespace {

constexpr int kWarp = 32;
enum class State { ready, at_warp, at_block, done };

/// One thread of a block. Lives on from block to block: after its work it waits for the next.
struct Fiber {
  static constexpr std::size_t stack_bytes = 128 << 10;
  std::unique_ptr<std::byte[]> stack;
  ucontext_t context;
  jmp_buf place;
  State state = State::done;
  dim3 index;
  bool started = false;
};

struct Machine {
  std::vector<std::unique_ptr<Fiber>> fibers;
  ucontext_t scheduler;
  jmp_buf scheduler_place;
  Fiber* running = nullptr;
  int thread = 0, threads = 0;
  const std::function<void()>* work = nullptr;
  std::vector<std::max_align_t> shared;
  std::vector<std::byte> slots;
  bool reversed = false, capturing = false, invalidated = false, refusing = false;
  std::vector<std::function<void()>> captured;
  std::int64_t blocks = 0, graphs = 0;
};

/// Each thread of the host has a device of its own.
Machine& machine() {
  static thread_local Machine m;
  return m;
}

/// Back to the scheduler; returns when this fiber is resumed.
void leave(State state) {
  Machine& m = machine();
  Fiber& self = *m.running;
  self.state = state;
  if (_setjmp(self.place) == 0) _longjmp(m.scheduler_place, 1);
}

void live() {
  for (;;) {
    (*machine().work)();
    leave(State::done);
  }
}

void resume(int thread) {
  Machine& m = machine();
  Fiber& fiber = *m.fibers[static_cast<std::size_t>(thread)];
  m.running = &fiber;
  m.thread = thread;
  threadIdx = fiber.index;
  if (_setjmp(m.scheduler_place) != 0) return;
  if (fiber.started) _longjmp(fiber.place, 1);
  fiber.started = true;
  getcontext(&fiber.context);
  fiber.context.uc_stack.ss_sp = fiber.stack.get();
  fiber.context.uc_stack.ss_size = Fiber::stack_bytes;
  fiber.context.uc_link = &m.scheduler;
  makecontext(&fiber.context, live, 0);
  setcontext(&fiber.context);
}

int turn(int i, int n) {
  return machine().reversed ? n - 1 - i : i;
}

/// Runs the lanes of a warp until each waits for the block or is done.
void run_warp(int warp) {
  Machine& m = machine();
  const int first = warp * kWarp, lanes = std::min(kWarp, m.threads - first);
  for (;;) {
    int waiting = 0;
    for (int i = 0; i < lanes; ++i) {
      const int thread = first + turn(i, lanes);
      State& state = m.fibers[static_cast<std::size_t>(thread)]->state;
      if (state == State::ready) resume(thread);
      waiting += state == State::at_warp;
    }
    if (waiting == 0) return;
    if (waiting != lanes) throw std::logic_error("a shuffle or warp barrier that not all lanes of the warp reach");
    for (int i = 0; i < lanes; ++i) m.fibers[static_cast<std::size_t>(first + i)]->state = State::ready;
  }
}

void run_block(dim3 block) {
  Machine& m = machine();
  int thread = 0;
  for (unsigned z = 0; z < block.z; ++z)
    for (unsigned y = 0; y < block.y; ++y)
      for (unsigned x = 0; x < block.x; ++x, ++thread) {
        Fiber& fiber = *m.fibers[static_cast<std::size_t>(thread)];
        fiber.index = dim3(x, y, z);
        fiber.state = State::ready;
      }
  std::memset(m.shared.data(), 0xff, m.shared.size() * sizeof(std::max_align_t));  // NaN to whoever reads it unwritten
  const int warps = (m.threads + kWarp - 1) / kWarp;
  for (;;) {
    for (int w = 0; w < warps; ++w) run_warp(turn(w, warps));
    int waiting = 0, done = 0;
    for (int i = 0; i < m.threads; ++i) {
      const State state = m.fibers[static_cast<std::size_t>(i)]->state;
      waiting += state == State::at_block;
      done += state == State::done;
    }
    if (done == m.threads) break;
    if (waiting != m.threads) throw std::logic_error("a barrier that not all threads of the block reach");
    for (int i = 0; i < m.threads; ++i) m.fibers[static_cast<std::size_t>(i)]->state = State::ready;
  }
  ++m.blocks;
}

void run_grid(dim3 grid, dim3 block, std::size_t shared, const std::function<void()>& thread) {
  Machine& m = machine();
  m.threads = static_cast<int>(block.x * block.y * block.z);
  while (m.fibers.size() < static_cast<std::size_t>(m.threads)) {
    m.fibers.push_back(std::make_unique<Fiber>());
    m.fibers.back()->stack = std::make_unique<std::byte[]>(Fiber::stack_bytes);
  }
  m.shared.resize(shared / sizeof(std::max_align_t) + 1);
  m.slots.resize(static_cast<std::size_t>(m.threads + kWarp) * exchange_bytes);
  m.work = &thread;
  gridDim = grid;
  blockDim = block;
  try {
    for (unsigned z = 0; z < grid.z; ++z)
      for (unsigned y = 0; y < grid.y; ++y)
        for (unsigned x = 0; x < grid.x; ++x) {
          blockIdx = dim3(x, y, z);
          run_block(block);
        }
  } catch (...) {
    m.fibers.clear();  // some stand in the middle of a kernel
    throw;
  }
}

}  // namespace

void run(dim3 grid, dim3 block, std::size_t shared, std::function<void()> thread) {
  enqueue([=] { run_grid(grid, block, shared, thread); });
}

void enqueue(std::function<void()> work) {
  if (machine().capturing)
    machine().captured.push_back(std::move(work));
  else
    work();
}

void reverse_turns(bool reversed) {
  machine().reversed = reversed;
}
std::int64_t blocks_run() {
  return machine().blocks;
}
void refuse_captures(bool refuse) {
  machine().refusing = refuse;
}
std::int64_t graphs_launched() {
  return machine().graphs;
}
void block_barrier() {
  leave(State::at_block);
}
void warp_barrier() {
  leave(State::at_warp);
}
void* dynamic_shared() {
  return machine().shared.data();
}
int lane() {
  return machine().thread % kWarp;
}
void* slot(int of_lane) {
  Machine& m = machine();
  return m.slots.data() + static_cast<std::size_t>(m.thread / kWarp * kWarp + of_lane) * exchange_bytes;
}

void multiply_add_tiles(float (&c)[4], const std::uint32_t (&a)[4], const std::uint32_t (&b)[2]) {
  struct Operands {
    std::uint32_t a[4], b[2];
  };
  auto of = [](int l) { return static_cast<Operands*>(slot(l)); };
  Operands& mine = *of(lane());
  std::memcpy(mine.a, a, sizeof(a));
  std::memcpy(mine.b, b, sizeof(b));
  warp_barrier();
  const auto number = [](std::uint32_t pair, int which) {
    return std::bit_cast<float>(which ? pair & 0xffff0000u : pair << 16);
  };
  // Element (row, k) of A and (k, column) of B, asked of the lane that holds it.
  const auto a_at = [&](int row, int k) { return number(of(row % 8 * 4 + k % 8 / 2)->a[row / 8 + k / 8 * 2], k % 2); };
  const auto b_at = [&](int k, int column) { return number(of(column * 4 + k % 8 / 2)->b[k / 8], k % 2); };
  for (int e = 0; e < 4; ++e) {
    const int row = lane() / 4 + e / 2 * 8, column = 2 * (lane() % 4) + e % 2;
    for (int k = 0; k < 16; ++k) c[e] += a_at(row, k) * b_at(k, column);
  }
  warp_barrier();
}

}  // namespace emulator

// --- the runtime

namespace {
int something;  // what streams and events point to

/// What a stream that is being captured does not allow, and what ends its capture.
cudaError_t outside_captures() {
  emulator::Machine& m = emulator::machine();
  m.invalidated = m.invalidated || m.capturing;
  return m.capturing ? cudaErrorStreamCaptureUnsupported : cudaSuccess;
}
}  // namespace

const char* cudaGetErrorString(cudaError_t status) {
  return status == cudaErrorMemoryAllocation ? "out of memory" : status == cudaSuccess ? "no error" : "invalid value";
}
cudaError_t cudaGetLastError() {
  return cudaSuccess;
}
cudaError_t cudaSetDevice(int) {
  return cudaSuccess;
}
cudaError_t cudaMalloc(void** data, std::size_t bytes) {
  if (outside_captures() != cudaSuccess) return cudaErrorStreamCaptureUnsupported;
  if (bytes > std::size_t{1} << 40) return cudaErrorMemoryAllocation;
  *data = std::aligned_alloc(256, (bytes + 255) / 256 * 256);
  return *data ? cudaSuccess : cudaErrorMemoryAllocation;
}
cudaError_t cudaFree(void* data) {
  (void)outside_captures();
  std::free(data);
  return cudaSuccess;
}
cudaError_t cudaHostAlloc(void** data, std::size_t bytes, unsigned) {
  return cudaMalloc(data, bytes);
}
cudaError_t cudaFreeHost(void* data) {
  return cudaFree(data);
}
cudaError_t cudaMemGetInfo(std::size_t* free, std::size_t* total) {
  *free = *total = std::size_t{80} << 30;
  return cudaSuccess;
}
cudaError_t cudaMemcpyAsync(void* to, const void* from, std::size_t bytes, cudaMemcpyKind, cudaStream_t) {
  emulator::enqueue([=] { std::memmove(to, from, bytes); });
  return cudaSuccess;
}
cudaError_t cudaMemsetAsync(void* data, int byte, std::size_t bytes, cudaStream_t) {
  emulator::enqueue([=] { std::memset(data, byte, bytes); });
  return cudaSuccess;
}
cudaError_t cudaStreamCreateWithFlags(cudaStream_t* stream, unsigned) {
  *stream = &something;
  return cudaSuccess;
}
cudaError_t cudaStreamDestroy(cudaStream_t) {
  return cudaSuccess;
}
cudaError_t cudaStreamSynchronize(cudaStream_t) {
  return outside_captures();
}
cudaError_t cudaEventCreateWithFlags(cudaEvent_t* event, unsigned) {
  *event = &something;
  return cudaSuccess;
}
cudaError_t cudaEventDestroy(cudaEvent_t) {
  return cudaSuccess;
}
cudaError_t cudaEventRecord(cudaEvent_t, cudaStream_t) {
  return cudaSuccess;
}
cudaError_t cudaEventSynchronize(cudaEvent_t) {
  return outside_captures();
}
cudaError_t cudaStreamBeginCapture(cudaStream_t, cudaStreamCaptureMode) {
  emulator::machine().capturing = true;
  emulator::machine().invalidated = emulator::machine().refusing;
  return cudaSuccess;
}
cudaError_t cudaStreamEndCapture(cudaStream_t, cudaGraph_t* graph) {
  emulator::machine().capturing = false;
  if (emulator::machine().invalidated) {
    emulator::machine().captured.clear();
    *graph = nullptr;
    return cudaErrorStreamCaptureInvalidated;
  }
  *graph = new std::function<void()>([work = std::move(emulator::machine().captured)] {
    for (const auto& each : work) each();
  });
  emulator::machine().captured.clear();
  return cudaSuccess;
}
cudaError_t cudaGraphInstantiate(cudaGraphExec_t* executable, cudaGraph_t graph, unsigned long long) {
  *executable = new std::function<void()>(*graph);
  return cudaSuccess;
}
cudaError_t cudaGraphLaunch(cudaGraphExec_t executable, cudaStream_t) {
  ++emulator::machine().graphs;
  (*executable)();
  return cudaSuccess;
}
cudaError_t cudaGraphDestroy(cudaGraph_t graph) {
  delete graph;
  return cudaSuccess;
}
cudaError_t cudaGraphExecDestroy(cudaGraphExec_t executable) {
  delete executable;
  return cudaSuccess;
}
