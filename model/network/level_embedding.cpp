#include "model/network/level_embedding.hpp"

#include <algorithm>

#include "core/error.hpp"
#include "model/network/chunk_sum.hpp"

namespace zonda::model {

namespace {

constexpr int kMlpRatio = 2;

int level_count(const std::vector<int>& groups) {
  const int levels = groups.empty() ? 0 : *std::max_element(groups.begin(), groups.end()) + 1;
  if (levels == 0) fail(ErrorKind::usage, "network: an embedding by levels needs the levels of the input channels");
  for (int level = 0; level < levels; ++level)
    if (std::find(groups.begin(), groups.end(), level) == groups.end())
      fail(ErrorKind::usage, "network: no input channel belongs to level {} of {}", level, levels);
  return levels;
}

/// A transposition of `rows` x `columns` entries as a permutation of rows.
IndexTable transposition(std::int64_t rows, std::int64_t columns) {
  std::vector<std::int32_t> index;
  for (std::int64_t j = 0; j < columns; ++j)
    for (std::int64_t i = 0; i < rows; ++i) index.push_back(static_cast<std::int32_t>(i * columns + j));
  return IndexTable(std::move(index));
}

/// Keeps what backward needs, or not, while it lives.
class Keeping {
 public:
  Keeping(Context& ctx, bool keep) : ctx_(ctx), before_(ctx.keep) { ctx.keep = keep; }
  ~Keeping() { ctx_.keep = before_; }
  Keeping(const Keeping&) = delete;
  Keeping& operator=(const Keeping&) = delete;

 private:
  Context& ctx_;
  bool before_;
};

}  // namespace

LevelEmbedding::LevelEmbedding(ParameterStore& store, const Slab& slab, const std::vector<int>& groups,
                               const LevelShape& shape, int width, DType dtype, Memory& memory)
    : geometry_(slab.patches()),
      tokens_(slab.token_count()),
      level_width_(shape.width),
      levels_([&] {
        std::vector<Level> levels;
        for (int number = 0; number < level_count(groups); ++number) {
          std::vector<ChannelTerm> gather, scatter;
          for (std::size_t channel = 0; channel < groups.size(); ++channel) {
            if (groups[channel] != number) continue;
            const auto from = static_cast<std::int32_t>(channel), to = static_cast<std::int32_t>(gather.size());
            gather.push_back({from, to});
            scatter.push_back({to, from});
          }
          const std::int64_t numbers =
              static_cast<std::int64_t>(gather.size()) * geometry_.kernel_rows * geometry_.size;
          const std::string name = "embedding.level" + std::to_string(number);
          levels.push_back({gather, scatter, Linear(store, name, numbers, shape.width)});
        }
        return levels;
      }()),
      block_(store, "embedding.levels", shape.width, shape.heads, kMlpRatio),
      projection_(store, "embedding.projection", levels() * shape.width, width),
      sequence_(level_sequence(static_cast<int>(levels_.size()), shape.width / shape.heads, dtype, memory)),
      sequences_of_chunks_(static_cast<std::size_t>(slab.chunks_here()), sequence_.table),
      sites_first_(transposition(levels(), tokens_)),
      levels_first_(transposition(tokens_, levels())) {
  for (const std::int64_t first : slab.chunk_offsets()) chunks_.push_back(first * levels());
}

Tensor LevelEmbedding::take_image(Context& ctx, const Tensor& x, const Level& level) const {
  return ctx.take({x.shape[0], static_cast<std::int64_t>(level.gather.size()), x.shape[2], x.shape[3]});
}

Tensor LevelEmbedding::no_modulation(Context& ctx, std::int64_t rows) const {
  Tensor modulation = ctx.take({rows, 6 * level_width_});
  ctx->fill(ctx, modulation, 0);
  return modulation;
}

Tensor LevelEmbedding::embed(Context& ctx, const Tensor& x, bool tangent) const {
  const std::int64_t samples = x.shape[0];
  Tensor stacked = level_tokens(ctx, samples);
  for (std::int64_t sample = 0; sample < samples; ++sample)
    for (std::int64_t number = 0; number < levels(); ++number) {
      const Level& level = levels_[static_cast<std::size_t>(number)];
      const Tensor given = x.slice(sample, 1);
      Tensor image = take_image(ctx, given, level), patches = ctx.take({tokens_, level.patch.in()});
      ctx->map_channels(ctx, given, level.gather, image, false);
      ctx->patch_gather(ctx, geometry_, image, patches, false);
      const Tensor to = stacked.slice((sample * levels() + number) * tokens_, tokens_);
      if (tangent)
        level.patch.tangent(ctx, patches, to);
      else
        level.patch.forward(ctx, patches, to);
      ctx.release(image, patches);
    }
  Tensor sites = level_tokens(ctx, samples);
  ctx->permute_rows(ctx, stacked, sites_first_, sites);
  ctx.release(stacked);
  return sites;
}

void LevelEmbedding::forward(Context& ctx, const Tensor& x, const Tensor& tokens) const {
  const Keeping keeping(ctx, false);
  Tensor modulation = no_modulation(ctx);
  for (std::int64_t sample = 0; sample < x.shape[0]; ++sample) {
    Tensor sites = embed(ctx, x.slice(sample, 1), false), mixed = level_tokens(ctx, 1);
    Block::Saved saved;
    block_.forward(ctx, sequence_.table, sites, modulation, mixed, saved);
    ctx.release(sites);
    projection_.forward(ctx, mixed.reshaped(by_site(1)), tokens.slice(sample * tokens_, tokens_));
    ctx.release(mixed);
  }
  ctx.release(modulation);
}

void LevelEmbedding::backward(Context& ctx, const Tensor& x, const Tensor& dtokens, const Tensor& dx) const {
  const Keeping keeping(ctx, true);
  // A chunk's term is the sum over all samples.
  const std::int64_t together = ctx.chunks.empty() ? 1 : x.shape[0];
  for (std::int64_t sample = 0; sample < x.shape[0]; sample += together)
    backward_together(ctx, x.slice(sample, together), dtokens.slice(sample * tokens_, together * tokens_),
                      dx.none() ? dx : dx.slice(sample, together));
}

void LevelEmbedding::backward_together(Context& ctx, const Tensor& x, const Tensor& dtokens, const Tensor& dx) const {
  const std::int64_t samples = x.shape[0], rows = samples * tokens_;
  Tensor modulation = no_modulation(ctx),
         dmodulation =
             no_modulation(ctx, ctx.chunks.empty() ? 1 : static_cast<std::int64_t>(ctx.chunks.size() - 1) * samples);
  Tensor sites = embed(ctx, x, false), mixed = level_tokens(ctx, samples);
  Block::Saved saved;
  block_.forward(ctx, sequence_.table, sites, modulation, mixed, saved);
  projection_.backward_weight(ctx, mixed.reshaped(by_site(samples)), dtokens);
  projection_.backward_input(ctx, dtokens, mixed.reshaped(by_site(samples)));
  {
    const ChunkScope scope(ctx, ctx.chunks.empty() ? ctx.chunks : std::span<const std::int64_t>(chunks_));
    block_.backward(ctx, {sequence_.table, sequences_of_chunks_}, sites, saved, mixed, dmodulation);
  }
  Tensor stacked = sites;
  ctx->permute_rows(ctx, mixed, levels_first_, stacked);
  ctx.release(mixed);
  for (std::int64_t number = 0; number < levels(); ++number) {
    const Level& level = levels_[static_cast<std::size_t>(number)];
    Tensor image = take_image(ctx, x, level), patches = ctx.take({rows, level.patch.in()});
    ctx->map_channels(ctx, x, level.gather, image, false);
    ctx->patch_gather(ctx, geometry_, image, patches, false);
    Tensor d = samples == 1 ? Tensor{} : ctx.take({rows, level_width_});
    for (std::int64_t sample = 0; sample < samples; ++sample) {
      const Tensor of_level = stacked.slice((sample * levels() + number) * tokens_, tokens_);
      if (samples > 1) ctx->copy(ctx, of_level, d.slice(sample * tokens_, tokens_));
    }
    const Tensor gradient = samples == 1 ? stacked.slice(number * tokens_, tokens_) : d;
    level.patch.backward_weight(ctx, patches, gradient);
    if (!dx.none()) {
      level.patch.backward_input(ctx, gradient, patches);
      ctx->patch_scatter(ctx, geometry_, patches, image, false);
      ctx->map_channels(ctx, image, level.scatter, dx, number > 0);
    }
    ctx.release(image, patches, d);
  }
  ctx.release(stacked, modulation, dmodulation);
}

void LevelEmbedding::tangent(Context& ctx, const Tensor& x, const Tensor& dx, const Tensor& dtokens) const {
  const Keeping keeping(ctx, true);
  Tensor modulation = no_modulation(ctx);
  for (std::int64_t sample = 0; sample < x.shape[0]; ++sample) {
    Tensor sites = embed(ctx, x.slice(sample, 1), false), mixed = level_tokens(ctx, 1);
    Block::Saved saved;
    block_.forward(ctx, sequence_.table, sites, modulation, mixed, saved);
    Tensor d = embed(ctx, dx.slice(sample, 1), true);
    block_.tangent(ctx, sequence_.table, sites, saved, d, mixed);
    block_.release(ctx, saved);
    ctx.release(sites, d);
    projection_.tangent(ctx, mixed.reshaped(by_site(1)), dtokens.slice(sample * tokens_, tokens_));
    ctx.release(mixed);
  }
  ctx.release(modulation);
}

double LevelEmbedding::flops(std::int64_t tokens) const {
  const double rows = double(tokens) * double(levels()), width = double(level_width_);
  double work = 2 * double(tokens) * double(projection_.in()) * double(projection_.out()) +
                2 * rows * width * width * (4 + 2 * kMlpRatio) + 4 * rows * double(levels()) * width;
  for (const Level& level : levels_) work += 2 * double(tokens) * double(level.patch.in()) * width;
  return work;
}

}  // namespace zonda::model
