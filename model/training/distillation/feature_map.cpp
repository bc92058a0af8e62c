#include "model/training/distillation/feature_map.hpp"

#include <algorithm>
#include <string>

namespace zonda::model {

FeatureMaps::FeatureMaps(std::size_t blocks, std::int64_t student_width, std::int64_t teacher_width,
                         std::vector<bool> counted)
    : student_(student_width), teacher_(teacher_width), counted_(std::move(counted)) {
  for (std::size_t b = 0; b < blocks; ++b)
    store_.add("map" + std::to_string(b) + ".weight", {student_, teacher_}, false, 0);
  store_.allocate_values();
  for (std::size_t b = 0; b < blocks; ++b) {
    float* a = store_.value(static_cast<ParameterId>(b)).as<float>();
    for (std::int64_t i = 0; i < std::min(student_, teacher_); ++i) a[i * teacher_ + i] = 1;
  }
  store_.allocate_gradients();
  store_.allocate_optimiser(false);
}

double FeatureMaps::error(Backend& backend, std::size_t block, const Tensor& features, std::span<const float> wanted,
                          double factor, const Tensor& gradient) {
  const auto id = static_cast<ParameterId>(block);
  const std::int64_t rows = features.shape[0];
  std::vector<float> residual(static_cast<std::size_t>(rows * teacher_));
  const Tensor r = Tensor::of(residual, {rows, teacher_});
  Arena arena;
  const auto products = [&](Context& ctx) {
    ctx->gemm(ctx, features, store_.value(id), r);
    double sum = 0, size = 0;
    for (std::int64_t row = 0; row < rows && !ctx.planning(); ++row) {
      const bool counts = counted_[static_cast<std::size_t>(row) % counted_.size()];
      for (std::int64_t j = row * teacher_; j < (row + 1) * teacher_; ++j) {
        const auto i = static_cast<std::size_t>(j);
        residual[i] = counts ? residual[i] - wanted[i] : 0.0F;
        sum += static_cast<double>(residual[i]) * residual[i];
        if (counts) size += static_cast<double>(wanted[i]) * wanted[i];
      }
    }
    size = std::max(size, 1e-12);
    for (float& x : residual) x *= static_cast<float>(2 * factor / size);
    ctx->gemm(ctx, r, store_.value(id), gradient, {.transpose_b = true});
    GemmOptions added;
    added.transpose_a = added.accumulate = true;
    ctx->gemm(ctx, features, r, store_.gradient(id), added);
    return sum / size;
  };
  arena.begin_plan();
  {
    Context ctx(backend, arena, DType::f32);
    products(ctx);
  }
  arena.finish_plan();
  arena.allocate();
  Context ctx(backend, arena, DType::f32);
  return products(ctx);
}

}  // namespace zonda::model
