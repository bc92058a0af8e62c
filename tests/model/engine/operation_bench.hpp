#pragma once
// Runs one operation on random operands in its own planned arena, on any backend and element type.
#include <cstring>
#include <functional>
#include <string>
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
  explicit Operands(DType dtype) : Operands({dtype, dtype}) {}
  explicit Operands(Precision precision) : precision_(precision) {}
  Tensor add(Shape shape, const std::string& seed, double scale = 1, double offset = 0, bool half = false) {
    Tensor t = zeros(shape, half);
    const Philox random(7, seed);
    for (std::int64_t i = 0; i < t.count(); ++i) {
      const auto number = static_cast<float>(offset + scale * random.normal(static_cast<std::uint64_t>(i)));
      set(t, i, half ? static_cast<double>(BFloat16(number)) : static_cast<double>(number));
    }
    return t;
  }
  Tensor zeros(Shape shape, bool half = false) { return zeros(shape, half ? precision_.half : precision_.wide); }
  Tensor zeros(Shape shape, DType dtype) {
    buffers_.emplace_back(static_cast<std::size_t>(shape.count()) * size_of(dtype));
    return Tensor(buffers_.back().data(), shape, dtype);
  }
  DType dtype() const { return precision_.wide; }

 private:
  Precision precision_;
  std::vector<Buffer> buffers_;
};

inline void run_planned(Backend& backend, Precision precision, const std::function<void(Context&)>& operation) {
  Arena arena;
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
