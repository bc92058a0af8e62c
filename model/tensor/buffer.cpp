#include "model/tensor/buffer.hpp"

#include <utility>
#include <vector>

namespace zonda::model {

Buffer::Buffer(std::size_t bytes, Memory& memory) : memory_(&memory), bytes_(bytes) {
  if (bytes > 0) data_ = memory.allocate(bytes);
}

Buffer::Buffer(Buffer&& other) noexcept
    : memory_(other.memory_), data_(std::exchange(other.data_, nullptr)), bytes_(std::exchange(other.bytes_, 0)) {}

Buffer& Buffer::operator=(Buffer&& other) noexcept {
  std::swap(memory_, other.memory_);
  std::swap(data_, other.data_);
  std::swap(bytes_, other.bytes_);
  return *this;
}

Buffer::~Buffer() {
  if (data_) memory_->release(data_, bytes_);
}

Buffer numbers_in(Memory& memory, DType dtype, std::span<const double> values) {
  Buffer buffer(values.size() * size_of(dtype), memory);
  if (dtype == DType::f64) {
    memory.copy_in(buffer.data(), values.data(), values.size_bytes());
  } else {
    const std::vector<float> rounded(values.begin(), values.end());
    memory.copy_in(buffer.data(), rounded.data(), buffer.bytes());
  }
  return buffer;
}

}  // namespace zonda::model
