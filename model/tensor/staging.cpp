#include "model/tensor/staging.hpp"

namespace zonda::model {

Staging::Staging(Memory& memory, const Shape& shape) : shape_(shape), buffer_(buffer_of(memory, shape)) {
  if (buffer_.device() != Device::cpu) copy_.resize(static_cast<std::size_t>(shape.count()));
}

std::span<float> Staging::host() {
  return copy_.empty() ? tensor().span<float>() : std::span(copy_);
}

Tensor Staging::send() {
  if (!copy_.empty()) buffer_.memory().copy_in(buffer_.data(), copy_.data(), buffer_.bytes());
  return tensor();
}

std::span<const float> on_host(const Tensor& tensor, Memory& memory, std::vector<float>& copy) {
  if (tensor.device == Device::cpu) return tensor.span<const float>();
  copy.resize(static_cast<std::size_t>(tensor.count()));
  memory.copy_out(copy.data(), tensor.data, tensor.bytes());
  return copy;
}

Buffer buffer_of(Memory& memory, const Shape& shape) {
  return Buffer(static_cast<std::size_t>(shape.count()) * sizeof(float), memory);
}

Tensor tensor_of(const Buffer& buffer, const Shape& shape) {
  return Tensor(buffer.data(), shape, DType::f32, buffer.device());
}

}  // namespace zonda::model
