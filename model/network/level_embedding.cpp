#include "model/network/level_embedding.hpp"

#include <algorithm>

#include "core/error.hpp"

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

LevelEmbedding::LevelEmbedding(ParameterStore& store, const TokenGrid& grid, const std::vector<int>& groups,
                               const LevelShape& shape, int width, DType dtype, Memory& memory)
    : geometry_(grid.patches),
      tokens_(grid.count()),
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
      sites_first_(transposition(levels(), tokens_)),
      levels_first_(transposition(tokens_, levels())) {}

Tensor LevelEmbedding::take_image(Context& ctx, const Tensor& x, const Level& level) const {
  return ctx.take({1, static_cast<std::int64_t>(level.gather.size()), x.shape[2], x.shape[3]});
}

Tensor LevelEmbedding::no_modulation(Context& ctx) const {
  Tensor rows = ctx.take({1, 6 * level_width_});
  ctx->fill(ctx, rows, 0);
  return rows;
}

Tensor LevelEmbedding::embed(Context& ctx, const Tensor& x, bool tangent) const {
  Tensor stacked = level_tokens(ctx);
  for (std::int64_t number = 0; number < levels(); ++number) {
    const Level& level = levels_[static_cast<std::size_t>(number)];
    Tensor image = take_image(ctx, x, level), patches = ctx.take({tokens_, level.patch.in()});
    ctx->map_channels(ctx, x, level.gather, image, false);
    ctx->patch_gather(ctx, geometry_, image, patches, false);
    const Tensor to = stacked.slice(number * tokens_, tokens_);
    if (tangent)
      level.patch.tangent(ctx, patches, to);
    else
      level.patch.forward(ctx, patches, to);
    ctx.release(image, patches);
  }
  Tensor sites = level_tokens(ctx);
  ctx->permute_rows(ctx, stacked, sites_first_, sites);
  ctx.release(stacked);
  return sites;
}

void LevelEmbedding::forward(Context& ctx, const Tensor& x, const Tensor& tokens) const {
  const Keeping keeping(ctx, false);
  Tensor modulation = no_modulation(ctx);
  for (std::int64_t sample = 0; sample < x.shape[0]; ++sample) {
    Tensor sites = embed(ctx, x.slice(sample, 1), false), mixed = level_tokens(ctx);
    Block::Saved saved;
    block_.forward(ctx, sequence_.table, sites, modulation, mixed, saved);
    ctx.release(sites);
    projection_.forward(ctx, mixed.reshaped(by_site()), tokens.slice(sample * tokens_, tokens_));
    ctx.release(mixed);
  }
  ctx.release(modulation);
}

void LevelEmbedding::backward(Context& ctx, const Tensor& x, const Tensor& dtokens, const Tensor& dx) const {
  const Keeping keeping(ctx, true);
  Tensor modulation = no_modulation(ctx), dmodulation = no_modulation(ctx);
  for (std::int64_t sample = 0; sample < x.shape[0]; ++sample) {
    const Tensor given = x.slice(sample, 1), gradient = dtokens.slice(sample * tokens_, tokens_);
    Tensor sites = embed(ctx, given, false), mixed = level_tokens(ctx);
    Block::Saved saved;
    block_.forward(ctx, sequence_.table, sites, modulation, mixed, saved);
    projection_.backward_weight(ctx, mixed.reshaped(by_site()), gradient);
    projection_.backward_input(ctx, gradient, mixed.reshaped(by_site()));
    block_.backward(ctx, sequence_.table, sites, saved, mixed, dmodulation);
    Tensor stacked = sites;
    ctx->permute_rows(ctx, mixed, levels_first_, stacked);
    ctx.release(mixed);
    for (std::int64_t number = 0; number < levels(); ++number) {
      const Level& level = levels_[static_cast<std::size_t>(number)];
      const Tensor d = stacked.slice(number * tokens_, tokens_);
      Tensor image = take_image(ctx, x, level), patches = ctx.take({tokens_, level.patch.in()});
      ctx->map_channels(ctx, given, level.gather, image, false);
      ctx->patch_gather(ctx, geometry_, image, patches, false);
      level.patch.backward_weight(ctx, patches, d);
      if (!dx.none()) {
        level.patch.backward_input(ctx, d, patches);
        ctx->patch_scatter(ctx, geometry_, patches, image, false);
        ctx->map_channels(ctx, image, level.scatter, dx.slice(sample, 1), number > 0);
      }
      ctx.release(image, patches);
    }
    ctx.release(stacked);
  }
  ctx.release(modulation, dmodulation);
}

void LevelEmbedding::tangent(Context& ctx, const Tensor& x, const Tensor& dx, const Tensor& dtokens) const {
  const Keeping keeping(ctx, true);
  Tensor modulation = no_modulation(ctx);
  for (std::int64_t sample = 0; sample < x.shape[0]; ++sample) {
    Tensor sites = embed(ctx, x.slice(sample, 1), false), mixed = level_tokens(ctx);
    Block::Saved saved;
    block_.forward(ctx, sequence_.table, sites, modulation, mixed, saved);
    Tensor d = embed(ctx, dx.slice(sample, 1), true);
    block_.tangent(ctx, sequence_.table, sites, saved, d, mixed);
    block_.release(ctx, saved);
    ctx.release(sites, d);
    projection_.tangent(ctx, mixed.reshaped(by_site()), dtokens.slice(sample * tokens_, tokens_));
    ctx.release(mixed);
  }
  ctx.release(modulation);
}

double LevelEmbedding::flops_per_sample() const {
  const double rows = double(tokens_) * double(levels()), width = double(level_width_);
  double work = 2 * double(tokens_) * double(projection_.in()) * double(projection_.out()) +
                2 * rows * width * width * (4 + 2 * kMlpRatio) + 4 * rows * double(levels()) * width;
  for (const Level& level : levels_) work += 2 * double(tokens_) * double(level.patch.in()) * width;
  return work;
}

}  // namespace zonda::model
