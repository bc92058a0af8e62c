#include "model/network/network_implementation.hpp"

#include "core/error.hpp"
#include "core/log.hpp"

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

}  // namespace

ForecastNetwork::Implementation::Implementation(const NetworkConfig& configuration, const Grid& on, int in, int out,
                                                int conditions, DType type, std::shared_ptr<Backend> which,
                                                const std::vector<int>& levels, const Sharding& sharding)
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
      embedding(shape.by_level ? Embedding(store, tokens, slab, levels, {shape.level_width(), shape.level_heads()},
                                           shape.width, type, backend->memory(), shape.lift)
                               : Embedding(store, tokens, slab, in, shape.width, type, backend->memory(), shape.lift)),
      conditioning(store, conditions, shape.width, shape.noise),
      merged_response(shape.merged_response ? std::optional<Linear>(std::in_place, store, merged_response_name,
                                                                    shape.width, shape.width, 0, false)
                                            : std::nullopt),
      head(store, tokens, slab, shape.width, out),
      blocks(store, shape, tokens, slab, type, backend->memory(), sharding.heads),
      link(sharding.stages),
      buckets_of_arena(cut_into_buckets(store)),
      embedding_bucket(bucket_named("embedding")),
      conditioning_bucket(bucket_named("conditioning")),
      head_bucket(bucket_named("head")),
      adapters(shape.rank > 0) {
  if (shape.by_level && levels.size() != static_cast<std::size_t>(in))
    fail(ErrorKind::usage, "network: {} input channels, and levels of {}", in, levels.size());
  copied.resize(buckets_of_arena.size());
  for (std::size_t layer = 0; layer < blocks.layers(); ++layer)
    layer_buckets.push_back(bucket_named(blocks.name(layer)));
  if (!link.alone()) cut_into_stages_of_ranks();
  if (config.recompute == "mlp") recompute.mlps = shape.layers();
  if (config.recompute == "block") recompute.blocks = shape.layers();
  lanes.emplace_back(backend->memory());
}

ForecastNetwork::Implementation::~Implementation() {
  for (Lane& lane : lanes) try {
      lane.settle();
    } catch (const Error& error) {
      log::debug("tokens on their way to another stage: {}", error.what());
    }
}

void ForecastNetwork::Implementation::cut_into_stages_of_ranks() {
  if (backend->memory().device() != Device::cpu)
    fail(ErrorKind::usage, "network: {} stages of the mesh's pipeline axis; layers are shared on the host alone",
         link.ranks().size());
  std::vector<double> work;
  for (std::size_t layer = 0; layer < blocks.layers(); ++layer) work.push_back(blocks.flops(layer));
  const std::vector<std::size_t> cuts =
      cut_into_stages(work, embedding.flops_per_sample(), head_flops(), link.ranks().size());
  const auto here = static_cast<std::size_t>(link.ranks().rank());
  blocks.keep_to(cuts[here], cuts[here + 1]);
  for (std::size_t stage = 0; stage + 1 < cuts.size(); ++stage)
    for (std::size_t layer = cuts[stage]; layer < cuts[stage + 1]; ++layer)
      buckets_of_arena[layer_buckets[layer]].stage = static_cast<int>(stage);
  buckets_of_arena[head_bucket].stage = link.ranks().size() - 1;
}

double ForecastNetwork::Implementation::head_flops() const {
  const double kernel = double(tokens.patches.kernel_rows) * tokens.patches.size;
  return 2 * double(tokens.count()) * shape.width * outputs * kernel +
         2 * 2 * 9 * double(outputs) * outputs * double(grid.size());
}

double ForecastNetwork::Implementation::flops() const {
  double sum = embedding.flops_per_sample() + head_flops();
  for (std::size_t layer = 0; layer < blocks.layers(); ++layer) sum += blocks.flops(layer);
  return sum;
}

double ForecastNetwork::Implementation::flops_here() const {
  double sum = (link.first() ? embedding.flops_per_sample() : 0) + (link.last() ? head_flops() : 0);
  for (std::size_t layer = blocks.first_layer(); layer < blocks.end_layer(); ++layer) sum += blocks.flops(layer);
  return sum;
}

std::int64_t ForecastNetwork::Implementation::numbers_here() const {
  std::int64_t sum = 0;
  for (const Bucket& bucket : buckets_of_arena)
    if (bucket.stage == link.ranks().rank()) sum += bucket.count;
  return sum;
}

std::size_t ForecastNetwork::Implementation::bucket_named(std::string_view name) const {
  const auto at = std::find_if(buckets_of_arena.begin(), buckets_of_arena.end(),
                               [&](const Bucket& bucket) { return bucket.name == name; });
  return static_cast<std::size_t>(at - buckets_of_arena.begin());
}

void ForecastNetwork::Implementation::refresh_copies(Context& ctx) {
  store.allocate_copies();
  if (!store.copies_stale()) return;
  ctx->cast(ctx, store.values(), store.copies());
  store.copies_made();
}

void ForecastNetwork::Implementation::begin_use(Context& ctx, std::size_t number, bool gradients) {
  if (ctx.planning()) return;
  if (observer && gradients && ctx.weight_gradients) observer->before_gradients(number);
  const bool new_values = observer && observer->before_use(number);
  if (ctx.trunk() == dtype || store.is_lent()) return;
  if (!observer) return refresh_copies(ctx);
  store.allocate_copies();
  if (!new_values && copied[number] == store.version()) return;
  const Bucket& bucket = buckets_of_arena[number];
  ctx->cast(ctx, store.values().slice(bucket.first, bucket.count), store.copies().slice(bucket.first, bucket.count));
  copied[number] = store.version();
}

void ForecastNetwork::Implementation::end_use(Context& ctx, std::size_t number, bool gradients) {
  if (ctx.planning() || !observer) return;
  if (gradients && ctx.weight_gradients) observer->gradients_ready(number);
  observer->after_use(number);
}

bool ForecastNetwork::Implementation::frozen_as_planned() const {
  const auto list = store.list();
  return std::equal(list.begin(), list.end(), frozen.begin(), frozen.end(),
                    [](const Parameter& p, bool planned) { return p.frozen == planned; });
}

void ForecastNetwork::Implementation::forget_plan() {
  batch = 0;
  for (Lane& lane : lanes) lane.kept = false;
}

ForecastNetwork::Implementation::Lane& ForecastNetwork::Implementation::lane_for(int number) {
  if (number < 0 || number >= std::ssize(lanes))
    fail(ErrorKind::failure, "network: lane {}, planned are {}", number, lanes.size());
  return lanes[static_cast<std::size_t>(number)];
}

void ForecastNetwork::Implementation::check(const char* what, const Tensor& tensor, const Shape& expected) const {
  if (tensor.shape != expected || tensor.dtype != dtype || !tensor.data)
    fail(ErrorKind::failure, "network: {} is {} of {}, expected {} of {}", what, name_of(tensor.dtype),
         tensor.shape.to_string(), name_of(dtype), expected.to_string());
  if (tensor.device != backend->memory().device())
    fail(ErrorKind::failure, "network: {} lies in another memory than the {} backend's", what, backend->name());
}

}  // namespace zonda::model
