#include "model/network/forecast_network.hpp"

#include <algorithm>
#include <array>
#include <functional>
#include <string_view>
#include <vector>

#include "core/error.hpp"
#include "core/philox.hpp"
#include "model/network/network_implementation.hpp"

namespace zonda::model {

namespace {

std::uint64_t index_in_whole(const Parameter& p, std::size_t i) {
  return p.cut ? static_cast<std::uint64_t>(p.cut->index(static_cast<std::int64_t>(i))) : i;
}

}  // namespace

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

std::size_t ForecastNetwork::plan(int batch, Use use, int lanes) {
  if (batch < 1) fail(ErrorKind::usage, "network: a batch of {} samples", batch);
  Implementation& s = *self_;
  const bool other = batch != s.batch || use != s.use || !s.frozen_as_planned();
  const auto wanted = static_cast<std::size_t>(lanes > 0 ? lanes : other ? 1 : std::ssize(s.lanes));
  if (other || wanted != s.lanes.size()) {
    for (Implementation::Lane& lane : s.lanes) lane.settle();
    while (s.lanes.size() > wanted) s.lanes.pop_back();
    while (s.lanes.size() < wanted) s.lanes.emplace_back(s.backend->memory());
    for (Implementation::Lane& lane : s.lanes) {
      s.sections = s.walk(lane, batch, use, s.recompute);
      lane.kept = false;
    }
    ++s.plans;
    s.batch = batch;
    s.use = use;
    s.frozen.clear();
    for (const Parameter& p : s.store.list()) s.frozen.push_back(p.frozen);
    s.buckets.resize(static_cast<std::size_t>(batch));
  }
  return s.lanes.size() * s.lanes.front().arena.peak_bytes();
}

std::uint64_t ForecastNetwork::make_ready() {
  Implementation& s = *self_;
  if (s.batch == 0) fail(ErrorKind::failure, "network: made ready before plan");
  plan(s.batch, s.use, static_cast<int>(s.lanes.size()));
  for (Implementation::Lane& lane : s.lanes) lane.arena.allocate();
  Context ctx = s.context(s.lanes.front().arena, s.use, s.buckets);
  if (ctx.trunk() != s.dtype && !s.observer && !s.store.is_lent()) s.refresh_copies(ctx);
  return s.plans;
}

void ForecastNetwork::release_activations() {
  for (Implementation::Lane& lane : self_->lanes) {
    lane.settle();
    lane.arena.free();
    lane.kept = false;
  }
}

void ForecastNetwork::expect_forward_of_stage() {
  Implementation& s = *self_;
  s.link.expect(StageLink::Way::onward, std::array{s.bytes_of(s.token_shape(s.batch, s.blocks.tokens_arriving())),
                                                   s.bytes_of(s.modulation_shape(s.batch))});
}

void ForecastNetwork::expect_backward_of_stage() {
  Implementation& s = *self_;
  s.link.expect(StageLink::Way::back, std::array{s.bytes_of(s.token_shape(s.batch, s.blocks.tokens_leaving())),
                                                 s.bytes_of(s.modulation_shape(s.chunks_here() * s.batch))});
}

void ForecastNetwork::forward_of_stage(int number, const Tensor& x, const Tensor& condition, const Tensor& y,
                                       const Tensor& noise) {
  Implementation& s = *self_;
  if (s.batch == 0) fail(ErrorKind::failure, "network: forward before plan");
  // Another one where parameters were frozen or thawed since.
  plan(s.batch, s.use, static_cast<int>(s.lanes.size()));
  if (!s.store.complete()) fail(ErrorKind::failure, "network: forward before the parameters are there");
  if (s.link.first()) {
    s.check("x", x, s.image(s.batch, s.inputs).shape);
    s.check("the condition", condition, {s.batch, s.condition_numbers});
    if (!noise.none()) s.check("the noise", noise, {s.batch, s.shape.noise});
  }
  if (s.link.last()) s.check("y", y, s.image(s.batch, s.outputs).shape);
  Implementation::Lane& lane = s.lane_for(number);
  lane.settle();
  lane.arena.allocate();
  lane.arena.rewind(0);
  lane.buckets = s.buckets;
  Context ctx = s.context(lane.arena, s.use, lane.buckets);
  s.forward(ctx, lane, s.batch, x, condition, noise, y, s.use, s.recompute);
  lane.x = x;
  lane.condition = condition;
  lane.kept = ctx.keep;
}

void ForecastNetwork::forward(const Tensor& x, const Tensor& condition, const Tensor& y, const Tensor& noise) {
  forward_of_stage(0, x, condition, y, noise);
  if (stages() == 1) return;
  self_->check("y", y, self_->image(self_->batch, self_->outputs).shape);
  self_->link.last_to_all(y);
}

void ForecastNetwork::pass_back(int number, const Tensor& dy, const Tensor& dx, bool weight_gradients) {
  Implementation& s = *self_;
  Implementation::Lane& lane = s.lane_for(number);
  if (!lane.kept)
    fail(ErrorKind::failure, "network: backward without the activations of a forward in a training or tangent plan");
  if (!weight_gradients && s.use != Use::tangent)
    fail(ErrorKind::failure, "network: the adjoint without weight gradients needs a tangent plan");
  if (s.link.last()) s.check("dy", dy, s.image(s.batch, s.outputs).shape);
  if (!dx.none()) s.check("dx", dx, s.image(s.batch, s.inputs).shape);
  if (weight_gradients) s.store.allocate_gradients();
  lane.settle();
  lane.arena.rewind(weight_gradients ? s.sections.backward : s.sections.adjoint);
  Context ctx = s.context(lane.arena, s.use, lane.buckets);
  ctx.weight_gradients = weight_gradients;
  s.backward(ctx, lane, s.batch, lane.x, lane.condition, dy, dx);
  lane.kept = s.use == Use::tangent;
}

void ForecastNetwork::backward_of_stage(int number, const Tensor& dy) {
  pass_back(number, dy, Tensor(), true);
}

void ForecastNetwork::backward(const Tensor& dy, const Tensor& dx, bool weight_gradients) {
  pass_back(0, dy, dx, weight_gradients);
  if (!dx.none()) self_->link.first_to_all(dx);
}

void ForecastNetwork::tangent(const Tensor& dx, const Tensor& dy) {
  Implementation& s = *self_;
  Implementation::Lane& lane = s.lane_for(0);
  if (!lane.kept || s.use != Use::tangent)
    fail(ErrorKind::failure, "network: tangent needs a forward in a tangent plan");
  s.check("dx", dx, s.image(s.batch, s.inputs).shape);
  s.check("dy", dy, s.image(s.batch, s.outputs).shape);
  lane.settle();
  lane.arena.rewind(s.sections.tangent);
  Context ctx = s.context(lane.arena, s.use, lane.buckets);
  s.tangent(ctx, lane, s.batch, lane.x, dx, dy);
  s.link.last_to_all(dy);
}

void ForecastNetwork::set_tap(TokenTap tap) {
  if (!self_->link.alone() && (tap.output || tap.gradient))
    fail(ErrorKind::usage, "network: tokens between layers are seen where one rank holds all of them, not {} stages",
         stages());
  self_->tap = std::move(tap);
  self_->forget_plan();
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
  self_->blocks.set_merging(merging, self_->merged_response ? &*self_->merged_response : nullptr);
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

void ForecastNetwork::observe_work(WorkObserver observer) {
  self_->at_work = std::move(observer);
}

int ForecastNetwork::stages() const {
  return self_->link.ranks().size();
}
std::size_t ForecastNetwork::layers_of_stage() const {
  return self_->blocks.end_layer() - self_->blocks.first_layer();
}
int ForecastNetwork::stage() const {
  return self_->link.ranks().rank();
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

bool is_addition(std::string_view parameter) {
  return is_adapter(parameter) || parameter.starts_with("lift") || parameter.starts_with("conditioning.noise") ||
         parameter.starts_with(merged_response_name);
}

void draw_noise(std::uint64_t seed, std::uint64_t step, std::uint64_t first_member, std::span<float> out,
                std::size_t n) {
  const Philox philox(seed, "ensemble noise of step " + std::to_string(step));
  for (std::size_t i = 0; i < out.size(); ++i) out[i] = static_cast<float>(philox.normal(first_member * n + i));
}

}  // namespace zonda::model
