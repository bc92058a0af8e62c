#pragma once
// Staging: a tensor that the host fills and a backend reads. Where both use one memory there is no copy.
#include <span>
#include <vector>

#include "model/tensor/buffer.hpp"
#include "model/tensor/tensor.hpp"

namespace zonda::model {

class Staging {
 public:
  Staging(Memory& memory, const Shape& shape);
  /// What the host writes, [shape.count()].
  std::span<float> host();
  /// The tensor after what the host has written.
  Tensor send();
  Tensor tensor() const { return Tensor(buffer_.data(), shape_, DType::f32, buffer_.device()); }

 private:
  Shape shape_;
  Buffer buffer_;
  std::vector<float> copy_;  // of a device's memory
};

/// f32 numbers of a tensor wherever it lives: the tensor's own, or `copy`, which they are copied to.
std::span<const float> on_host(const Tensor& tensor, Memory& memory, std::vector<float>& copy);

/// A zero-filled f32 buffer of that shape.
Buffer buffer_of(Memory& memory, const Shape& shape);
Tensor tensor_of(const Buffer& buffer, const Shape& shape);

}  // namespace zonda::model
