#include "model/network/adapter.hpp"

#include <cmath>

#include "model/network/chunk_sum.hpp"
#include "model/network/rank_sum.hpp"

namespace zonda::model {

namespace {

/// c += a b; where c is narrower than the sums, through a term of its own.
void add_product(Context& ctx, const Tensor& a, const Tensor& b, const Tensor& c, GemmOptions options = {}) {
  if (c.dtype != DType::bf16) {
    options.accumulate = true;
    ctx->gemm(ctx, a, b, c, options);
    return;
  }
  Tensor term = ctx.take(c.shape, c.dtype);
  ctx->gemm(ctx, a, b, term, options);
  ctx->add_rows(ctx, c, term, c);
  ctx.release(term);
}

Tensor bucket_of(const Tensor& all, std::int64_t bucket) {
  return all.slice(bucket, 1).reshaped({all.shape[1], all.shape[2]});
}

}  // namespace

Adapter::Adapter(ParameterStore& store, const std::string& name, std::int64_t in, std::int64_t out,
                 const AdapterShape& shape, const Split& split)
    : store_(&store), split_(split), rank_(shape.rank) {
  const std::int64_t ranks = split.ranks.size(), here = split.ranks.rank(), buckets = shape.buckets,
                     narrow = shape.rank;
  const bool by_rows = split.kind == Split::Kind::rows, by_columns = split.kind == Split::Kind::columns;
  in_ = store.add(name + ".adapter_in", {buckets, in, narrow}, true,
                  static_cast<float>(1 / std::sqrt(double(by_rows ? in * ranks : in))));
  out_ = store.add(name + ".adapter_out", {buckets, narrow, out}, true, 0);
  if (ranks == 1) return;
  if (by_rows) store.cut(in_, {{buckets, in * ranks, narrow}, {buckets, in, narrow}, 1, here * in});
  if (by_columns) {
    const std::int64_t each = out / split.groups;
    store.cut(out_,
              {{buckets * narrow, split.groups, each * ranks}, {buckets * narrow, split.groups, each}, 2, here * each});
  }
}

Tensor Adapter::matrix(const Context& ctx, ParameterId id, std::int64_t bucket) const {
  return bucket_of(ctx.trunk() != ctx.dtype() ? store_->copy_of(id) : store_->value(id), bucket);
}

template <class F>
void Adapter::for_samples(const Context& ctx, const Tensor& rows, F&& f) const {
  const auto samples = static_cast<std::int64_t>(ctx.buckets.size());
  const std::int64_t each = rows.shape[0] / samples;
  for (std::int64_t s = 0; s < samples; ++s) f(std::int64_t{ctx.buckets[static_cast<std::size_t>(s)]}, s * each, each);
}

void Adapter::forward(Context& ctx, const Tensor& x, const Tensor& y) const {
  for_samples(ctx, x, [&](std::int64_t bucket, std::int64_t first, std::int64_t rows) {
    Tensor narrow = ctx.take({rows, rank_}, x.dtype);
    ctx->gemm(ctx, x.slice(first, rows), matrix(ctx, in_, bucket), narrow);
    add_product(ctx, narrow, matrix(ctx, out_, bucket), y.slice(first, rows));
    ctx.release(narrow);
  });
}

void Adapter::backward_input(Context& ctx, const Tensor& dy, const Tensor& dx) const {
  for_samples(ctx, dy, [&](std::int64_t bucket, std::int64_t first, std::int64_t rows) {
    Tensor narrow = ctx.take({rows, rank_}, dy.dtype);
    ctx->gemm(ctx, dy.slice(first, rows), matrix(ctx, out_, bucket), narrow, {.transpose_b = true});
    add_product(ctx, narrow, matrix(ctx, in_, bucket), dx.slice(first, rows), {.transpose_b = true});
    ctx.release(narrow);
  });
}

void Adapter::backward_weight(Context& ctx, const Tensor& x, const Tensor& dy) const {
  if (!learns(ctx)) return;
  // Adds a chunk's term: wide^T narrow, narrow = given M (^T), for each sample's bucket. The matrix that is not cut is
  // used by all ranks.
  const auto sum = [&](ParameterId id, auto&& term) {
    const bool of_all = split_.ranks.size() > 1 && !store_->at(id).cut;
    Tensor total = of_all ? ctx.take(store_->at(id).shape) : store_->gradient(id);
    if (of_all) ctx->fill(ctx, total, 0);
    sum_over_chunks(ctx, total, [&](std::size_t chunk, const Tensor& into) {
      std::size_t sample = 0;
      const auto one = [&](const ChunkRows& rows) {
        const std::int64_t bucket = ctx.buckets[sample++];
        Tensor narrow = ctx.take({rows.count, rank_}, x.dtype);
        term(rows, bucket, narrow, bucket_of(into, bucket));
        ctx.release(narrow);
      };
      if (!ctx.chunks.empty())
        for_samples_of_chunk(ctx, x.shape[0], chunk, one);
      else
        for_samples(ctx, x, [&](std::int64_t, std::int64_t first, std::int64_t rows) { one({first, rows}); });
      if (of_all) sum_over_ranks(ctx, split_.ranks, into);
    });
    if (!of_all) return;
    ctx->add(ctx, total, store_->gradient(id));
    ctx.release(total);
  };
  sum(out_, [&](const ChunkRows& rows, std::int64_t bucket, const Tensor& narrow, const Tensor& gradient) {
    ctx->gemm(ctx, rows.of(x), matrix(ctx, in_, bucket), narrow);
    ctx->gemm(ctx, narrow, rows.of(dy), gradient, {.transpose_a = true, .accumulate = true});
  });
  sum(in_, [&](const ChunkRows& rows, std::int64_t bucket, const Tensor& narrow, const Tensor& gradient) {
    ctx->gemm(ctx, rows.of(dy), matrix(ctx, out_, bucket), narrow, {.transpose_b = true});
    ctx->gemm(ctx, rows.of(x), narrow, gradient, {.transpose_a = true, .accumulate = true});
  });
}

void Adapter::merge(Context& ctx, int bucket, const Tensor& weight) const {
  ctx->gemm(ctx, bucket_of(store_->value(in_), bucket), bucket_of(store_->value(out_), bucket), weight,
            {.accumulate = true});
}

}  // namespace zonda::model
