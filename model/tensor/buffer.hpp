#pragma once
// Buffer: one owned piece of host memory, 2 MiB aligned on huge pages when large, touched once when made.
#include <cstddef>

namespace zonda::model {

class Buffer {
 public:
  Buffer() = default;
  /// Zero-filled. Throws Error(failure) naming the size when memory is short.
  explicit Buffer(std::size_t bytes);
  Buffer(Buffer&& other) noexcept;
  Buffer& operator=(Buffer&& other) noexcept;
  Buffer(const Buffer&) = delete;
  Buffer& operator=(const Buffer&) = delete;
  ~Buffer();
  void* data() const { return data_; }
  std::size_t bytes() const { return bytes_; }

 private:
  void* data_ = nullptr;
  std::size_t bytes_ = 0;
};

}  // namespace zonda::model
