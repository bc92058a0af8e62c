#pragma once
// Tensor: a non-owning view of numbers. Memory belongs to a Buffer, a ParameterStore or an Arena.
#include <array>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <span>
#include <string>
#include <vector>

#include "model/tensor/bfloat16.hpp"

namespace zonda::model {

enum class DType : std::uint8_t { f64, f32, bf16, i8 };
enum class Device : std::uint8_t { cpu, cuda };

constexpr std::size_t size_of(DType type) {
  return type == DType::f64 ? 8 : type == DType::f32 ? 4 : type == DType::bf16 ? 2 : 1;
}
const char* name_of(DType type);
template <class T>
constexpr DType dtype_of();
template <>
constexpr DType dtype_of<double>() {
  return DType::f64;
}
template <>
constexpr DType dtype_of<float>() {
  return DType::f32;
}
template <>
constexpr DType dtype_of<BFloat16>() {
  return DType::bf16;
}
template <>
constexpr DType dtype_of<std::int8_t>() {
  return DType::i8;
}

/// Up to five extents, outermost first.
class Shape {
 public:
  static constexpr int max_rank = 5;
  Shape() = default;
  Shape(std::initializer_list<std::int64_t> extents);
  int rank() const { return rank_; }
  std::int64_t operator[](int i) const { return extents_[static_cast<std::size_t>(i)]; }
  std::int64_t count() const;
  Shape with(int dimension, std::int64_t extent) const {
    Shape other = *this;
    other.extents_[static_cast<std::size_t>(dimension)] = extent;
    return other;
  }
  std::string to_string() const;  ///< `[8, 16, 48, 96]`
  friend bool operator==(const Shape& a, const Shape& b) = default;

 private:
  std::array<std::int64_t, max_rank> extents_{};
  int rank_ = 0;
};

/// Row-major, contiguous. A default-constructed tensor is "none": where a function says "may be none", that output is
/// skipped.
struct Tensor {
  void* data = nullptr;
  Shape shape;
  DType dtype = DType::f32;
  Device device = Device::cpu;
  std::int32_t slot = -1;  ///< the arena's number of this piece of memory; -1 outside an arena

  Tensor() = default;
  Tensor(void* memory, Shape extents, DType type, Device where = Device::cpu)
      : data(memory), shape(extents), dtype(type), device(where) {}
  /// A view of `values`, which must hold `extents.count()` numbers. Throws Error(failure) otherwise.
  template <class T>
  static Tensor of(std::span<T> values, Shape extents) {
    check_count(values.size(), extents);
    return Tensor(values.data(), extents, dtype_of<T>());
  }
  template <class T>
  static Tensor of(std::vector<T>& values, Shape extents) {
    return of(std::span<T>(values), extents);
  }

  bool none() const { return shape.rank() == 0; }
  std::int64_t count() const { return shape.count(); }
  std::size_t bytes() const { return static_cast<std::size_t>(count()) * size_of(dtype); }
  template <class T>
  T* as() const {
    return static_cast<T*>(data);
  }
  template <class T>
  std::span<T> span() const {
    return {static_cast<T*>(data), static_cast<std::size_t>(count())};
  }
  /// The same memory under another shape of equal count.
  Tensor reshaped(Shape extents) const;
  /// Entries [first, first + n) of the outermost dimension.
  Tensor slice(std::int64_t first, std::int64_t n) const;

 private:
  static void check_count(std::size_t have, const Shape& want);
};

}  // namespace zonda::model
