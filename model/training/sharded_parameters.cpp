#include "model/training/sharded_parameters.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "core/checksum.hpp"
#include "core/error.hpp"
#include "core/log.hpp"
#include "model/tensor/staging.hpp"

namespace zonda::model {
namespace {

constexpr std::size_t none = static_cast<std::size_t>(-1);

std::span<std::byte> bytes_of(const Tensor& arena, ArenaRange range) {
  return {static_cast<std::byte*>(arena.data) + static_cast<std::size_t>(range.first) * size_of(arena.dtype),
          static_cast<std::size_t>(range.count) * size_of(arena.dtype)};
}

}  // namespace

ShardedParameters::ShardedParameters(ForecastNetwork& network, const TrainingRanks& ranks, int zero, bool fast_sums)
    : network_(network),
      zero_(zero),
      fast_(fast_sums),
      shares_(network.parameters(), network.buckets(), ranks),
      residence_(network.buckets().size()),
      last_two_({none, false}, {none, false}),
      expected_(none) {
  if (network.dtype() != DType::f32) fail(ErrorKind::failure, "parameters are shared in f32");
  if (!on_host() && (zero > 1 || ranks.slabs.size() > 1 || ranks.heads.size() > 1))
    fail(ErrorKind::usage, "train.zero: {}{}{}; on a device every rank keeps all gradients and values: zero: 1", zero,
         ranks.slabs.size() > 1 ? " and slabs of latitude" : "", ranks.heads.size() > 1 ? " and shared heads" : "");
  if (shares_.alone() || !on_host()) return;
  const bool in_stages = ranks.stages.size() > 1;
  network_.parameters().keep_sparse({.values = zero == 3 || in_stages, .gradients = true, .moments = true});
  network_.observe(this);
}

ShardedParameters::~ShardedParameters() {
  network_.observe(nullptr);
  for (Residence& bucket : residence_)
    if (bucket.state == State::arriving) try {
        bucket.arrival.wait();
      } catch (const Error& error) {
        log::debug("parameters on their way: {}", error.what());
      }
}

std::vector<ArenaRange> ShardedParameters::written() const {
  std::vector<ArenaRange> ranges;
  for (std::size_t b = 0; b < shares_.buckets().size(); ++b)
    if (const ArenaRange range = shares_.own(b); range.count > 0) ranges.push_back(range);
  return ranges;
}

std::vector<ArenaRange> ShardedParameters::own() const {
  if (!on_host()) return {{0, network_.parameters().extent()}};
  return written();
}

std::vector<ArenaRange> ShardedParameters::held() const {
  if (values_travel()) return written();
  if (shares_.ranks().stages.size() == 1) return {{0, network_.parameters().extent()}};
  std::vector<ArenaRange> ranges;
  for (std::size_t b = 0; b < shares_.buckets().size(); ++b)
    if (shares_.here(b)) ranges.push_back({shares_.buckets()[b].first, shares_.buckets()[b].count});
  return ranges;
}

void ShardedParameters::initialise(std::uint64_t seed) {
  if (!values_travel() && shares_.ranks().stages.size() == 1) return network_.initialise(seed);
  // What others keep goes as soon as it is drawn.
  ParameterStore& store = network_.parameters();
  const std::vector<ArenaRange> kept = held();
  network_.initialise(seed, [&](const Parameter& p) {
    std::int64_t at = p.offset;
    for (const ArenaRange range : kept) {
      const std::int64_t first = std::clamp(range.first, at, p.offset + p.count),
                         end = std::clamp(range.first + range.count, first, p.offset + p.count);
      store.discard(store.values(), at, first - at);
      at = end;
    }
    store.discard(store.values(), at, p.offset + p.count - at);
  });
}

void ShardedParameters::allocate(bool with_average) {
  ParameterStore& store = network_.parameters();
  store.allocate_gradients();
  store.allocate_optimiser(true);
  if (!shares_.alone() && on_host() && !with_average)
    for (const ArenaRange range : own())
      std::memcpy(store.average().as<float>() + range.first, store.values().as<float>() + range.first,
                  static_cast<std::size_t>(range.count) * sizeof(float));
  if (values_travel())
    for (std::size_t b = 0; b < residence_.size(); ++b) release(b);
}

void ShardedParameters::take_average() {
  settle_all();
  ParameterStore& store = network_.parameters();
  for (const ArenaRange range : own()) {
    const Tensor to = store.values().slice(range.first, range.count);
    store.memory().copy(to.data, store.average().slice(range.first, range.count).data, to.bytes());
  }
  values_are_new();
}

GradientSumOptions ShardedParameters::sum_options(int passes, std::size_t terms) const {
  const bool all_take_part = terms >= static_cast<std::size_t>(shares_.ranks().data.size());
  return {.passes = passes,
          .by_bucket = must_go_by_bucket() || (may_go_by_bucket() && all_take_part),
          .chunked = network_.slab().chunks() > 1,
          .whole = !on_host(),
          .fast = fast_};
}

double ShardedParameters::gradient_norm() const {
  if ((shares_.alone() && shares_.ranks().heads.size() == 1) || !on_host())
    return model::gradient_norm(network_.parameters(), &network_.backend());
  return std::sqrt(norm_over_heads(squares_of_buckets()));
}

/// Of all pieces in the order of the arena: each stage's ranks have those of its buckets, one after the other's.
std::vector<double> ShardedParameters::squares_of_buckets() const {
  const ParameterStore& store = network_.parameters();
  std::vector<double> mine;
  for (const ArenaRange range : written())
    for (const double sum : gradient_square_sums(store, range.first, range.count)) mine.push_back(sum);
  const std::size_t ranks = static_cast<std::size_t>(shares_.ranks().all.size()),
                    stages = static_cast<std::size_t>(shares_.ranks().stages.size()), buckets = residence_.size();
  std::vector<std::vector<std::size_t>> pieces(ranks, std::vector<std::size_t>(buckets));
  for (std::size_t r = 0; r < ranks; ++r)
    for (std::size_t b = 0; b < buckets; ++b) {
      const ArenaRange range = shares_.share(b, static_cast<int>(r));
      pieces[r][b] = count_pieces(store, range.first, range.count);
    }
  // Stage after stage, of each its ranks, of each its buckets.
  std::vector<std::vector<std::size_t>> first(stages, std::vector<std::size_t>(ranks));
  std::vector<std::size_t> stage_offsets{0};
  std::size_t total = 0;
  for (std::size_t s = 0; s < stages; ++s) {
    std::vector<std::size_t> offsets{0};
    const std::size_t before = total;
    for (std::size_t r = 0; r < ranks; ++r) {
      first[s][r] = total;
      for (std::size_t b = 0; b < buckets; ++b)
        if (shares_.buckets()[b].stage == static_cast<int>(s)) total += pieces[r][b];
      offsets.push_back((total - before) * sizeof(double));
    }
    stage_offsets.push_back(total * sizeof(double));
    if (static_cast<int>(s) != shares_.ranks().stages.rank()) continue;
    std::vector<double> of_stage(total - before);
    shares_.ranks()
        .all.all_gather(std::as_bytes(std::span(mine)), std::as_writable_bytes(std::span(of_stage)), offsets)
        .wait();
    mine = std::move(of_stage);
  }
  std::vector<double> all(total);
  shares_.ranks()
      .stages.all_gather(std::as_bytes(std::span(mine)), std::as_writable_bytes(std::span(all)), stage_offsets)
      .wait();
  std::vector<double> squares;
  for (std::size_t b = 0; b < buckets; ++b) {
    std::vector<std::size_t>& at = first[static_cast<std::size_t>(shares_.buckets()[b].stage)];
    for (std::size_t r = 0; r < ranks; ++r) {
      for (std::size_t i = 0; i < pieces[r][b]; ++i) squares.push_back(all[at[r] + i]);
      at[r] += pieces[r][b];
    }
  }
  return squares;
}

/// Of the pieces of this rank's arena: what ranks hold parts of is added over those that share heads.
double ShardedParameters::norm_over_heads(std::span<const double> squares) const {
  const ParameterStore& store = network_.parameters();
  const parallel::Communicator& heads = shares_.ranks().heads;
  double common = 0, own = 0;
  std::size_t piece = 0;
  for (const Parameter& p : store.list())
    for (std::size_t left = count_pieces(store, p.offset, p.count); left > 0; --left)
      (p.cut ? own : common) += squares[piece++];
  if (heads.size() == 1) return common;
  std::vector<double> of_all(static_cast<std::size_t>(heads.size()));
  heads.all_gather(std::as_bytes(std::span(&own, 1)), std::as_writable_bytes(std::span(of_all))).wait();
  for (const double of_rank : of_all) common += of_rank;
  return common;
}

void ShardedParameters::collect(GradientSum* sum) {
  sum_ = sum;
  for (Residence& bucket : residence_) bucket.ended = false;
}

void ShardedParameters::update(const AdamW& options, std::int64_t step, double average_decay) {
  settle_all();
  ParameterStore& store = network_.parameters();
  Backend* backend = &network_.backend();
  if (shares_.alone() || !on_host()) {
    adamw_step(store, options, step, 0, -1, backend);
    average_update(store, average_decay, backend);
    return;
  }
  for (const ArenaRange range : own()) {
    adamw_step(store, options, step, range.first, range.count, backend);
    average_update(store, average_decay, backend, range.first, range.count);
  }
  values_are_new();
}

/// Whoever holds values that others wrote gets them.
void ShardedParameters::values_are_new() {
  network_.parameters().values_changed();
  if (shares_.alone() || !on_host()) return;
  settle_all();
  if (values_travel()) {
    for (Residence& bucket : residence_) bucket.ended = false;
    release_unused(none);
    if (expected_ != none) start_gather(expected_);  // what the next step begins with
    return;
  }
  for (std::size_t b = 0; b < residence_.size(); ++b)
    if (shares_.here(b)) start_gather(b);
}

parallel::Event ShardedParameters::gather(std::size_t bucket) {
  const Tensor values = network_.parameters().values();
  const Bucket& range = shares_.buckets()[bucket];
  std::vector<std::size_t> offsets;
  for (const std::size_t cut : shares_.cuts(bucket)) offsets.push_back(cut * sizeof(float));
  return shares_.ranks().all.all_gather(bytes_of(values, shares_.own(bucket)),
                                        bytes_of(values, {range.first, range.count}), offsets);
}

void ShardedParameters::swap_average() {
  ParameterStore& store = network_.parameters();
  if (shares_.alone() || !on_host()) return store.swap_average();
  settle_all();
  for (const ArenaRange range : own())
    std::swap_ranges(store.values().as<float>() + range.first, store.values().as<float>() + range.first + range.count,
                     store.average().as<float>() + range.first);
  values_are_new();
}

/// Of what each rank has of an arena: [stages x ranks of a stage].
std::vector<std::uint32_t> ShardedParameters::hashes_of(const Tensor& arena, std::span<const ArenaRange> ranges) const {
  std::uint32_t hash = 0;
  std::vector<float> copy;
  const std::span<const float> numbers = model::on_host(arena, network_.parameters().memory(), copy);
  for (const ArenaRange range : ranges)
    hash = crc32c(
        std::as_bytes(numbers.subspan(static_cast<std::size_t>(range.first), static_cast<std::size_t>(range.count))),
        hash);
  const TrainingRanks& ranks = shares_.ranks();
  std::vector<std::uint32_t> of_stage(static_cast<std::size_t>(ranks.all.size())),
      hashes(of_stage.size() * static_cast<std::size_t>(ranks.stages.size()));
  ranks.all.all_gather(std::as_bytes(std::span(&hash, 1)), std::as_writable_bytes(std::span(of_stage))).wait();
  ranks.stages.all_gather(std::as_bytes(std::span(of_stage)), std::as_writable_bytes(std::span(hashes))).wait();
  return hashes;
}

std::vector<std::uint32_t> ShardedParameters::gradient_hashes() const {
  return hashes_of(network_.parameters().gradients(), own());
}

std::vector<int> ShardedParameters::ranks_that_differ() {
  const auto replicas = static_cast<std::size_t>(shares_.ranks().all.size());
  if (replicas == 1 || values_travel()) return {};
  settle_all();
  const std::vector<std::uint32_t> all = hashes_of(network_.parameters().values(), held());
  std::vector<int> wrong;
  for (std::size_t first = 0; first < all.size(); first += replicas) {
    const std::span<const std::uint32_t> hashes = std::span(all).subspan(first, replicas);
    // What most ranks have is taken to be right; of two that differ, both are named.
    const auto votes = [&](std::uint32_t h) { return std::count(hashes.begin(), hashes.end(), h); };
    const auto most = *std::max_element(hashes.begin(), hashes.end(),
                                        [&](std::uint32_t a, std::uint32_t b) { return votes(a) < votes(b); });
    const bool majority = 2 * votes(most) > static_cast<std::ptrdiff_t>(hashes.size());
    for (std::size_t r = 0; r < hashes.size(); ++r)
      if (hashes[r] != most || !majority) wrong.push_back(static_cast<int>(first + r));
  }
  return wrong;
}

bool ShardedParameters::heads_agree() {
  const parallel::Communicator& heads = shares_.ranks().heads;
  if (heads.size() == 1) return true;
  settle_all();
  const ParameterStore& store = network_.parameters();
  std::uint32_t hash = 0;
  for (const ArenaRange range : written())
    for (const Parameter& p : store.list()) {
      const std::int64_t first = std::max(range.first, p.offset),
                         end = std::min(range.first + range.count, p.offset + p.count);
      if (!p.cut && first < end) hash = crc32c(bytes_of(store.values(), {first, end - first}), hash);
    }
  std::vector<std::uint32_t> hashes(static_cast<std::size_t>(heads.size()));
  heads.all_gather(std::as_bytes(std::span(&hash, 1)), std::as_writable_bytes(std::span(hashes))).wait();
  std::int64_t equal = std::all_of(hashes.begin(), hashes.end(), [&](std::uint32_t h) { return h == hashes[0]; });
  shares_.ranks().stages.all_reduce(std::span(&equal, 1), parallel::Reduction::min).wait();
  return equal != 0;
}

void ShardedParameters::gather_to_root(const Tensor& arena, std::size_t bucket,
                                       std::vector<std::vector<float>>& wholes) const {
  const parallel::Communicator& heads = shares_.ranks().heads;
  constexpr int tag = 74, stage_tag = 75;
  const parallel::Communicator &all = shares_.ranks().all, &stages = shares_.ranks().stages;
  const Bucket& range = shares_.buckets()[bucket];
  wholes.resize(heads.is_root() ? static_cast<std::size_t>(heads.size()) : 1);
  if (shares_.here(bucket)) gather_shares(arena, bucket, wholes[0]);
  if (!all.is_root()) return;
  if (range.stage > 0 && stages.rank() == range.stage)
    stages.send(std::as_bytes(std::span(wholes[0])), 0, stage_tag).wait();
  if (!stages.is_root()) return;
  if (range.stage > 0) {
    wholes[0].resize(static_cast<std::size_t>(range.count));
    stages.receive(std::as_writable_bytes(std::span(wholes[0])), range.stage, stage_tag).wait();
  }
  if (!heads.is_root()) return heads.send(std::as_bytes(std::span(wholes[0])), 0, tag).wait();
  for (int r = 1; r < heads.size(); ++r) {
    std::vector<float>& whole = wholes[static_cast<std::size_t>(r)];
    whole.resize(wholes[0].size());
    heads.receive(std::as_writable_bytes(std::span(whole)), r, tag).wait();
  }
}

/// On the first rank of the bucket's stage.
void ShardedParameters::gather_shares(const Tensor& arena, std::size_t bucket, std::vector<float>& whole) const {
  const parallel::Communicator& all = shares_.ranks().all;
  const Bucket& range = shares_.buckets()[bucket];
  constexpr int tag = 73;
  if (all.is_root()) whole.resize(static_cast<std::size_t>(range.count));
  if (!on_host()) {
    if (all.is_root())
      network_.parameters().memory().copy_out(whole.data(), arena.as<float>() + range.first,
                                              whole.size() * sizeof(float));
    return;
  }
  const ArenaRange own = shares_.own(bucket);
  if (!all.is_root()) {
    if (own.count > 0) all.send(bytes_of(arena, own), 0, tag).wait();
    return;
  }
  for (int r = 0; r < all.size(); ++r) {
    const ArenaRange share = shares_.share(bucket, r);
    const auto place = std::span(whole).subspan(static_cast<std::size_t>(share.first - range.first),
                                                static_cast<std::size_t>(share.count));
    if (r == 0)
      std::copy_n(arena.as<float>() + share.first, share.count, place.begin());
    else if (share.count > 0)
      all.receive(std::as_writable_bytes(place), r, tag).wait();
  }
}

void ShardedParameters::start_gather(std::size_t bucket) {
  residence_[bucket].arrival = gather(bucket);
  residence_[bucket].state = State::arriving;
}

bool ShardedParameters::settle(std::size_t bucket) {
  Residence& residence = residence_[bucket];
  if (residence.state != State::arriving) return false;
  residence.arrival.wait();
  residence.state = State::present;
  return true;
}

void ShardedParameters::settle_all() {
  for (std::size_t b = 0; b < residence_.size(); ++b) settle(b);
}

void ShardedParameters::release(std::size_t bucket) {
  Residence& residence = residence_[bucket];
  settle(bucket);
  ParameterStore& store = network_.parameters();
  const Bucket& range = shares_.buckets()[bucket];
  const ArenaRange own = shares_.own(bucket);
  const std::int64_t end = range.first + range.count, own_end = own.first + own.count;
  store.discard(store.values(), range.first, own.first - range.first);
  store.discard(store.values(), own_end, end - own_end);
  if (!store.copies().none()) store.discard(store.copies(), range.first, range.count);
  residence = {.state = State::absent, .users = 0, .arrival = {}, .ended = residence.ended};
}

void ShardedParameters::release_unused(std::size_t but) {
  for (std::size_t b = 0; b < residence_.size(); ++b)
    if (b != but && residence_[b].users == 0 && residence_[b].state != State::absent) release(b);
}

bool ShardedParameters::before_use(std::size_t bucket) {
  if (!values_travel()) return settle(bucket);
  release_unused(bucket);
  Residence& residence = residence_[bucket];
  if (residence.state == State::absent) start_gather(bucket);
  const bool came = settle(bucket);
  ++residence.users;
  // What came after these two the last time comes now, too: all ranks do the same.
  after_[last_two_] = bucket;
  last_two_ = {last_two_.second, {bucket, std::exchange(backward_, false)}};
  const auto known = after_.find(last_two_);
  expected_ = known == after_.end() ? none : known->second;
  if (expected_ != none && residence_[expected_].state == State::absent && !residence_[expected_].ended)
    start_gather(expected_);
  return came;
}

void ShardedParameters::after_use(std::size_t bucket) {
  if (!values_travel()) return;
  if (--residence_[bucket].users == 0 && bucket != expected_) release(bucket);
}

void ShardedParameters::before_gradients(std::size_t bucket) {
  backward_ = true;
  if (sum_) sum_->settle(bucket);
}

void ShardedParameters::gradients_ready(std::size_t bucket) {
  if (!sum_) return;
  residence_[bucket].ended = sum_->is_last_of(bucket);
  sum_->gradients_ready(bucket);
}

}  // namespace zonda::model
