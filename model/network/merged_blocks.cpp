#include "model/network/merged_blocks.hpp"

#include <map>

#include "model/network/mixing.hpp"

namespace zonda::model {

namespace {

/// Calls use(groups, tokens of the sample) for every sample, with tokens of the tensors' own type.
template <class Use>
void for_samples(Context& ctx, const std::vector<TokenGroups>& groups, Use&& use) {
  if (ctx.planning()) return;
  for (std::size_t s = 0; s < groups.size(); ++s)
    ctx.dtype() == DType::f64 ? use(groups[s], s, double{}) : use(groups[s], s, float{});
}

template <class T>
std::span<T> part(const Tensor& all, std::size_t s, std::size_t samples) {
  const std::span<T> values = all.span<T>();
  return values.subspan(s * (values.size() / samples), values.size() / samples);
}

/// The adapters of one sample in place of all samples'.
class BucketOf {
 public:
  BucketOf(Context& ctx, std::size_t sample) : ctx_(ctx), all_(ctx.buckets) {
    if (!all_.empty()) ctx.buckets = all_.subspan(sample, 1);
  }
  ~BucketOf() { ctx_.buckets = all_; }
  BucketOf(const BucketOf&) = delete;
  BucketOf& operator=(const BucketOf&) = delete;

 private:
  Context& ctx_;
  std::span<const std::int32_t> all_;
};

}  // namespace

MergedBlocks::MergedBlocks(const TokenMerging& merging, const NetworkShape& shape, const TokenGrid& grid,
                           const Linear* response)
    : merging_(merging), grid_(grid), width_(shape.width), response_(response) {
  std::map<Mixing, std::size_t> known;
  for (int i = merging.first; i < merging.last; ++i) {
    const Mixing mixing = mixing_of(shape, i);
    const auto [at, is_new] = known.emplace(mixing, drafts_.size());
    if (is_new) drafts_.push_back(draft_of(mixing, shape, grid));
    kind_of_.push_back(at->second);
  }
}

template <class T>
void MergedBlocks::merge(const Tensor& x, Saved& saved) const {
  const std::size_t samples = saved.groups.size();
  for (std::size_t s = 0; s < samples; ++s) {
    const std::span<const T> tokens = part<T>(x, s, samples);
    if constexpr (std::is_same_v<T, float>) {
      saved.groups[s] = merge_neighbours(grid_, tokens, width_, merging_.tokens);
    } else {
      saved.groups[s] =
          merge_neighbours(grid_, std::vector<float>(tokens.begin(), tokens.end()), width_, merging_.tokens);
    }
    gather_survivors<T>(saved.groups[s], tokens, width_, part<T>(saved.inputs[0], s, samples));
    for (std::size_t k = 0; k < drafts_.size(); ++k)
      saved.sequences[s * drafts_.size() + k].restrict_to(saved.groups[s]);
  }
}

void MergedBlocks::forward(Context& ctx, const Use& use, const Tensor& modulation, const Tensor& x, Saved& saved,
                           const std::function<Recompute(std::size_t)>& recompute) const {
  const auto samples = static_cast<std::size_t>(modulation.shape[0]);
  saved.inputs.assign(blocks() + 1, {});
  saved.blocks.resize(blocks() * samples);
  if (saved.groups.size() != samples || ctx.planning()) {
    saved.groups.assign(samples, {});
    saved.sequences.clear();
    for (std::size_t s = 0; s < samples; ++s)
      for (const SequenceDraft& draft : drafts_) saved.sequences.emplace_back(draft, merging_.tokens, ctx.dtype());
  }
  saved.inputs[0] = ctx.take({modulation.shape[0] * merging_.tokens, width_});
  if (!ctx.planning()) ctx.dtype() == DType::f64 ? merge<double>(x, saved) : merge<float>(x, saved);
  if (responds()) {
    saved.departures = take_given_up(ctx, samples);
    for_samples(ctx, saved.groups, [&](const TokenGroups& groups, std::size_t s, auto zero) {
      using T = decltype(zero);
      gather_departures<T>(groups, part<T>(x, s, samples), part<T>(saved.inputs[0], s, samples), width_,
                           part<T>(saved.departures, s, samples));
    });
  }
  for (std::size_t i = 0; i < blocks(); ++i) {
    if (use.before) use.before(block(i));
    saved.inputs[i + 1] = ctx.take(saved.inputs[0].shape);
    for (std::size_t s = 0; s < samples; ++s) {
      const BucketOf bucket(ctx, s);
      use.block(block(i)).forward(ctx, table(saved, i, s), of_sample(saved.inputs[i], s),
                                  modulation.slice(static_cast<std::int64_t>(s), 1), of_sample(saved.inputs[i + 1], s),
                                  saved.blocks[i * samples + s], recompute(block(i)));
    }
    if (!ctx.keep && i > 0) ctx.release(saved.inputs[i]);
    if (use.after) use.after(block(i));
  }
  for_samples(ctx, saved.groups, [&](const TokenGroups& groups, std::size_t s, auto zero) {
    using T = decltype(zero);
    spread_changes<T>(groups, part<T>(saved.inputs[0], s, samples), part<T>(saved.inputs.back(), s, samples), width_,
                      part<T>(x, s, samples));
  });
  ctx.release(saved.inputs.back());
  if (!ctx.keep) ctx.release(saved.inputs[0]);
  if (!responds()) return;
  respond(ctx, saved.groups, x, [&](const Tensor& answer) { response_->forward(ctx, saved.departures, answer); });
  if (!ctx.keep) ctx.release(saved.departures);
}

template <class Product>
void MergedBlocks::respond(Context& ctx, const std::vector<TokenGroups>& groups, const Tensor& x,
                           Product&& product) const {
  const std::size_t samples = groups.size();
  Tensor answer = take_given_up(ctx, samples);
  product(answer);
  for_samples(ctx, groups, [&](const TokenGroups& of_sample, std::size_t s, auto zero) {
    using T = decltype(zero);
    add_given_up<T>(of_sample, part<T>(answer, s, samples), width_, part<T>(x, s, samples));
  });
  ctx.release(answer);
}

void MergedBlocks::backward(Context& ctx, const Use& use, Saved& saved, const Tensor& d,
                            const Tensor& dmodulation) const {
  const std::size_t samples = saved.groups.size();
  Tensor change = ctx.take(saved.inputs[0].shape), dx = ctx.take(saved.inputs[0].shape);
  for_samples(ctx, saved.groups, [&](const TokenGroups& groups, std::size_t s, auto zero) {
    using T = decltype(zero);
    collect_changes<T>(groups, part<T>(d, s, samples), width_, part<T>(change, s, samples));
  });
  ctx->copy(ctx, change, dx);
  for (std::size_t i = blocks(); i-- > 0;) {
    if (use.before) use.before(block(i));
    for (std::size_t s = 0; s < samples; ++s) {
      const BucketOf bucket(ctx, s);
      use.block(block(i)).backward(ctx, table(saved, i, s), of_sample(saved.inputs[i], s),
                                   saved.blocks[i * samples + s], of_sample(dx, s),
                                   dmodulation.slice(static_cast<std::int64_t>(s), 1));
    }
    if (i > 0) ctx.release(saved.inputs[i]);
    if (use.after) use.after(block(i));
  }
  for_samples(ctx, saved.groups, [&](const TokenGroups&, std::size_t s, auto zero) {
    using T = decltype(zero);
    const std::span<T> into = part<T>(dx, s, samples), changes = part<T>(change, s, samples);
    for (std::size_t k = 0; k < into.size(); ++k) into[k] -= changes[k];
  });
  if (responds()) respond_back(ctx, saved, d, dx);
  for_samples(ctx, saved.groups, [&](const TokenGroups& groups, std::size_t s, auto zero) {
    using T = decltype(zero);
    add_survivors<T>(groups, part<T>(dx, s, samples), width_, part<T>(d, s, samples));
  });
  ctx.release(change, dx, saved.inputs[0]);
  if (responds()) ctx.release(saved.departures);
}

void MergedBlocks::respond_back(Context& ctx, const Saved& saved, const Tensor& d, const Tensor& dsurvivors) const {
  const std::size_t samples = saved.groups.size();
  Tensor danswer = take_given_up(ctx, samples), departures = take_given_up(ctx, samples);
  for_samples(ctx, saved.groups, [&](const TokenGroups& groups, std::size_t s, auto zero) {
    using T = decltype(zero);
    gather_given_up<T>(groups, part<T>(d, s, samples), width_, part<T>(danswer, s, samples));
  });
  response_->backward_weight(ctx, saved.departures, danswer);
  response_->backward_input(ctx, danswer, departures);
  for_samples(ctx, saved.groups, [&](const TokenGroups& groups, std::size_t s, auto zero) {
    using T = decltype(zero);
    add_departures<T>(groups, part<T>(departures, s, samples), width_, part<T>(d, s, samples),
                      part<T>(dsurvivors, s, samples));
  });
  ctx.release(danswer, departures);
}

void MergedBlocks::tangent(Context& ctx, const Use& use, const Saved& saved, const Tensor& d) const {
  const std::size_t samples = saved.groups.size();
  Tensor before = ctx.take(saved.inputs[0].shape);
  for_samples(ctx, saved.groups, [&](const TokenGroups& groups, std::size_t s, auto zero) {
    using T = decltype(zero);
    gather_survivors<T>(groups, part<T>(d, s, samples), width_, part<T>(before, s, samples));
  });
  Tensor departures;
  if (responds()) {
    departures = take_given_up(ctx, samples);
    for_samples(ctx, saved.groups, [&](const TokenGroups& groups, std::size_t s, auto zero) {
      using T = decltype(zero);
      gather_departures<T>(groups, part<T>(d, s, samples), part<T>(before, s, samples), width_,
                           part<T>(departures, s, samples));
    });
  }
  Tensor dx = before;
  for (std::size_t i = 0; i < blocks(); ++i) {
    if (use.before) use.before(block(i));
    Tensor dy = ctx.take(dx.shape);
    for (std::size_t s = 0; s < samples; ++s) {
      const BucketOf bucket(ctx, s);
      use.block(block(i)).tangent(ctx, table(saved, i, s), of_sample(saved.inputs[i], s), saved.blocks[i * samples + s],
                                  of_sample(dx, s), of_sample(dy, s));
    }
    if (i > 0) ctx.release(dx);
    dx = dy;
    if (use.after) use.after(block(i));
  }
  for_samples(ctx, saved.groups, [&](const TokenGroups& groups, std::size_t s, auto zero) {
    using T = decltype(zero);
    spread_changes<T>(groups, part<T>(before, s, samples), part<T>(dx, s, samples), width_, part<T>(d, s, samples));
  });
  ctx.release(dx, before);
  if (!responds()) return;
  respond(ctx, saved.groups, d, [&](const Tensor& answer) { response_->tangent(ctx, departures, answer); });
  ctx.release(departures);
}

}  // namespace zonda::model
