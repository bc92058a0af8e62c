#include "model/network/linear.hpp"

#include <cmath>

#include "core/error.hpp"
#include "core/vectorise.hpp"
#include "model/network/chunk_sum.hpp"
#include "model/network/rank_sum.hpp"

namespace zonda::model {

namespace {

ZONDA_CLONES void widen_columns(const std::int8_t* numbers, const float* scales, float* out, std::int64_t rows,
                                std::int64_t columns) {
  for (std::int64_t i = 0; i < rows; ++i) {
    for (std::int64_t j = 0; j < columns; ++j) out[i * columns + j] = float(numbers[i * columns + j]) * scales[j];
  }
}

}  // namespace

Linear::Linear(ParameterStore& store, const std::string& name, std::int64_t in, std::int64_t out, double gain,
               bool bias, const Split& split)
    : store_(&store), in_(in), out_(out), split_(split) {
  const std::int64_t ranks = split.ranks.size(), rank = split.ranks.rank();
  const auto scale = static_cast<float>(gain / std::sqrt(double(in)));
  if (split.kind == Split::Kind::columns) out_ = out / ranks;
  if (split.kind == Split::Kind::rows) in_ = in / ranks;
  weight_ = store.add(name + ".weight", {in_, out_}, true, scale);
  if (bias) bias_ = store.add(name + ".bias", {out_}, false, 0);
  if (ranks == 1) return;
  if (split.kind == Split::Kind::columns) {
    const std::int64_t groups = split.groups, each = out / groups, part = each / ranks;
    store.cut(weight_, {{in, groups, each}, {in, groups, part}, 2, rank * part});
    if (bias) store.cut(bias_, {{groups, each}, {groups, part}, 1, rank * part});
  } else if (split.kind == Split::Kind::rows) {
    store.cut(weight_, {{in, out}, {in_, out}, 0, rank * in_});
  }
}

template <class Product>
void Linear::through_sum(Context& ctx, const Tensor& result, Product&& product, const Tensor& bias) const {
  const bool narrow = result.dtype == DType::bf16;
  Tensor sum = narrow ? ctx.take(result.shape, DType::f32) : result;
  product(sum);
  sum_over_ranks(ctx, split_.ranks, sum);
  if (!bias.none()) ctx->add_rows(ctx, sum, bias, sum);
  if (!narrow) return;
  ctx->cast(ctx, sum, result);
  ctx.release(sum);
}

void Linear::forward(Context& ctx, const Tensor& x, const Tensor& y, const Tensor& activated) const {
  const bool quantised = in_int8(ctx);
  if (y.none() && (!quantised || corrected(ctx) || sums(Split::Kind::rows))) {
    Tensor room = ctx.take(activated.shape, activated.dtype);
    forward(ctx, x, room, activated);
    return ctx.release(room);
  }
  const auto product = [&](const Tensor& into, const GemmOptions& options) {
    if (!quantised && store_->quantised(weight_).numbers.none())
      return ctx->gemm(ctx, x, trunk_ ? operand(ctx) : stored(), into, options);
    if (!quantised) {
      Tensor wide = widened(ctx);
      ctx->gemm(ctx, x, wide, into, options);
      return ctx.release(wide);
    }
    const Int8Layer layer = int8_layer(ctx);
    ctx->gemm_int8(ctx, x, layer.numbers, layer.scales, into, options);
  };
  if (sums(Split::Kind::rows)) {
    through_sum(
        ctx, y,
        [&](const Tensor& sum) {
          product(sum, {});
          if (corrected(ctx)) adapter_->forward(ctx, x, sum);
        },
        bias_ >= 0 ? bias().reshaped({1, out_}) : Tensor{});
    if (!activated.none()) ctx->gelu(ctx, y, activated);
    return;
  }
  GemmOptions options;
  options.coarse = ctx.int8 && !trunk_;  // a bundle in int8 holds these matrices in bf16
  options.bias = bias();
  if (!corrected(ctx)) options.activated = activated;
  product(y, options);
  if (!corrected(ctx)) return;
  adapter_->forward(ctx, x, y);
  if (!activated.none()) ctx->gelu(ctx, y, activated);
}

void Linear::forward_patches(Context& ctx, const PatchGeometry& geometry, const Tensor& image,
                             const Tensor& tokens) const {
  ctx->patch_product(ctx, geometry, image, stored(), bias(), ctx.int8, tokens);
}

Tensor Linear::widened(Context& ctx) const {
  const auto [numbers, scales] = store_->quantised(weight_);
  Tensor wide = ctx.take({in_, out_}, DType::f32);
  if (!ctx.planning()) widen_columns(numbers.as<std::int8_t>(), scales.as<float>(), wide.as<float>(), in_, out_);
  return wide;
}

Int8Layer Linear::int8_layer(Context& ctx) const {
  if (const auto lent = store_->quantised(weight_); !lent.numbers.none()) return {lent.numbers, lent.scales, bias()};
  Quantised& q = *quantised_;
  const auto layer = [&] {
    return Int8Layer{Tensor(q.values.data(), {in_, out_}, DType::i8, store_->memory().device()),
                     Tensor(q.scales.data(), {out_}, DType::f32, store_->memory().device()), bias()};
  };
  if (!ctx.planning() && q.version != store_->version()) {
    if (!q.values.data()) {
      q.values = Buffer(static_cast<std::size_t>(in_ * out_), store_->memory());
      q.scales = Buffer(static_cast<std::size_t>(out_) * sizeof(float), store_->memory());
    }
    const Int8Layer made = layer();
    ctx->quantise_columns(ctx, store_->value(weight_), made.numbers, made.scales);
    q.version = store_->version();
  }
  return layer();
}

void Linear::backward_input(Context& ctx, const Tensor& dy, const Tensor& dx, bool accumulate) const {
  if (dx.none()) return;
  if (sums(Split::Kind::columns)) {
    if (accumulate) fail(ErrorKind::failure, "a split layer's input gradient cannot be added to another");
    through_sum(ctx, dx, [&](const Tensor& sum) {
      ctx->gemm(ctx, dy, operand(ctx), sum, {.transpose_b = true});
      if (corrected(ctx)) adapter_->backward_input(ctx, dy, sum);
    });
    return;
  }
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
  if (sums(Split::Kind::rows)) sum_over_ranks(ctx, split_.ranks, dy);
}

}  // namespace zonda::model
