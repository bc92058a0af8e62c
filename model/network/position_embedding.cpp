#include "model/network/position_embedding.hpp"

#include <span>
#include <vector>

#include "core/vectorise.hpp"
#include "model/tensor/bfloat16.hpp"

namespace zonda::model {

namespace {

/// out [rows, width] = features [rows, TokenGrid::feature_count] w, summed in f64.
template <class W, class T>
ZONDA_CLONES void multiply(const double* features, const W* w, std::int64_t rows, std::int64_t width, double* sum,
                           T* out) {
  for (std::int64_t i = 0; i < rows; ++i, features += TokenGrid::feature_count, out += width) {
    for (std::int64_t d = 0; d < width; ++d) sum[d] = 0;
    for (std::int64_t f = 0; f < TokenGrid::feature_count; ++f) {
      const double value = features[f];
      if (value == 0) continue;
      for (std::int64_t d = 0; d < width; ++d) sum[d] += value * static_cast<double>(w[f * width + d]);
    }
    for (std::int64_t d = 0; d < width; ++d) out[d] = static_cast<T>(sum[d]);
  }
}

}  // namespace

/// What rows and columns add, of the weights of some version. Values that are trained, or come from other ranks, may be
/// others without a word: only those that are lent are looked at once, and their features dropped.
struct PositionEmbedding::Sums {
  Buffer rows, columns;
  TokenGrid::SplitFeatures features;
  std::vector<double> sum;
  std::uint64_t version = 0;
};

PositionEmbedding::PositionEmbedding(ParameterStore& store, const TokenGrid& grid, const Slab& slab, int width,
                                     DType dtype, Memory& memory, int lift)
    : grid_(grid),
      rows_(slab.token_rows()),
      tokens_(slab.token_count()),
      width_(width),
      lift_(lift),
      dtype_(dtype),
      memory_(&memory),
      split_(grid.rectilinear && memory.device() == Device::cpu),
      layer_(store, "embedding.position", TokenGrid::feature_count, width, 1, false),
      sums_(std::make_shared<Sums>()) {
  if (!split_) *features_ = numbers_in(memory, dtype, grid.position_features(rows_, lift));
}

Tensor PositionEmbedding::features(const Context& ctx) const {
  if (!features_->data() && !ctx.planning())
    *features_ = numbers_in(*memory_, dtype_, grid_.position_features(rows_, lift_));
  return Tensor(features_->data(), {tokens_, TokenGrid::feature_count}, dtype_, memory_->device());
}

void PositionEmbedding::make_sums() const {
  Sums& sums = *sums_;
  if (layer_.is_lent() && sums.version == layer_.version()) return;
  if (sums.features.rows.empty()) sums.features = grid_.split_features(rows_, lift_);
  sums.sum.resize(static_cast<std::size_t>(width_));
  const Tensor w = layer_.stored();
  const auto fill = [&](const std::vector<double>& of, Buffer& into) {
    const auto rows = static_cast<std::int64_t>(of.size()) / TokenGrid::feature_count;
    if (!into.data()) into = Buffer(static_cast<std::size_t>(rows * width_) * size_of(dtype_), *memory_);
    if (dtype_ == DType::f64)
      multiply(of.data(), w.as<double>(), rows, width_, sums.sum.data(), static_cast<double*>(into.data()));
    else if (w.dtype == DType::bf16)
      multiply(of.data(), w.as<BFloat16>(), rows, width_, sums.sum.data(), static_cast<float*>(into.data()));
    else
      multiply(of.data(), w.as<float>(), rows, width_, sums.sum.data(), static_cast<float*>(into.data()));
  };
  fill(sums.features.rows, sums.rows);
  fill(sums.features.columns, sums.columns);
  sums.version = layer_.version();
  if (layer_.is_lent()) sums.features = {};
}

Tensor PositionEmbedding::begin(Context& ctx) const {
  if (split_) {
    if (!ctx.planning()) make_sums();
    return {};
  }
  Tensor position = ctx.take({tokens_, width_});
  layer_.forward(ctx, features(ctx), position);
  return position;
}

void PositionEmbedding::finish(Context& ctx, Tensor& position, const Tensor& tokens) const {
  if (!split_) {
    ctx->add_rows(ctx, tokens, position, tokens);
    return ctx.release(position);
  }
  const auto columns = static_cast<std::int64_t>(grid_.patches.token_columns);
  const Tensor of_rows(sums_->rows.data(), {static_cast<std::int64_t>(rows_.size()), width_}, dtype_),
      of_columns(sums_->columns.data(), {columns, width_}, dtype_);
  ctx->add_raster(ctx, of_rows, of_columns, tokens);
}

void PositionEmbedding::backward(Context& ctx, const Tensor& dtokens) const {
  if (!layer_.learns(ctx)) return;
  Tensor dposition = ctx.take({tokens_, width_});
  ctx->sum_rows(ctx, dtokens, dposition, false);
  layer_.backward_weight(ctx, features(ctx), dposition);
  ctx.release(dposition);
}

std::size_t PositionEmbedding::table_bytes(bool learning) const {
  std::size_t numbers = 0;
  if (!split_ || learning) numbers += static_cast<std::size_t>(tokens_ * TokenGrid::feature_count);
  if (split_)
    numbers +=
        (rows_.size() + static_cast<std::size_t>(grid_.patches.token_columns)) * static_cast<std::size_t>(width_);
  return numbers * size_of(dtype_);
}

}  // namespace zonda::model
