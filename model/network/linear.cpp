#include "model/network/linear.hpp"

#include <cmath>

#include "model/network/chunk_sum.hpp"

namespace zonda::model {

Linear::Linear(ParameterStore& store, const std::string& name, std::int64_t in, std::int64_t out, double gain,
               bool bias)
    : store_(&store), in_(in), out_(out) {
  weight_ = store.add(name + ".weight", {in, out}, true, static_cast<float>(gain / std::sqrt(double(in))));
  if (bias) bias_ = store.add(name + ".bias", {out}, false, 0);
}

void Linear::forward(Context& ctx, const Tensor& x, const Tensor& y, const Tensor& activated) const {
  GemmOptions options;
  if (bias_ >= 0) options.bias = store_->value(bias_);
  if (!corrected(ctx)) options.activated = activated;
  if (trunk_ && ctx.int8)
    int8_product(ctx, x, y, options);
  else
    ctx->gemm(ctx, x, operand(ctx), y, options);
  if (!corrected(ctx)) return;
  adapter_->forward(ctx, x, y);
  if (!activated.none()) ctx->gelu(ctx, y, activated);
}

void Linear::int8_product(Context& ctx, const Tensor& x, const Tensor& y, const GemmOptions& options) const {
  Quantised& q = *quantised_;
  const auto tensors = [&] {
    return std::pair{Tensor(q.values.data(), {in_, out_}, DType::i8, store_->memory().device()),
                     Tensor(q.scales.data(), {out_}, DType::f32, store_->memory().device())};
  };
  if (!ctx.planning() && q.version != store_->version()) {
    if (!q.values.data()) {
      q.values = Buffer(static_cast<std::size_t>(in_ * out_), store_->memory());
      q.scales = Buffer(static_cast<std::size_t>(out_) * sizeof(float), store_->memory());
    }
    ctx->quantise_columns(ctx, store_->value(weight_), tensors().first, tensors().second);
    q.version = store_->version();
  }
  ctx->gemm_int8(ctx, x, tensors().first, tensors().second, y, options);
}

void Linear::backward_input(Context& ctx, const Tensor& dy, const Tensor& dx, bool accumulate) const {
  if (dx.none()) return;
  GemmOptions options;
  options.transpose_b = true;
  options.accumulate = accumulate;
  ctx->gemm(ctx, dy, operand(ctx), dx, options);
  if (corrected(ctx)) adapter_->backward_input(ctx, dy, dx);
}

void Linear::backward_weight(Context& ctx, const Tensor& x, const Tensor& dy) const {
  if (adapter_) adapter_->backward_weight(ctx, x, dy);
  if (!weight_learns(ctx)) return;
  GemmOptions options;
  options.transpose_a = true;
  options.accumulate = true;
  sum_over_rows(ctx, x.shape[0], store_->gradient(weight_), [&](const ChunkRows& rows, const Tensor& into) {
    ctx->gemm(ctx, rows.of(x), rows.of(dy), into, options);
  });
  if (bias_ < 0) return;
  sum_over_rows(ctx, x.shape[0], store_->gradient(bias_),
                [&](const ChunkRows& rows, const Tensor& into) { ctx->bias_gradient(ctx, rows.of(dy), into); });
}

void Linear::tangent(Context& ctx, const Tensor& dx, const Tensor& dy) const {
  ctx->gemm(ctx, dx, operand(ctx), dy, {});
  if (corrected(ctx)) adapter_->forward(ctx, dx, dy);
}

}  // namespace zonda::model
