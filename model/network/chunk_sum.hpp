#pragma once
// Sums over the rows of all samples, taken chunk by chunk and added over one binary tree: what a rank finds is a node
// of the tree over the ranks' chunks.
#include <bit>
#include <cstdint>
#include <vector>

#include "core/error.hpp"
#include "model/ops/backend.hpp"

namespace zonda::model {

/// Rows [first, first + count) of a sample's chunk among the rows of all samples.
struct ChunkRows {
  std::int64_t first = 0, count = 0;
  Tensor of(const Tensor& rows) const { return rows.slice(first, count); }
};

/// Calls `rows(ChunkRows)` for a chunk in each of the samples that make up `n` rows, sample after sample, if it is not
/// empty; without chunks in the context once, with all rows.
template <class Rows>
void for_samples_of_chunk(const Context& ctx, std::int64_t n, std::size_t chunk, Rows&& rows) {
  if (ctx.chunks.empty()) return rows(ChunkRows{0, n});
  const std::int64_t per_sample = ctx.chunks.back();
  if (ctx.chunks[chunk] == ctx.chunks[chunk + 1]) return;
  if (n % per_sample != 0) fail(ErrorKind::failure, "{} rows are no samples of {} tokens", n, per_sample);
  for (std::int64_t sample = 0; sample < n / per_sample; ++sample)
    rows(ChunkRows{sample * per_sample + ctx.chunks[chunk], ctx.chunks[chunk + 1] - ctx.chunks[chunk]});
}

/// total += the sum over the context's chunks. `leaf(chunk, into)` adds a chunk's term to `into`, of total's shape and
/// f32 or f64 as it is.
template <class Leaf>
void sum_over_chunks(Context& ctx, const Tensor& total, Leaf&& leaf) {
  const std::size_t chunks = ctx.chunks.empty() ? 1 : ctx.chunks.size() - 1;
  if (chunks == 1) return leaf(std::size_t{0}, total);
  std::vector<Tensor> partial;
  std::size_t depth = 0;
  for (std::size_t chunk = 0; chunk < chunks; ++chunk) {
    if (depth == partial.size()) partial.push_back(ctx.take(total.shape, total.dtype));
    ctx->fill(ctx, partial[depth], 0);
    leaf(chunk, partial[depth++]);
    // After chunk c as many neighbours join as c + 1 is divisible by two.
    for (std::size_t n = chunk + 1; n % 2 == 0; n /= 2) {
      --depth;
      ctx->add(ctx, partial[depth], partial[depth - 1]);
    }
  }
  ctx->add(ctx, partial[0], total);
  while (!partial.empty()) {
    ctx.release(partial.back());
    partial.pop_back();
  }
}

/// Sum over all samples' rows: `term(rows, into)` adds those of some rows.
template <class Term>
void sum_over_rows(Context& ctx, std::int64_t n, const Tensor& total, Term&& term) {
  sum_over_chunks(ctx, total, [&](std::size_t chunk, const Tensor& into) {
    for_samples_of_chunk(ctx, n, chunk, [&](const ChunkRows& rows) { term(rows, into); });
  });
}

/// Takes other chunks for a while: of an order of tokens, or of rows that are several to a token.
class ChunkScope {
 public:
  ChunkScope(Context& ctx, std::span<const std::int64_t> chunks) : ctx_(ctx), before_(ctx.chunks) {
    ctx.chunks = chunks;
  }
  ~ChunkScope() { ctx_.chunks = before_; }
  ChunkScope(const ChunkScope&) = delete;
  ChunkScope& operator=(const ChunkScope&) = delete;

 private:
  Context& ctx_;
  std::span<const std::int64_t> before_;
};

}  // namespace zonda::model
