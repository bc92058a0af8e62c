#pragma once
// An emulation of the part of the CUDA runtime that model/ops/cuda uses: kernels compile as C++ and run on the host.
// The threads of a block are fibers of one thread that take turns at barriers and shuffles; blocks run one after the
// other. A barrier that some threads of a block do not reach, or a shuffle that some lanes of a warp do not reach, is
// an error. Device memory is host memory.
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>
#include <type_traits>

#define __global__
#define __device__
#define __host__
#define __forceinline__ inline
#define __shared__ static thread_local
#define __launch_bounds__(...)

struct dim3 {
  unsigned x, y, z;
  constexpr dim3(unsigned x_ = 1, unsigned y_ = 1, unsigned z_ = 1) : x(x_), y(y_), z(z_) {}
};
extern constinit thread_local dim3 threadIdx, blockIdx, blockDim, gridDim;

struct float4 {
  float x, y, z, w;
};

namespace emulator {

/// Runs the grid at once, or records it where the stream is being captured. Throws std::logic_error on a deadlock.
void run(dim3 grid, dim3 block, std::size_t shared, std::function<void()> thread);
/// Work of a library on the stream, in order with kernels.
void enqueue(std::function<void()> work);
/// Threads take turns from the last to the first instead: a result that changes shows a missing barrier.
void reverse_turns(bool reversed);
/// Blocks run so far; graphs launched so far.
std::int64_t blocks_run();
std::int64_t graphs_launched();
/// Streams refuse from now on to be captured: each capture ends as invalidated.
void refuse_captures(bool refuse);

void block_barrier();
void warp_barrier();
void* dynamic_shared();
constexpr std::size_t exchange_bytes = 64;
/// `lane`'s slot for exchanging a value within the present warp.
void* slot(int lane);
int lane();

template <class T>
T exchange(T value, int from) {
  static_assert(sizeof(T) <= exchange_bytes);
  std::memcpy(slot(lane()), &value, sizeof(T));
  warp_barrier();
  T other;
  std::memcpy(&other, slot(from), sizeof(T));
  warp_barrier();
  return other;
}

/// A warp's product mma.m16n8k16 of bf16 with f32 sums, fragments as the PTX ISA lays them out.
void multiply_add_tiles(float (&c)[4], const std::uint32_t (&a)[4], const std::uint32_t (&b)[2]);

}  // namespace emulator

inline void __syncthreads() {
  emulator::block_barrier();
}
inline void __syncwarp(unsigned = 0xffffffffu) {
  emulator::warp_barrier();
}
template <class T>
T __shfl_xor_sync(unsigned, T value, int mask) {
  return emulator::exchange(value, emulator::lane() ^ mask);
}
template <class T>
T __shfl_sync(unsigned, T value, int from) {
  return emulator::exchange(value, from & 31);
}

// Names that CUDA has at global scope.
template <class T>
constexpr T min(T a, std::type_identity_t<T> b) {
  return b < a ? b : a;
}
template <class T>
constexpr T max(T a, std::type_identity_t<T> b) {
  return a < b ? b : a;
}
inline float rsqrtf(float x) {
  return 1.0f / std::sqrt(x);
}
inline float __expf(float x) {
  return std::exp(x);
}

// --- the runtime
enum cudaError_t {
  cudaSuccess = 0,
  cudaErrorInvalidValue = 1,
  cudaErrorMemoryAllocation = 2,
  cudaErrorStreamCaptureUnsupported = 900,
  cudaErrorStreamCaptureInvalidated = 901
};
using cudaStream_t = int*;
using cudaEvent_t = int*;
using cudaGraph_t = std::function<void()>*;
using cudaGraphExec_t = std::function<void()>*;
enum cudaMemcpyKind { cudaMemcpyHostToDevice = 1, cudaMemcpyDeviceToHost = 2, cudaMemcpyDeviceToDevice = 3 };
enum cudaStreamCaptureMode { cudaStreamCaptureModeThreadLocal = 1 };
enum cudaFuncAttribute { cudaFuncAttributeMaxDynamicSharedMemorySize = 8 };
constexpr unsigned cudaStreamNonBlocking = 1, cudaEventDisableTiming = 2, cudaHostAllocDefault = 0;

const char* cudaGetErrorString(cudaError_t);
cudaError_t cudaGetLastError();
cudaError_t cudaSetDevice(int device);
cudaError_t cudaMalloc(void** data, std::size_t bytes);
cudaError_t cudaFree(void* data);
cudaError_t cudaHostAlloc(void** data, std::size_t bytes, unsigned flags);
cudaError_t cudaFreeHost(void* data);
cudaError_t cudaMemGetInfo(std::size_t* free, std::size_t* total);
cudaError_t cudaMemcpyAsync(void* to, const void* from, std::size_t bytes, cudaMemcpyKind, cudaStream_t);
cudaError_t cudaMemsetAsync(void* data, int byte, std::size_t bytes, cudaStream_t);
cudaError_t cudaStreamCreateWithFlags(cudaStream_t*, unsigned flags);
cudaError_t cudaStreamDestroy(cudaStream_t);
cudaError_t cudaStreamSynchronize(cudaStream_t);
cudaError_t cudaEventCreateWithFlags(cudaEvent_t*, unsigned flags);
cudaError_t cudaEventDestroy(cudaEvent_t);
cudaError_t cudaEventRecord(cudaEvent_t, cudaStream_t);
cudaError_t cudaEventSynchronize(cudaEvent_t);
cudaError_t cudaStreamBeginCapture(cudaStream_t, cudaStreamCaptureMode);
cudaError_t cudaStreamEndCapture(cudaStream_t, cudaGraph_t*);
cudaError_t cudaGraphInstantiate(cudaGraphExec_t*, cudaGraph_t, unsigned long long flags);
cudaError_t cudaGraphLaunch(cudaGraphExec_t, cudaStream_t);
cudaError_t cudaGraphDestroy(cudaGraph_t);
cudaError_t cudaGraphExecDestroy(cudaGraphExec_t);

struct cudaLaunchConfig_t {
  dim3 gridDim, blockDim;
  std::size_t dynamicSmemBytes = 0;
  cudaStream_t stream = nullptr;
};
template <class Kernel>
cudaError_t cudaFuncSetAttribute(Kernel*, cudaFuncAttribute, int bytes) {
  return bytes <= 160 << 10 ? cudaSuccess : cudaErrorInvalidValue;
}
template <class... Parameters, class... Arguments>
cudaError_t cudaLaunchKernelEx(const cudaLaunchConfig_t* config, void (*kernel)(Parameters...),
                               Arguments... arguments) {
  const dim3 &g = config->gridDim, &b = config->blockDim;
  if (g.x == 0 || g.y == 0 || g.z == 0 || g.y > 65535 || g.z > 65535 || b.x * b.y * b.z == 0 || b.x * b.y * b.z > 1024)
    return cudaErrorInvalidValue;
  emulator::run(g, b, config->dynamicSmemBytes, [=] { kernel(arguments...); });
  return cudaSuccess;
}
