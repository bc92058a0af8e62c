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
  return t.dtype == DType::f64 ? t.as<double>()[i] : static_cast<double>(t.as<float>()[i]);
}
inline void set(const Tensor& t, std::int64_t i, double value) {
  if (t.dtype == DType::f64)
    t.as<double>()[i] = value;
  else
    t.as<float>()[i] = static_cast<float>(value);
}
inline double dot(const Tensor& a, const Tensor& b) {
  double sum = 0;
  for (std::int64_t i = 0; i < a.count(); ++i) sum += get(a, i) * get(b, i);
  return sum;
}

/// Tensors by number; the same seed gives the same numbers in every element type (rounded).
class Operands {
 public:
  explicit Operands(DType dtype) : dtype_(dtype) {}
  Tensor add(Shape shape, const std::string& seed, double scale = 1, double offset = 0) {
    buffers_.emplace_back(static_cast<std::size_t>(shape.count()) * size_of(dtype_));
    Tensor t(buffers_.back().data(), shape, dtype_);
    const Philox random(7, seed);
    // Numbers that f32 holds exactly, so that both types start from the same operands.
    for (std::int64_t i = 0; i < t.count(); ++i)
      set(t, i, static_cast<double>(static_cast<float>(offset + scale * random.normal(static_cast<std::uint64_t>(i)))));
    return t;
  }
  Tensor zeros(Shape shape) {
    buffers_.emplace_back(static_cast<std::size_t>(shape.count()) * size_of(dtype_));
    return Tensor(buffers_.back().data(), shape, dtype_);
  }
  DType dtype() const { return dtype_; }

 private:
  DType dtype_;
  std::vector<Buffer> buffers_;
};

inline void run_planned(Backend& backend, DType dtype, const std::function<void(Context&)>& operation) {
  Arena arena;
  Context ctx(backend, arena, dtype);
  arena.begin_plan();
  operation(ctx);
  arena.finish_plan();
  arena.allocate();
  arena.poison();
  arena.rewind(0);
  operation(ctx);
}

}  // namespace zonda::model::testing
