#pragma once
// A device's memory: plain allocations, one stream that all work of a backend goes through, pinned staging for the
// host's bytes.
#include <array>
#include <string>

#include "model/ops/cuda/launch.hpp"
#include "model/tensor/memory.hpp"

namespace zonda::model::cuda {

class CudaMemory final : public Memory {
 public:
  explicit CudaMemory(int device);
  ~CudaMemory() override;
  CudaMemory(const CudaMemory&) = delete;
  CudaMemory& operator=(const CudaMemory&) = delete;

  Device device() const override { return Device::cuda; }
  void* allocate(std::size_t bytes) override;
  void release(void* data, std::size_t bytes) noexcept override;
  void fill_bytes(void* data, int byte, std::size_t bytes) override;
  void copy(void* to, const void* from, std::size_t bytes) override;
  /// Returns when `host` may be written again; the bytes may still be on their way.
  void copy_in(void* to, const void* host, std::size_t bytes) override;
  void copy_out(void* host, const void* from, std::size_t bytes) override;

  /// The stream, with its device made the calling thread's.
  Stream stream() const;
  void synchronise() const;
  int number() const { return number_; }

 private:
  /// One of two pinned pieces: while one travels the host fills or reads the other.
  struct Stage {
    void* data = nullptr;
    cudaEvent_t done{};
  };
  static constexpr std::size_t stage_bytes = std::size_t{4} << 20;
  int number_;
  Stream stream_{};
  std::array<Stage, 2> stages_;
};

}  // namespace zonda::model::cuda
