#pragma once
// Runs one operation on random operands in its own planned arena, on any backend and element type.
#include <cstring>
#include <functional>
#include <string>
#include <type_traits>
#include <vector>

#include "core/philox.hpp"
#include "model/ops/backend.hpp"

namespace zonda::model::testing {

inline double get(const Tensor& t, std::int64_t i) {
  switch (t.dtype) {
    case DType::f64:
      return t.as<double>()[i];
    case DType::f32:
      return static_cast<double>(t.as<float>()[i]);
    case DType::bf16:
      return static_cast<double>(t.as<BFloat16>()[i]);
    case DType::i8:
      return t.as<std::int8_t>()[i];
  }
  return 0;
}
inline void set(const Tensor& t, std::int64_t i, double value) {
  switch (t.dtype) {
    case DType::f64:
      t.as<double>()[i] = value;
      break;
    case DType::f32:
      t.as<float>()[i] = static_cast<float>(value);
      break;
    case DType::bf16:
      t.as<BFloat16>()[i] = BFloat16(value);
      break;
    case DType::i8:
      t.as<std::int8_t>()[i] = static_cast<std::int8_t>(value);
      break;
  }
}
inline double dot(const Tensor& a, const Tensor& b) {
  double sum = 0;
  for (std::int64_t i = 0; i < a.count(); ++i) sum += get(a, i) * get(b, i);
  return sum;
}

/// The element types of an operation: (h) tensors and all others.
struct Precision {
  DType half, wide;
  std::string name() const { return half == wide ? name_of(wide) : "mixed"; }
};
inline constexpr Precision kF64{DType::f64, DType::f64}, kF32{DType::f32, DType::f32}, kMixed{DType::bf16, DType::f32};

/// Tensors by number; the same seed gives the same numbers in every precision: those that f32, or for (h) tensors bf16,
/// holds exactly.
class Operands {
 public:
  explicit Operands(DType dtype, Memory& memory = host_memory()) : Operands(Precision{dtype, dtype}, memory) {}
  explicit Operands(Precision precision, Memory& memory = host_memory()) : precision_(precision), memory_(&memory) {}
  Tensor add(Shape shape, const std::string& seed, double scale = 1, double offset = 0, bool half = false) {
    const Philox random(7, seed);
    const auto number = [&](std::int64_t i) {
      const auto f32 = static_cast<float>(offset + scale * random.normal(static_cast<std::uint64_t>(i)));
      return half ? static_cast<double>(BFloat16(f32)) : static_cast<double>(f32);
    };
    return add(shape, number, half);
  }
  /// The i-th number is number(i).
  template <class F, class = std::invoke_result_t<F, std::int64_t>>
  Tensor add(Shape shape, const F& number, bool half = false) {
    const Tensor t = zeros(shape, half);
    Tensor host = t;
    std::vector<std::byte> staged;
    if (t.device != Device::cpu) host.data = (staged.resize(t.bytes()), staged.data());
    for (std::int64_t i = 0; i < t.count(); ++i) set(host, i, number(i));
    if (t.device != Device::cpu) memory_->copy_in(t.data, staged.data(), staged.size());
    return t;
  }
  /// The tensor itself, or a copy on the host.
  Tensor on_host(const Tensor& t) {
    if (t.device == Device::cpu) return t;
    buffers_.emplace_back(t.bytes());
    memory_->copy_out(buffers_.back().data(), t.data, t.bytes());
    return Tensor(buffers_.back().data(), t.shape, t.dtype);
  }
  Tensor zeros(Shape shape, bool half = false) { return zeros(shape, half ? precision_.half : precision_.wide); }
  Tensor zeros(Shape shape, DType dtype) {
    buffers_.emplace_back(static_cast<std::size_t>(shape.count()) * size_of(dtype), *memory_);
    return Tensor(buffers_.back().data(), shape, dtype, memory_->device());
  }
  DType dtype() const { return precision_.wide; }

 private:
  Precision precision_;
  Memory* memory_;
  std::vector<Buffer> buffers_;
};

inline void run_planned(Backend& backend, Precision precision, const std::function<void(Context&)>& operation) {
  Arena arena(backend.memory());
  Context ctx(backend, arena, precision.wide, precision.half);
  arena.begin_plan();
  operation(ctx);
  arena.finish_plan();
  arena.allocate();
  arena.poison();
  arena.rewind(0);
  operation(ctx);
}
inline void run_planned(Backend& backend, DType dtype, const std::function<void(Context&)>& operation) {
  run_planned(backend, Precision{dtype, dtype}, operation);
}

}  // namespace zonda::model::testing
