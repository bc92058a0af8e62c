#pragma once
// Memory: where buffers live. The host's own, or a device's; a backend names the one its operations work on.
#include <cstddef>

#include "model/tensor/tensor.hpp"

namespace zonda::model {

class Memory {
 public:
  virtual ~Memory() = default;
  virtual Device device() const = 0;
  /// Zero-filled; 2 MiB aligned on huge pages when large (host). Throws Error(failure) naming the size when memory is
  /// short.
  virtual void* allocate(std::size_t bytes) = 0;
  virtual void release(void* data, std::size_t bytes) noexcept = 0;
  /// Makes [data, data + bytes) zero; gives its pages back where this memory can.
  virtual void discard(void* data, std::size_t bytes) { fill_bytes(data, 0, bytes); }
  // In order with the operations that were given to this memory's device before; copy_out returns when the bytes are
  // there.
  virtual void fill_bytes(void* data, int byte, std::size_t bytes) = 0;
  virtual void copy(void* to, const void* from, std::size_t bytes) = 0;  ///< within this memory
  virtual void copy_in(void* to, const void* host, std::size_t bytes) = 0;
  virtual void copy_out(void* host, const void* from, std::size_t bytes) = 0;
};

Memory& host_memory();
/// The host's, in pages that take no room before they are written, nor after discard().
Memory& sparse_host_memory();

}  // namespace zonda::model
