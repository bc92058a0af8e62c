#pragma once
// Buffer: one owned piece of memory.
#include <cstddef>
#include <span>

#include "model/tensor/memory.hpp"

namespace zonda::model {

class Buffer {
 public:
  Buffer() = default;
  /// Zero-filled. `memory` outlives the buffer. Throws Error(failure) naming the size when memory is short.
  explicit Buffer(std::size_t bytes, Memory& memory = host_memory());
  Buffer(Buffer&& other) noexcept;
  Buffer& operator=(Buffer&& other) noexcept;
  Buffer(const Buffer&) = delete;
  Buffer& operator=(const Buffer&) = delete;
  ~Buffer();
  void* data() const { return data_; }
  std::size_t bytes() const { return bytes_; }
  Device device() const { return memory_->device(); }
  Memory& memory() const { return *memory_; }

 private:
  Memory* memory_ = &host_memory();
  void* data_ = nullptr;
  std::size_t bytes_ = 0;
};

/// A buffer of `values` in the element type `dtype`, f64 or f32.
Buffer numbers_in(Memory& memory, DType dtype, std::span<const double> values);

}  // namespace zonda::model
