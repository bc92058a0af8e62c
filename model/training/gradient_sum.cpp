#include "model/training/gradient_sum.hpp"

#include <algorithm>
#include <bit>

#include "core/error.hpp"
#include "model/tensor/staging.hpp"
#include "parallel/partition.hpp"

namespace zonda::model {

using parallel::TreeNode;

namespace {

std::vector<std::span<const float>> views_of(const std::vector<std::vector<float>>& sums, std::size_t count) {
  return {sums.begin(), sums.begin() + static_cast<std::ptrdiff_t>(count)};
}

void add_to(std::span<float> sum, std::span<const float> term) {
  for (std::size_t i = 0; i < sum.size(); ++i) sum[i] += term[i];
}

}  // namespace

std::size_t gradient_sum_bytes(std::size_t terms, std::size_t bytes) {
  return terms < 2 ? 0 : static_cast<std::size_t>(std::bit_width(terms)) * bytes;
}

GradientSum::GradientSum(ParameterStore& store, const ParameterShares& shares, std::size_t terms,
                         const GradientSumOptions& options)
    : store_(store), shares_(shares), terms_(terms), options_(options), buckets_(shares.buckets().size()) {
  const parallel::Communicator& data = shares.ranks().data;
  const parallel::Range mine =
      parallel::partition(terms, static_cast<std::size_t>(data.size()), static_cast<std::size_t>(data.rank()));
  begin_ = mine.begin;
  end_ = mine.end;
  if (options.by_bucket && terms < static_cast<std::size_t>(data.size()))
    fail(ErrorKind::usage, "train: {} micro-batches a step for {} data ranks; each needs one", terms, data.size());
  if (options.by_bucket && store.memory().device() != Device::cpu)
    fail(ErrorKind::failure, "gradients are taken by buckets in the host's memory only");
}

bool GradientSum::learns(std::size_t bucket) const {
  const Bucket& b = shares_.buckets()[bucket];
  const auto list = store_.list();
  return std::any_of(list.begin(), list.end(), [&](const Parameter& p) {
    return !p.frozen && p.offset >= b.first && p.offset < b.first + b.count;
  });
}

std::span<float> GradientSum::gradients(ArenaRange range) const {
  return store_.gradients().span<float>().subspan(static_cast<std::size_t>(range.first),
                                                  static_cast<std::size_t>(range.count));
}

void GradientSum::begin_term(Context&) {
  store_.allocate_gradients();
  if (!options_.by_bucket) return store_.zero_gradients();
  if (added_ > 0) return;  // buckets were left at zero
  for (std::size_t b = 0; b < buckets_.size(); ++b) {
    const ArenaRange own = shares_.own(b);
    store_.discard(store_.gradients(), own.first, own.count);  // the last step's
  }
}

void GradientSum::reduce_to_share(std::size_t bucket, std::span<const std::span<const float>> sums,
                                  std::span<float> share, const Spent& spent) const {
  const std::vector<std::size_t> cuts = shares_.data_cuts(bucket);
  if (!options_.fast) return parallel::canonical_reduce_scatter(data(), terms_, cuts, sums, share, spent);
  std::vector<float> total(cuts.back());
  for (const auto sum : sums) add_to(total, sum);
  data().all_reduce(std::span(total), parallel::Reduction::sum, parallel::Order::any).wait();
  std::copy_n(total.begin() + static_cast<std::ptrdiff_t>(cuts[static_cast<std::size_t>(data().rank())]), share.size(),
              share.begin());
}

/// What of the bucket this slab finishes, of `mine`, all of it: written to `sum`, which may lie in its place there.
void GradientSum::sum_over_slabs(std::size_t bucket, std::span<const float> mine, std::span<float> sum,
                                 const Spent& spent) const {
  if (!options_.fast)
    return parallel::canonical_reduce_scatter(slabs(), static_cast<std::size_t>(slabs().size()),
                                              shares_.slab_cuts(bucket), std::span(&mine, 1), sum, spent);
  std::vector<float> total(mine.begin(), mine.end());
  slabs().all_reduce(std::span(total), parallel::Reduction::sum, parallel::Order::any).wait();
  std::copy_n(total.begin() + (shares_.slab_share(bucket).first - shares_.buckets()[bucket].first), sum.size(),
              sum.begin());
}

const parallel::Communicator& GradientSum::data() const {
  const TrainingRanks& ranks = shares_.ranks();
  return options_.by_bucket && ranks.beside ? ranks.beside->data : ranks.data;
}

const parallel::Communicator& GradientSum::slabs() const {
  const TrainingRanks& ranks = shares_.ranks();
  return options_.by_bucket && ranks.beside ? ranks.beside->slabs : ranks.slabs;
}

void GradientSum::settle(std::size_t bucket) {
  if (under_way_ && under_way_->bucket == bucket) wait();
}

void GradientSum::wait() {
  if (!under_way_) return;
  parallel::Event event = std::move(under_way_->event);
  under_way_.reset();
  event.wait();
}

void GradientSum::gradients_ready(std::size_t bucket) {
  if (!options_.by_bucket || !learns(bucket)) return;
  // Products that add to what is there must find it: the passes' sum is taken after the last of them.
  int& pass = buckets_[bucket].pass;
  const bool last = ++pass == options_.passes;
  if (!last && !options_.chunked) return;
  const Found found{.bucket = bucket,
                    .term = begin_ + added_,
                    .first = !options_.chunked || pass == 1,
                    .last = last,
                    .ends = added_ + 1 == own_terms()};
  if (last) pass = 0;
  if (!shares_.ranks().beside) return take(found);
  wait();
  under_way_.emplace(bucket, stream_.run([this, found] { take(found); }));
}

void GradientSum::take(const Found& found) {
  BucketSum& b = buckets_[found.bucket];
  const Bucket& range = shares_.buckets()[found.bucket];
  const ArenaRange own = shares_.own(found.bucket), of_slab = shares_.slab_share(found.bucket);
  const bool kept = !found.first || !found.last || own_terms() > 1;
  // Gradients go while they are sent: the next bucket's are found meanwhile.
  const Spent spent = [&](parallel::Range columns) {
    store_.discard(store_.gradients(), range.first + static_cast<std::int64_t>(columns.begin),
                   static_cast<std::int64_t>(columns.size()));
  };
  const std::span<const float> mine = gradients({range.first, range.count});
  std::vector<float> received;
  std::span<float> sum = gradients(of_slab);
  if (slabs().size() > 1 && !range.replicated) {
    if (kept || data().size() > 1) {
      received.resize(sum.size());
      sum = received;
    }
    sum_over_slabs(found.bucket, mine, sum, spent);
  }
  if (!kept) {
    const std::span<const float> term = sum;
    if (data().size() > 1)
      reduce_to_share(found.bucket, std::span(&term, 1), gradients(own), slabs().size() == 1 ? spent : Spent());
    const std::int64_t end = range.first + range.count, own_end = own.first + own.count;
    store_.discard(store_.gradients(), range.first, own.first - range.first);
    store_.discard(store_.gradients(), own_end, end - own_end);
    return;
  }
  if (found.first) {
    b.nodes.push_back({found.term, found.term + 1});
    if (b.sums.size() < b.nodes.size()) b.sums.emplace_back();
    b.sums[b.nodes.size() - 1].assign(sum.begin(), sum.end());
  } else {
    add_to(b.sums[b.nodes.size() - 1], sum);
  }
  store_.discard(store_.gradients(), range.first, range.count);
  if (!found.last) return;
  for (std::size_t n = b.nodes.size(); n > 1 && parallel::are_siblings(terms_, b.nodes[n - 2], b.nodes[n - 1]); --n) {
    add_to(b.sums[n - 2], b.sums[n - 1]);
    b.nodes[n - 2].end = b.nodes[n - 1].end;
    b.nodes.pop_back();
  }
  if (!found.ends) return;
  reduce_to_share(found.bucket, views_of(b.sums, b.nodes.size()), gradients(own));
  b.nodes.clear();
}

/// The last two partial sums become one.
void GradientSum::join(Context& ctx) {
  const std::size_t last = nodes_.size() - 1;
  ctx->add(ctx, tensor_of(partial_[last], {store_.extent()}), tensor_of(partial_[last - 1], {store_.extent()}));
  nodes_[last - 1].end = nodes_[last].end;
  nodes_.pop_back();
}

void GradientSum::end_term(Context& ctx) {
  const std::size_t term = begin_ + added_++;
  if (options_.by_bucket) {
    for (const BucketSum& bucket : buckets_)
      if (bucket.pass != 0)
        fail(ErrorKind::failure, "a micro-batch ended after {} of {} passes", bucket.pass, options_.passes);
    return;
  }
  if (own_terms() == 1) return;  // it stays where it is
  nodes_.push_back({term, term + 1});
  if (partial_.size() < nodes_.size()) partial_.push_back(buffer_of(ctx->memory(), {store_.extent()}));
  ctx->memory().copy(partial_[nodes_.size() - 1].data(), store_.gradients().data, store_.gradients().bytes());
  while (nodes_.size() > 1 && parallel::are_siblings(terms_, nodes_[nodes_.size() - 2], nodes_.back())) join(ctx);
}

void GradientSum::finish_whole(Context& ctx) {
  const Tensor total = store_.gradients();
  const auto extent = static_cast<std::size_t>(store_.extent());
  const bool on_host = total.device == Device::cpu;
  const std::size_t count = own_terms() == 1 ? 1 : nodes_.size();
  // Of every node, as it lies on the host.
  std::vector<std::vector<float>> copies(on_host ? 0 : count);
  std::vector<std::span<const float>> sums;
  for (std::size_t n = 0; n < count; ++n) {
    const Tensor node = own_terms() == 1 ? total : tensor_of(partial_[n], {store_.extent()});
    if (!on_host) {
      copies[n].resize(extent);
      ctx->memory().copy_out(copies[n].data(), node.data, node.bytes());
    }
    sums.push_back(on_host ? std::span<const float>(node.span<float>()) : std::span<const float>(copies[n]));
  }
  std::vector<float> received(on_host ? 0 : extent);
  const std::span<float> result = on_host ? total.span<float>() : std::span(received);
  for (std::size_t b = 0; b < buckets_.size(); ++b) {
    if (!learns(b)) continue;
    const Bucket& bucket = shares_.buckets()[b];
    const auto of_bucket = [&](auto values) {
      return values.subspan(static_cast<std::size_t>(bucket.first), static_cast<std::size_t>(bucket.count));
    };
    std::vector<std::span<const float>> parts;
    for (const auto sum : sums) parts.push_back(of_bucket(sum));
    const ArenaRange own = shares_.own(b);
    reduce_to_share(b, parts, result.subspan(static_cast<std::size_t>(own.first), static_cast<std::size_t>(own.count)));
    if (!options_.whole) continue;
    std::vector<std::size_t> offsets;
    for (const std::size_t cut : shares_.cuts(b)) offsets.push_back(cut * sizeof(float));
    const auto share = result.subspan(static_cast<std::size_t>(own.first), static_cast<std::size_t>(own.count));
    shares_.ranks().data.all_gather(std::as_bytes(share), std::as_writable_bytes(of_bucket(result)), offsets).wait();
  }
  if (!on_host) ctx->memory().copy_in(total.data, received.data(), total.bytes());
}

void GradientSum::finish(Context& ctx) {
  wait();
  if (!options_.by_bucket) {
    if (own_terms() == 0) store_.zero_gradients();
    if (shares_.ranks().data.size() > 1)
      finish_whole(ctx);
    else if (own_terms() > 1)
      ctx->memory().copy(store_.gradients().data, partial_[0].data(), store_.gradients().bytes());
  }
  nodes_.clear();
  added_ = 0;
}

}  // namespace zonda::model
