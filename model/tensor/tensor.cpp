#include "model/tensor/tensor.hpp"

#include "core/error.hpp"

namespace zonda::model {

const char* name_of(DType type) {
  switch (type) {
    case DType::f64:
      return "f64";
    case DType::f32:
      return "f32";
    case DType::bf16:
      return "bf16";
    case DType::i8:
      return "i8";
  }
  return "?";
}

Shape::Shape(std::initializer_list<std::int64_t> extents) {
  if (extents.size() > max_rank)
    fail(ErrorKind::failure, "a tensor has at most {} dimensions, not {}", max_rank, extents.size());
  for (std::int64_t extent : extents) extents_[static_cast<std::size_t>(rank_++)] = extent;
}

std::int64_t Shape::count() const {
  if (rank_ == 0) return 0;
  std::int64_t n = 1;
  for (int i = 0; i < rank_; ++i) n *= (*this)[i];
  return n;
}

std::string Shape::to_string() const {
  std::string text = "[";
  for (int i = 0; i < rank_; ++i) text += (i ? ", " : "") + std::to_string((*this)[i]);
  return text + "]";
}

Tensor Tensor::reshaped(Shape extents) const {
  check_count(static_cast<std::size_t>(count()), extents);
  Tensor view = *this;
  view.shape = extents;
  return view;
}

Tensor Tensor::slice(std::int64_t first, std::int64_t n) const {
  const std::int64_t outer = shape[0];
  if (first < 0 || n < 0 || first + n > outer)
    fail(ErrorKind::failure, "slice [{}, {}) is outside a tensor of shape {}", first, first + n, shape.to_string());
  const std::int64_t inner = outer ? count() / outer : 0;
  Tensor view = *this;
  Shape extents;
  switch (shape.rank()) {
    case 1:
      extents = {n};
      break;
    case 2:
      extents = {n, shape[1]};
      break;
    case 3:
      extents = {n, shape[1], shape[2]};
      break;
    case 4:
      extents = {n, shape[1], shape[2], shape[3]};
      break;
    default:
      extents = {n, shape[1], shape[2], shape[3], shape[4]};
  }
  view.shape = extents;
  if (data) view.data = static_cast<std::byte*>(data) + static_cast<std::size_t>(first * inner) * size_of(dtype);
  return view;
}

void Tensor::check_count(std::size_t have, const Shape& want) {
  if (have != static_cast<std::size_t>(want.count()))
    fail(ErrorKind::failure, "{} numbers do not fill a tensor of shape {}", have, want.to_string());
}

}  // namespace zonda::model
