#include "model/network/forecast_network.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <functional>
#include <string_view>
#include <vector>

#include "core/error.hpp"
#include "core/grid.hpp"
#include "core/philox.hpp"
#include "model/network/chunk_sum.hpp"
#include "model/network/conditioning.hpp"
#include "model/network/embedding.hpp"
#include "model/network/head.hpp"
#include "model/network/trunk.hpp"
#include "parallel/canonical.hpp"

namespace zonda::model {

namespace {

/// Parameters of one part follow one another; the part is the name's first word.
std::vector<Bucket> cut_into_buckets(const ParameterStore& store) {
  std::vector<Bucket> buckets;
  for (const Parameter& p : store.list()) {
    const std::string part = p.name.substr(0, p.name.find('.'));
    if (buckets.empty() || buckets.back().name != part) buckets.push_back({part, p.offset, 0, part == "conditioning"});
    Bucket& bucket = buckets.back();
    bucket.count = p.offset + p.count - bucket.first;
  }
  // Gaps between parameters belong to the part before them.
  for (std::size_t i = 0; i < buckets.size(); ++i)
    buckets[i].count = (i + 1 < buckets.size() ? buckets[i + 1].first : store.extent()) - buckets[i].first;
  return buckets;
}

std::uint64_t index_in_whole(const Parameter& p, std::size_t i) {
  return p.cut ? static_cast<std::uint64_t>(p.cut->index(static_cast<std::int64_t>(i))) : i;
}

}  // namespace

struct ForecastNetwork::Implementation {
  /// What a forward pass leaves for backward and tangent.
  struct Activations {
    Tensor noise, modulation;
    Conditioning::Saved conditioning;
    Trunk::Activations trunk;
    Head::Saved head;
  };
  /// Where the parts of a planned step begin in the arena.
  struct Sections {
    std::size_t tangent = 0, adjoint = 0, backward = 0;
  };

  Implementation(const NetworkConfig& configuration, const Grid& on, int in, int out, int conditions, DType type,
                 std::shared_ptr<Backend> which, const std::vector<int>& levels, const Sharding& sharding)
      : config(configuration),
        shape(resolve(configuration)),
        grid(on),
        inputs(in),
        outputs(out),
        condition_numbers(conditions),
        dtype(type),
        backend(which ? std::move(which) : make_backend(type == DType::f64 ? "reference" : "cpu")),
        store(type, backend->memory()),
        tokens(on, shape.patch),
        slab(tokens, sharding, shape.windows.front().rows),
        embedding(shape.by_level
                      ? Embedding(store, tokens, slab, levels, {shape.level_width(), shape.level_heads()}, shape.width,
                                  type, backend->memory(), shape.lift)
                      : Embedding(store, tokens, slab, in, shape.width, type, backend->memory(), shape.lift)),
        conditioning(store, conditions, shape.width, shape.noise),
        head(store, tokens, slab, shape.width, out),
        blocks(store, shape, tokens, slab, type, backend->memory(), sharding.heads),
        adapters(shape.rank > 0) {
    if (shape.by_level && levels.size() != static_cast<std::size_t>(in))
      fail(ErrorKind::usage, "network: {} input channels, and levels of {}", in, levels.size());
    copied.resize(buckets_of_arena.size());
    for (std::size_t layer = 0; layer < blocks.layers(); ++layer)
      layer_buckets.push_back(bucket_named(blocks.name(layer)));
    if (config.recompute == "mlp") recompute.mlps = shape.layers();
    if (config.recompute == "block") recompute.blocks = shape.layers();
  }

  DType trunk() const { return config.precision == "bf16" && dtype == DType::f32 ? DType::bf16 : dtype; }
  Context context(Arena& in, Use purpose) const {
    Context ctx(*backend, in, dtype, purpose == Use::tangent ? dtype : trunk());
    ctx.keep = purpose != Use::inference;
    ctx.int8 = purpose == Use::inference && config.precision == "int8";
    if (adapters) ctx.buckets = buckets;
    return ctx;
  }
  Recompute recompute_of(std::size_t block, const RecomputePolicy& policy, Use purpose) const {
    if (purpose != Use::training) return Recompute::none;
    const auto i = static_cast<int>(block);
    return i < policy.blocks ? Recompute::block : i < policy.blocks + policy.mlps ? Recompute::mlp : Recompute::none;
  }
  // --- parameters in use, one bucket after the other
  std::size_t bucket_named(std::string_view name) const {
    const auto at = std::find_if(buckets_of_arena.begin(), buckets_of_arena.end(),
                                 [&](const Bucket& bucket) { return bucket.name == name; });
    return static_cast<std::size_t>(at - buckets_of_arena.begin());
  }
  /// The copies of all parameters at once, where nobody brings values one bucket after the other.
  void refresh_copies(Context& ctx) {
    store.allocate_copies();
    if (!store.copies_stale()) return;
    ctx->cast(ctx, store.values(), store.copies());
    store.copies_made();
  }
  /// The trunk's products read bf16 copies of the weights.
  void begin_use(Context& ctx, std::size_t number) {
    if (ctx.planning()) return;
    const bool new_values = observer && observer->before_use(number);
    if (ctx.trunk() == dtype || store.is_lent()) return;
    if (!observer) return refresh_copies(ctx);
    store.allocate_copies();
    if (!new_values && copied[number] == store.version()) return;
    const Bucket& bucket = buckets_of_arena[number];
    ctx->cast(ctx, store.values().slice(bucket.first, bucket.count), store.copies().slice(bucket.first, bucket.count));
    copied[number] = store.version();
  }
  void end_use(Context& ctx, std::size_t number, bool gradients = false) {
    if (ctx.planning() || !observer) return;
    if (gradients && ctx.weight_gradients) observer->gradients_ready(number);
    observer->after_use(number);
  }
  /// Around each layer.
  Trunk::Watch watch(Context& ctx, bool gradients) {
    return {[this, &ctx](std::size_t layer) { begin_use(ctx, layer_buckets[layer]); },
            gradients ? std::function<void(std::size_t)>(
                            [this, &ctx](std::size_t layer) { end_use(ctx, layer_buckets[layer], true); })
                      : [this, &ctx](std::size_t layer) { end_use(ctx, layer_buckets[layer]); },
            &tap};
  }

  Shape token_shape(std::int64_t batch_size) const { return {batch_size * slab.token_count(), shape.width}; }
  std::span<const std::int64_t> raster_chunks() const {
    return slab.chunks() > 1 ? std::span(slab.chunk_offsets()) : std::span<const std::int64_t>{};
  }

  void forward(Context& ctx, Activations& a, const Tensor& x, const Tensor& condition, const Tensor& noise,
               const Tensor& y, Use purpose, const RecomputePolicy& policy) {
    const std::int64_t n = x.shape[0];
    a.modulation = ctx.take({n, 6 * shape.width});
    if (shape.noise > 0) {
      a.noise = ctx.take({n, shape.noise});
      noise.none() ? ctx->fill(ctx, a.noise, 0) : ctx->copy(ctx, noise, a.noise);
    }
    begin_use(ctx, conditioning_bucket);
    conditioning.forward(ctx, condition, a.modulation, a.conditioning, a.noise);
    end_use(ctx, conditioning_bucket);
    if (!ctx.keep && shape.noise > 0) ctx.release(a.noise);
    const Tensor embedded = ctx.take(token_shape(n));
    begin_use(ctx, embedding_bucket);
    embedding.forward(ctx, x, embedded);
    end_use(ctx, embedding_bucket);
    const auto recomputed = [&](std::size_t layer) { return recompute_of(layer, policy, purpose); };
    blocks.forward(ctx, embedded, a.modulation, a.trunk, std::ref(recomputed), watch(ctx, false));
    if (!ctx.keep) ctx.release(a.modulation);
    begin_use(ctx, head_bucket);
    head.forward(ctx, a.trunk.output, y, a.head);
    end_use(ctx, head_bucket);
    if (!ctx.keep) ctx.release(a.trunk.output);
  }

  void backward(Context& ctx, Activations& a, const Tensor& x, const Tensor& condition, const Tensor& dy,
                const Tensor& dx) {
    const std::int64_t n = x.shape[0], chunks = slab.chunks() > 1 ? slab.chunks_here() : 1;
    Tensor d = ctx.take(token_shape(n)), dmodulation = ctx.take({chunks * n, 6 * shape.width});
    begin_use(ctx, head_bucket);
    {
      const ChunkScope scope(ctx, raster_chunks());
      head.backward(ctx, a.trunk.output, a.head, dy, d);
    }
    end_use(ctx, head_bucket, true);
    ctx.release(a.trunk.output);
    ctx->fill(ctx, dmodulation, 0);
    blocks.backward(ctx, a.trunk, d, dmodulation, watch(ctx, true));
    add_chunks(ctx, n, dmodulation);
    begin_use(ctx, conditioning_bucket);
    conditioning.backward(ctx, condition, a.conditioning, dmodulation);
    end_use(ctx, conditioning_bucket, true);
    ctx.release(dmodulation, a.modulation);
    if (shape.noise > 0) ctx.release(a.noise);
    begin_use(ctx, embedding_bucket);
    {
      const ChunkScope scope(ctx, raster_chunks());
      embedding.backward(ctx, x, d, dx);
    }
    end_use(ctx, embedding_bucket, true);
    ctx.release(d);
  }

  /// The modulation's gradient, [chunks n, 6 D] of this rank's chunks, becomes the sum over all chunks, [n, 6 D].
  void add_chunks(Context& ctx, std::int64_t n, Tensor& dmodulation) {
    if (slab.chunks() == 1) return;
    Tensor total = ctx.take({n, dmodulation.shape[1]});
    ctx->fill(ctx, total, 0);
    {
      const ChunkScope scope(ctx, raster_chunks());
      sum_over_chunks(ctx, total, [&](std::size_t chunk, const Tensor& into) {
        ctx->add(ctx, dmodulation.slice(static_cast<std::int64_t>(chunk) * n, n), into);
      });
    }
    ctx.release(dmodulation);
    dmodulation = total;
    if (slab.alone() || ctx.planning()) return;
    const auto over_slabs = [&](auto zero) {
      std::vector<decltype(zero)> mine(static_cast<std::size_t>(total.count())), all(mine.size());
      ctx->memory().copy_out(mine.data(), total.data, total.bytes());
      parallel::canonical_all_reduce(slab.ranks(), static_cast<std::size_t>(slab.ranks().size()), mine.size(),
                                     std::span<const decltype(zero)>(mine), std::span(all));
      ctx->memory().copy_in(total.data, all.data(), total.bytes());
    };
    dtype == DType::f64 ? over_slabs(double{}) : over_slabs(float{});
  }

  void tangent(Context& ctx, const Activations& a, const Tensor& x, const Tensor& dx, const Tensor& dy) {
    const Tensor embedded = ctx.take(token_shape(dx.shape[0]));
    begin_use(ctx, embedding_bucket);
    embedding.tangent(ctx, x, dx, embedded);
    end_use(ctx, embedding_bucket);
    Tensor d = blocks.tangent(ctx, a.trunk, embedded, watch(ctx, false));
    begin_use(ctx, head_bucket);
    head.tangent(ctx, a.trunk.output, a.head, d, dy);
    end_use(ctx, head_bucket);
    ctx.release(d);
  }

  Tensor image(std::int64_t n, int channels) const {
    return Tensor(
        nullptr,
        {n, channels, static_cast<std::int64_t>(slab.image_rows().size()), static_cast<std::int64_t>(grid.nlon())},
        dtype, backend->memory().device());
  }

  /// Walks a whole step without memory.
  Sections walk(Arena& to, int n, Use purpose, const RecomputePolicy& policy) {
    Activations a;
    const Tensor x = image(n, inputs), y = image(n, outputs), condition(nullptr, {n, condition_numbers}, dtype);
    const std::vector<std::int32_t> first_bucket(static_cast<std::size_t>(n));
    Sections found;
    to.begin_plan();
    Context ctx = context(to, purpose);
    if (adapters) ctx.buckets = first_bucket;
    forward(ctx, a, x, condition, {}, y, purpose, policy);
    if (purpose == Use::tangent) {
      to.protect();
      found.tangent = to.position();
      tangent(ctx, a, x, x, y);
      found.adjoint = to.position();
      ctx.weight_gradients = false;
      backward(ctx, a, x, condition, y, x);
      ctx.weight_gradients = true;
    }
    if (purpose != Use::inference) {
      found.backward = to.position();
      backward(ctx, a, x, condition, y, x);
    }
    to.finish_plan();
    return found;
  }

  bool frozen_as_planned() const {
    const auto list = store.list();
    return std::equal(list.begin(), list.end(), frozen.begin(), frozen.end(),
                      [](const Parameter& p, bool planned) { return p.frozen == planned; });
  }

  void forget_plan() {
    batch = 0;
    kept = false;
  }

  void check(const char* what, const Tensor& tensor, const Shape& expected) const {
    if (tensor.shape != expected || tensor.dtype != dtype || !tensor.data)
      fail(ErrorKind::failure, "network: {} is {} of {}, expected {} of {}", what, name_of(tensor.dtype),
           tensor.shape.to_string(), name_of(dtype), expected.to_string());
    if (tensor.device != backend->memory().device())
      fail(ErrorKind::failure, "network: {} lies in another memory than the {} backend's", what, backend->name());
  }

  NetworkConfig config;
  NetworkShape shape;
  Grid grid;
  int inputs, outputs, condition_numbers;
  DType dtype;
  std::shared_ptr<Backend> backend;
  ParameterStore store;
  TokenGrid tokens;
  Slab slab;
  Embedding embedding;
  Conditioning conditioning;
  Head head;
  Trunk blocks;

  std::vector<Bucket> buckets_of_arena = cut_into_buckets(store);
  const std::size_t embedding_bucket = bucket_named("embedding"), conditioning_bucket = bucket_named("conditioning"),
                    head_bucket = bucket_named("head");
  std::vector<std::size_t> layer_buckets;
  std::vector<std::uint64_t> copied;  // version of the values that each bucket's bf16 copy is of
  BucketObserver* observer = nullptr;
  bool is_precise(std::string_view name) const { return precise && precise(name); }
  TokenTap tap;
  std::function<bool(std::string_view)> precise;
  bool adapters;                      // on
  std::vector<std::int32_t> buckets;  // [batch] of adapters
  RecomputePolicy recompute;
  Arena arena{backend->memory()};
  Sections sections;
  int batch = 0;
  std::uint64_t plans = 0;  // made so far
  Use use = Use::inference;
  std::vector<bool> frozen;  // [parameters] when the plan was made
  Activations activations;
  Tensor last_x, last_condition;  // of the last forward()
  bool kept = false;              // the last forward()'s activations are there
};

ForecastNetwork::ForecastNetwork(const NetworkConfig& config, const Grid& grid, int input_channels, int output_channels,
                                 int condition_size, DType dtype, std::shared_ptr<Backend> backend,
                                 const std::vector<int>& levels, const Sharding& sharding) {
  if (input_channels < 1 || output_channels < 1 || condition_size < 1)
    fail(ErrorKind::usage, "network: {} input, {} output channels, {} condition numbers: each must be at least 1",
         input_channels, output_channels, condition_size);
  if (dtype != DType::f32 && dtype != DType::f64)
    fail(ErrorKind::usage, "network: parameters are kept in f32 or f64, not {}", name_of(dtype));
  self_ = std::make_unique<Implementation>(config, grid, input_channels, output_channels, condition_size, dtype,
                                           std::move(backend), levels, sharding);
}

ForecastNetwork::~ForecastNetwork() = default;
ForecastNetwork::ForecastNetwork(ForecastNetwork&&) noexcept = default;
ForecastNetwork& ForecastNetwork::operator=(ForecastNetwork&&) noexcept = default;

ParameterStore& ForecastNetwork::parameters() {
  return self_->store;
}
const ParameterStore& ForecastNetwork::parameters() const {
  return self_->store;
}
void ForecastNetwork::allocate() {
  self_->store.allocate_values();
}

void ForecastNetwork::initialise(std::uint64_t seed, const std::function<void(const Parameter&)>& drawn) {
  allocate();
  ParameterStore& store = self_->store;
  std::vector<double> numbers;
  for (ParameterId id = 0; id < static_cast<ParameterId>(store.list().size()); ++id) {
    const Parameter& p = store.at(id);
    const Philox random(seed, "initial weights " + p.name);
    numbers.assign(static_cast<std::size_t>(p.count), double(p.initial_value));
    if (p.initial_scale > 0)
      for (std::size_t i = 0; i < numbers.size(); ++i)
        numbers[i] += double(p.initial_scale) * std::clamp(random.normal(index_in_whole(p, i)), -3.0, 3.0);
    const Tensor value = store.value(id);
    const Buffer initial = numbers_in(host_memory(), store.dtype(), numbers);
    store.memory().copy_in(value.data, initial.data(), value.bytes());
    if (drawn) drawn(p);
  }
  store.values_changed();
}

const RecomputePolicy& ForecastNetwork::recompute() const {
  return self_->recompute;
}

void ForecastNetwork::set_recompute(const RecomputePolicy& policy) {
  if (policy == self_->recompute) return;
  self_->recompute = policy;
  self_->forget_plan();
}

std::optional<RecomputePolicy> ForecastNetwork::recompute_within(std::size_t bytes, int batch, bool average) const {
  const int blocks = self_->shape.layers();
  // From keeping everything to keeping nothing but the blocks' inputs, in 2 x blocks steps.
  const auto policy_of = [blocks](int step) {
    return step <= blocks ? RecomputePolicy{0, step} : RecomputePolicy{step - blocks, 2 * blocks - step};
  };
  const auto fits = [&](int step) {
    return memory_with(policy_of(step), batch, Use::training, average).total() <= bytes;
  };
  int low = 0, high = 2 * blocks;
  if (!fits(high)) return std::nullopt;
  while (low < high) {
    const int middle = (low + high) / 2;
    if (fits(middle))
      high = middle;
    else
      low = middle + 1;
  }
  return policy_of(low);
}

std::string RecomputePolicy::to_string() const {
  if (blocks == 0 && mlps == 0) return "nothing";
  std::string text = blocks > 0 ? fmt::format("{} blocks", blocks) : "";
  if (mlps > 0) text += fmt::format("{}the MLPs of {} blocks", blocks > 0 ? " and " : "", mlps);
  return text;
}

namespace {

/// Of the matrices that a Block multiplies with, adapters not among them.
bool is_block_matrix(std::string_view parameter) {
  for (const char* layer : {".qkv.weight", ".projection.weight", ".up.weight", ".down.weight"})
    if (parameter.ends_with(layer)) return true;
  return false;
}

}  // namespace

std::size_t ForecastNetwork::plan(int batch, Use use) {
  if (batch < 1) fail(ErrorKind::usage, "network: a batch of {} samples", batch);
  Implementation& s = *self_;
  if (batch != s.batch || use != s.use || !s.frozen_as_planned()) {
    s.sections = s.walk(s.arena, batch, use, s.recompute);
    ++s.plans;
    s.batch = batch;
    s.use = use;
    s.frozen.clear();
    for (const Parameter& p : s.store.list()) s.frozen.push_back(p.frozen);
    s.kept = false;
    s.buckets.resize(static_cast<std::size_t>(batch));
  }
  return s.arena.peak_bytes();
}

std::uint64_t ForecastNetwork::make_ready() {
  Implementation& s = *self_;
  if (s.batch == 0) fail(ErrorKind::failure, "network: made ready before plan");
  plan(s.batch, s.use);
  s.arena.allocate();
  Context ctx = s.context(s.arena, s.use);
  if (ctx.trunk() != s.dtype && !s.observer && !s.store.is_lent()) s.refresh_copies(ctx);
  return s.plans;
}

void ForecastNetwork::release_activations() {
  self_->arena.free();
  self_->kept = false;
}

MemoryPlan ForecastNetwork::memory(int batch, Use use, bool average) const {
  return memory_with(self_->recompute, batch, use, average);
}

MemoryPlan ForecastNetwork::memory_with(const RecomputePolicy& policy, int batch, Use use, bool average) const {
  Arena arena(self_->backend->memory());
  self_->walk(arena, batch, use, policy);
  MemoryPlan plan;
  plan.parameters = static_cast<std::size_t>(self_->store.extent()) * size_of(self_->dtype);
  plan.activations = arena.peak_bytes();
  plan.tables = self_->embedding.table_bytes() + self_->blocks.table_bytes();
  if (use != Use::tangent && trunk() == DType::bf16)
    plan.copies = static_cast<std::size_t>(self_->store.extent()) * size_of(DType::bf16);
  if (use == Use::inference && self_->config.precision == "int8")
    for (const Parameter& p : self_->store.list())
      if (is_block_matrix(p.name) && !self_->is_precise(p.name))
        plan.copies += Linear::quantised_bytes(p.shape[0], p.shape[1]);
  if (use == Use::training) {
    plan.gradients = plan.parameters;
    plan.moments = 2 * plan.parameters;
    plan.average = average ? plan.parameters : 0;
  }
  return plan;
}

void ForecastNetwork::forward(const Tensor& x, const Tensor& condition, const Tensor& y, const Tensor& noise) {
  Implementation& s = *self_;
  if (s.batch == 0) fail(ErrorKind::failure, "network: forward before plan");
  plan(s.batch, s.use);  // another one where parameters were frozen or thawed since
  if (!s.store.complete()) fail(ErrorKind::failure, "network: forward before the parameters are there");
  s.check("x", x, s.image(s.batch, s.inputs).shape);
  s.check("the condition", condition, {s.batch, s.condition_numbers});
  s.check("y", y, s.image(s.batch, s.outputs).shape);
  if (!noise.none()) s.check("the noise", noise, {s.batch, s.shape.noise});
  s.arena.allocate();
  s.arena.rewind(0);
  Context ctx = s.context(s.arena, s.use);
  s.forward(ctx, s.activations, x, condition, noise, y, s.use, s.recompute);
  s.last_x = x;
  s.last_condition = condition;
  s.kept = ctx.keep;
}

void ForecastNetwork::backward(const Tensor& dy, const Tensor& dx, bool weight_gradients) {
  Implementation& s = *self_;
  if (!s.kept)
    fail(ErrorKind::failure, "network: backward without the activations of a forward in a training or tangent plan");
  if (!weight_gradients && s.use != Use::tangent)
    fail(ErrorKind::failure, "network: the adjoint without weight gradients needs a tangent plan");
  s.check("dy", dy, s.image(s.batch, s.outputs).shape);
  if (!dx.none()) s.check("dx", dx, s.image(s.batch, s.inputs).shape);
  if (weight_gradients) s.store.allocate_gradients();
  s.arena.rewind(weight_gradients ? s.sections.backward : s.sections.adjoint);
  Context ctx = s.context(s.arena, s.use);
  ctx.weight_gradients = weight_gradients;
  s.backward(ctx, s.activations, s.last_x, s.last_condition, dy, dx);
  s.kept = s.use == Use::tangent;
}

void ForecastNetwork::tangent(const Tensor& dx, const Tensor& dy) {
  Implementation& s = *self_;
  if (!s.kept || s.use != Use::tangent) fail(ErrorKind::failure, "network: tangent needs a forward in a tangent plan");
  s.check("dx", dx, s.image(s.batch, s.inputs).shape);
  s.check("dy", dy, s.image(s.batch, s.outputs).shape);
  s.arena.rewind(s.sections.tangent);
  Context ctx = s.context(s.arena, s.use);
  s.tangent(ctx, s.activations, s.last_x, dx, dy);
}

void ForecastNetwork::set_tap(TokenTap tap) {
  self_->tap = std::move(tap);
  self_->forget_plan();
}

void ForecastNetwork::keep_precise(const std::function<bool(std::string_view parameter)>& choose) {
  self_->blocks.keep_precise(choose);
  self_->precise = choose;
  self_->forget_plan();
}

std::vector<std::string> ForecastNetwork::int8_matrices() const {
  std::vector<std::string> names;
  for (const Parameter& p : self_->store.list())
    if (is_block_matrix(p.name) && !self_->is_precise(p.name)) names.push_back(p.name);
  return names;
}

void ForecastNetwork::set_adapters(bool on) {
  const bool wanted = on && self_->shape.rank > 0;
  if (wanted == self_->adapters) return;
  const int batch = self_->batch;
  self_->adapters = wanted;
  self_->forget_plan();
  if (batch > 0) plan(batch, self_->use);
}

void ForecastNetwork::set_leads(std::span<const double> days) {
  Implementation& s = *self_;
  if (s.shape.rank == 0) return;
  if (!days.empty() && days.size() != s.buckets.size())
    fail(ErrorKind::failure, "network: leads of {} samples, planned are {}", days.size(), s.buckets.size());
  std::fill(s.buckets.begin(), s.buckets.end(), 0);
  const std::vector<double>& edges = s.shape.lead_edges;
  for (std::size_t i = 0; i < days.size(); ++i)
    s.buckets[i] = static_cast<std::int32_t>(std::upper_bound(edges.begin(), edges.end(), days[i]) - edges.begin());
}

void ForecastNetwork::merge_adapters(int bucket) {
  Implementation& s = *self_;
  if (s.shape.rank == 0) return;
  if (bucket < 0 || bucket >= s.shape.buckets())
    fail(ErrorKind::usage, "network: adapters of bucket {}, there are {}", bucket, s.shape.buckets());
  if (s.store.values().none()) fail(ErrorKind::failure, "network: no parameters to merge adapters into");
  Arena scratch(s.backend->memory());
  scratch.begin_plan();
  Context ctx(*s.backend, scratch, s.dtype);
  s.blocks.merge_adapters(ctx, bucket);
  scratch.finish_plan();
  scratch.allocate();
  scratch.rewind(0);
  s.blocks.merge_adapters(ctx, bucket);
  s.store.values_changed();
  set_adapters(false);
}

void ForecastNetwork::set_merging(const std::optional<TokenMerging>& merging) {
  self_->blocks.set_merging(merging);
  self_->forget_plan();
}

void ForecastNetwork::freeze_base() {
  self_->store.freeze([](std::string_view name) { return !is_adapter(name); });
}

void ForecastNetwork::freeze_lifted() {
  self_->store.freeze(
      [](std::string_view name) { return name.starts_with("block") || name.starts_with("conditioning"); });
}

const Slab& ForecastNetwork::slab() const {
  return self_->slab;
}
const std::vector<Bucket>& ForecastNetwork::buckets() const {
  return self_->buckets_of_arena;
}
void ForecastNetwork::observe(BucketObserver* observer) {
  self_->observer = observer;
}

Backend& ForecastNetwork::backend() const {
  return *self_->backend;
}
DType ForecastNetwork::trunk() const {
  return self_->trunk();
}
const NetworkShape& ForecastNetwork::shape() const {
  return self_->shape;
}
const NetworkConfig& ForecastNetwork::config() const {
  return self_->config;
}
const Grid& ForecastNetwork::grid() const {
  return self_->grid;
}
int ForecastNetwork::input_channels() const {
  return self_->inputs;
}
int ForecastNetwork::output_channels() const {
  return self_->outputs;
}
int ForecastNetwork::condition_size() const {
  return self_->condition_numbers;
}
int ForecastNetwork::noise_size() const {
  return self_->shape.noise;
}
DType ForecastNetwork::dtype() const {
  return self_->dtype;
}
std::int64_t ForecastNetwork::parameter_count() const {
  return self_->store.count();
}

ForecastNetwork::Traffic ForecastNetwork::forward_traffic(int samples) const {
  const Implementation& s = *self_;
  Traffic sum;
  for (const auto& part : {s.embedding.forward_traffic(s.image(samples, s.inputs).shape, s.dtype),
                           s.blocks.forward_traffic(samples, s.dtype), s.head.forward_traffic(samples, s.dtype)}) {
    sum.messages += part.messages;
    sum.bytes += part.bytes;
  }
  return sum;
}

ForecastNetwork::Traffic ForecastNetwork::backward_traffic(int samples, bool with_input_gradient) const {
  const Implementation& s = *self_;
  Traffic sum;
  for (const auto& part :
       {s.embedding.backward_traffic(s.image(samples, s.inputs).shape, s.dtype, true, with_input_gradient),
        s.blocks.backward_traffic(samples, s.dtype, true), s.head.backward_traffic(samples, s.dtype)}) {
    sum.messages += part.messages;
    sum.bytes += part.bytes;
  }
  // The modulation's gradient, over the slabs: columns to those who add them, sums to everybody.
  if (!s.slab.alone()) {
    const auto ranks = static_cast<std::uint64_t>(s.slab.ranks().size());
    const auto numbers = static_cast<std::uint64_t>(samples) * 6 * static_cast<std::uint64_t>(s.shape.width);
    const std::uint64_t own =
        parallel::partition(numbers, ranks, static_cast<std::size_t>(s.slab.ranks().rank())).size();
    sum.messages += 2 * (ranks - 1);
    sum.bytes += (numbers - own + (ranks - 1) * own) * size_of(s.dtype);
  }
  return sum;
}

std::int64_t ForecastNetwork::shared_head_sums() const {
  return 2 * self_->slab.token_count() * self_->shape.width * self_->shape.layers();
}

double ForecastNetwork::flops_per_sample() const {
  const Implementation& s = *self_;
  const double tokens = double(s.tokens.count()), width = s.shape.width;
  const double kernel = double(s.tokens.patches.kernel_rows) * s.tokens.patches.size;
  return s.embedding.flops_per_sample() +
         s.blocks.flops(s.shape, s.slab.token_count()) * tokens / double(s.slab.token_count()) +
         2 * tokens * width * s.outputs * kernel + 2 * 2 * 9 * double(s.outputs) * s.outputs * double(s.grid.size());
}

bool is_addition(std::string_view parameter) {
  return is_adapter(parameter) || parameter.starts_with("lift") || parameter.starts_with("conditioning.noise");
}

void draw_noise(std::uint64_t seed, std::uint64_t step, std::uint64_t first_member, std::span<float> out,
                std::size_t n) {
  const Philox philox(seed, "ensemble noise of step " + std::to_string(step));
  for (std::size_t i = 0; i < out.size(); ++i) out[i] = static_cast<float>(philox.normal(first_member * n + i));
}

}  // namespace zonda::model
