#include "model/ops/backend.hpp"

#include <atomic>

#include "core/error.hpp"

namespace zonda::model {

std::uint64_t IndexTable::next_id() {
  static std::atomic<std::uint64_t> last{0};
  return ++last;
}

void Backend::repeat(std::uint64_t, const std::function<void()>& step) {
  step();
}

void Backend::forget(std::uint64_t) {}

std::uint64_t Backend::new_key() {
  static std::atomic<std::uint64_t> last{0};
  return ++last;
}

void Backend::quantise_columns(Context&, const Tensor&, const Tensor&, const Tensor&) {
  fail(ErrorKind::usage, "backend {} has no int8 products", name());
}

void Backend::gemm_int8(Context&, const Tensor&, const Tensor&, const Tensor&, const Tensor&, const GemmOptions&) {
  fail(ErrorKind::usage, "backend {} has no int8 products", name());
}

void Backend::patch_product(Context& ctx, const PatchGeometry& geometry, const Tensor& image, const Tensor& w,
                            const Tensor& bias, bool coarse, const Tensor& tokens) {
  Tensor patches = ctx.take({tokens.shape[0], w.shape[0]});
  patch_gather(ctx, geometry, image, patches, false);
  GemmOptions options;
  options.bias = bias;
  options.coarse = coarse;
  gemm(ctx, patches, w, tokens, options);
  ctx.release(patches);
}

void Backend::add_raster(Context& ctx, const Tensor& rows, const Tensor& columns, const Tensor& y) {
  const std::int64_t of_row = columns.shape[0];
  for (std::int64_t row = 0; row < y.shape[0] / of_row; ++row) {
    const Tensor part = y.slice(row * of_row, of_row);
    add_rows(ctx, part, rows.slice(row % rows.shape[0], 1), part);
  }
  add_rows(ctx, y, columns, y);
}

void Backend::branch_int8(Context& ctx, const Tensor& x, const Int8Branch& branch, const Tensor& y) {
  const bool two = !branch.second.numbers.none(), norm = !branch.norm.rows.none(), gated = !branch.onto.none();
  const std::int64_t rows = x.shape[0];
  Tensor input = x;
  if (norm) {
    input = ctx.take(x.shape, x.dtype);
    Tensor statistics = ctx.take({rows, 2}, x.dtype);
    norm_modulate(ctx, NormKind::rms, x, branch.norm, input, statistics);
    ctx.release(statistics);
  }
  Tensor active = two ? ctx.take({rows, branch.first.numbers.shape[1]}, x.dtype) : Tensor{};
  if (two) {
    gemm_int8(ctx, input, branch.first.numbers, branch.first.scales, {},
              {.bias = branch.first.bias, .activated = active});
    if (norm) ctx.release(input);
    input = active;
  }
  const Int8Layer& last = two ? branch.second : branch.first;
  Tensor result = gated ? ctx.take(y.shape, y.dtype) : y;
  gemm_int8(ctx, input, last.numbers, last.scales, result, {.bias = last.bias});
  if (two || norm) ctx.release(input);
  if (!gated) return;
  gated_add(ctx, branch.onto, result, branch.gates, branch.gate, y);
  ctx.release(result);
}

double Backend::loss(Context& ctx, const LossTerms& terms, const Tensor& prediction, const Tensor& target,
                     const Tensor& gradient, double scale, std::span<double> per_channel) {
  if (ctx.planning()) return 0;
  return weighted_loss(terms.kind, prediction, target, terms.row_weight, terms.channel_weight, terms.sample_weight,
                       gradient, scale, per_channel, terms.rows);
}

double Backend::crps(Context& ctx, const LossTerms& terms, int members, const Tensor& prediction, const Tensor& target,
                     const Tensor& gradient, double scale) {
  if (ctx.planning()) return 0;
  return fair_crps(members, prediction, target, terms.row_weight, terms.channel_weight, gradient, scale, terms.rows);
}

void Backend::loss_parts(Context& ctx, const LossTerms& terms, const Tensor& prediction, const Tensor& target,
                         const Tensor& gradient, double scale, const Tensor& parts) {
  if (ctx.planning()) return;
  LossTerms in_parts = terms;
  in_parts.rows.parts = parts.span<double>();
  (void)loss(ctx, in_parts, prediction, target, gradient, scale);
}

void Backend::crps_parts(Context& ctx, const LossTerms& terms, int members, const Tensor& prediction,
                         const Tensor& target, const Tensor& gradient, double scale, const Tensor& parts) {
  if (ctx.planning()) return;
  LossTerms in_parts = terms;
  in_parts.rows.parts = parts.span<double>();
  (void)crps(ctx, in_parts, members, prediction, target, gradient, scale);
}

void Backend::adamw(const AdamW& options, std::int64_t step, double decay, const Tensor& w, const Tensor& g,
                    const Tensor& m, const Tensor& v, const Tensor& copy) {
  adamw_step(options, step, decay, w, g, m, v, copy);
}

double Backend::square_sum(const Tensor& x, std::int64_t raster) {
  return model::square_sum(x, raster);
}

void Backend::scale(const Tensor& x, double factor) {
  scale_by(x, factor);
}

void Backend::average(const Tensor& x, const Tensor& mean, double decay) {
  average_into(x, mean, decay);
}

}  // namespace zonda::model
