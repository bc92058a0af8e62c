#include "model/ops/cuda/cuda_memory.hpp"

#include <algorithm>
#include <cstring>

#include "core/error.hpp"

namespace zonda::model::cuda {

void check(cudaError_t status, const char* what) {
  if (status == cudaSuccess) return;
  (void)cudaGetLastError();
  fail(ErrorKind::failure, "CUDA: {}: {}", what, cudaGetErrorString(status));
}

CudaMemory::CudaMemory(int device) : number_(device) {
  check(cudaSetDevice(device), "choosing the device");
  check(cudaStreamCreateWithFlags(&stream_, cudaStreamNonBlocking), "making a stream");
  for (Stage& stage : stages_) {
    check(cudaHostAlloc(&stage.data, stage_bytes, cudaHostAllocDefault), "pinning memory for transfers");
    check(cudaEventCreateWithFlags(&stage.done, cudaEventDisableTiming), "making an event");
  }
}

CudaMemory::~CudaMemory() {
  (void)cudaSetDevice(number_);
  (void)cudaStreamSynchronize(stream_);
  for (Stage& stage : stages_) {
    (void)cudaEventDestroy(stage.done);
    (void)cudaFreeHost(stage.data);
  }
  (void)cudaStreamDestroy(stream_);
}

Stream CudaMemory::stream() const {
  check(cudaSetDevice(number_), "choosing the device");
  return stream_;
}

void CudaMemory::synchronise() const {
  check(cudaStreamSynchronize(stream()), "waiting for the device");
}

void* CudaMemory::allocate(std::size_t bytes) {
  const Stream on = stream();
  void* data = nullptr;
  if (const cudaError_t status = cudaMalloc(&data, bytes); status != cudaSuccess) {
    (void)cudaGetLastError();
    std::size_t free = 0, total = 0;
    (void)cudaMemGetInfo(&free, &total);
    fail(ErrorKind::failure, "cannot allocate {:.1f} MiB on CUDA device {}, {:.1f} of {:.1f} MiB are free: {}",
         static_cast<double>(bytes) / 1048576.0, number_, static_cast<double>(free) / 1048576.0,
         static_cast<double>(total) / 1048576.0, cudaGetErrorString(status));
  }
  check(cudaMemsetAsync(data, 0, bytes, on), "clearing memory");
  return data;
}

void CudaMemory::release(void* data, std::size_t) noexcept {
  (void)cudaSetDevice(number_);
  (void)cudaStreamSynchronize(stream_);
  (void)cudaFree(data);
}

void CudaMemory::fill_bytes(void* data, int byte, std::size_t bytes) {
  check(cudaMemsetAsync(data, byte, bytes, stream()), "filling memory");
}

void CudaMemory::copy(void* to, const void* from, std::size_t bytes) {
  check(cudaMemcpyAsync(to, from, bytes, cudaMemcpyDeviceToDevice, stream()), "copying within the device");
}

void CudaMemory::copy_in(void* to, const void* host, std::size_t bytes) {
  const Stream on = stream();
  for (std::size_t at = 0, turn = 0; at < bytes; at += stage_bytes, ++turn) {
    Stage& stage = stages_[turn % stages_.size()];
    const std::size_t n = std::min(stage_bytes, bytes - at);
    check(cudaEventSynchronize(stage.done), "waiting for a transfer");
    std::memcpy(stage.data, static_cast<const std::byte*>(host) + at, n);
    check(cudaMemcpyAsync(static_cast<std::byte*>(to) + at, stage.data, n, cudaMemcpyHostToDevice, on),
          "copying to the device");
    check(cudaEventRecord(stage.done, on), "marking a transfer");
  }
}

void CudaMemory::copy_out(void* host, const void* from, std::size_t bytes) {
  const Stream on = stream();
  const auto fetch = [&](std::size_t at) {
    Stage& stage = stages_[at / stage_bytes % stages_.size()];
    check(cudaMemcpyAsync(stage.data, static_cast<const std::byte*>(from) + at, std::min(stage_bytes, bytes - at),
                          cudaMemcpyDeviceToHost, on),
          "copying from the device");
    check(cudaEventRecord(stage.done, on), "marking a transfer");
  };
  if (bytes > 0) fetch(0);
  for (std::size_t at = 0; at < bytes; at += stage_bytes) {
    if (at + stage_bytes < bytes) fetch(at + stage_bytes);
    const Stage& stage = stages_[at / stage_bytes % stages_.size()];
    check(cudaEventSynchronize(stage.done), "waiting for a transfer");
    std::memcpy(static_cast<std::byte*>(host) + at, stage.data, std::min(stage_bytes, bytes - at));
  }
}

}  // namespace zonda::model::cuda
