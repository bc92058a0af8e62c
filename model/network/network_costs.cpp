// What a network will hold, work and send, known before it does.
#include <fmt/core.h>

#include <array>

#include "model/network/network_implementation.hpp"
#include "parallel/partition.hpp"

namespace zonda::model {

namespace {

/// Of the matrices that a Block multiplies with, adapters not among them.
bool is_block_matrix(std::string_view parameter) {
  for (const char* layer : {".qkv.weight", ".projection.weight", ".up.weight", ".down.weight"})
    if (parameter.ends_with(layer)) return true;
  return false;
}

}  // namespace

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

MemoryPlan ForecastNetwork::memory(int batch, Use use, bool average) const {
  return memory_with(self_->recompute, batch, use, average);
}

MemoryPlan ForecastNetwork::memory_with(const RecomputePolicy& policy, int batch, Use use, bool average) const {
  Implementation::Lane lane(self_->backend->memory());
  self_->walk(lane, batch, use, policy);
  const auto numbers = static_cast<std::size_t>(self_->numbers_here());
  MemoryPlan plan;
  plan.parameters = numbers * size_of(self_->dtype);
  plan.activations = lane.arena.peak_bytes();
  plan.tables = self_->embedding.table_bytes(use != Use::inference) + self_->blocks.table_bytes();
  if (use != Use::tangent && trunk() == DType::bf16) plan.copies = numbers * size_of(DType::bf16);
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

ForecastNetwork::Traffic ForecastNetwork::forward_traffic(int samples) const {
  const Implementation& s = *self_;
  Traffic sum;
  const auto add = [&](const parallel::HaloExchange::Traffic& part) { sum += {part.messages, part.bytes}; };
  if (s.link.first()) add(s.embedding.forward_traffic(s.image(samples, s.inputs).shape, s.dtype));
  add(s.blocks.forward_traffic(samples, s.dtype));
  if (s.link.last()) add(s.head.forward_traffic(samples, s.dtype));
  return sum;
}

ForecastNetwork::Traffic ForecastNetwork::backward_traffic(int samples, bool with_input_gradient) const {
  const Implementation& s = *self_;
  Traffic sum;
  const auto add = [&](const parallel::HaloExchange::Traffic& part) { sum += {part.messages, part.bytes}; };
  if (s.link.last()) add(s.head.backward_traffic(samples, s.dtype));
  add(s.blocks.backward_traffic(samples, s.dtype, true));
  if (!s.link.first()) return sum;
  add(s.embedding.backward_traffic(s.image(samples, s.inputs).shape, s.dtype, true, with_input_gradient));
  // The modulation's gradient, over the slabs: columns to those who add them, sums to everybody.
  if (!s.slab.alone()) {
    const auto ranks = static_cast<std::uint64_t>(s.slab.ranks().size());
    const auto numbers = static_cast<std::uint64_t>(samples) * 6 * static_cast<std::uint64_t>(s.shape.width);
    const std::uint64_t own =
        parallel::partition(numbers, ranks, static_cast<std::size_t>(s.slab.ranks().rank())).size();
    sum += {2 * (ranks - 1), (numbers - own + (ranks - 1) * own) * size_of(s.dtype)};
  }
  return sum;
}

ForecastNetwork::Traffic ForecastNetwork::forward_stage_traffic(int samples, bool to_all) const {
  const Implementation& s = *self_;
  Traffic sum =
      s.link.sending(StageLink::Way::onward, std::array{s.bytes_of(s.token_shape(samples, s.blocks.tokens_leaving())),
                                                        s.bytes_of(s.modulation_shape(samples))});
  if (to_all) sum += s.link.last_to_all_traffic(s.bytes_of(s.image(samples, s.outputs).shape));
  return sum;
}

ForecastNetwork::Traffic ForecastNetwork::backward_stage_traffic(int samples, bool with_input_gradient) const {
  const Implementation& s = *self_;
  Traffic sum =
      s.link.sending(StageLink::Way::back, std::array{s.bytes_of(s.token_shape(samples, s.blocks.tokens_arriving())),
                                                      s.bytes_of(s.modulation_shape(samples * s.chunks_here()))});
  if (with_input_gradient) sum += s.link.first_to_all_traffic(s.bytes_of(s.image(samples, s.inputs).shape));
  return sum;
}

std::int64_t ForecastNetwork::shared_head_sums() const {
  return 2 * self_->slab.token_count() * self_->shape.width * static_cast<std::int64_t>(layers_of_stage());
}

double ForecastNetwork::flops_per_sample() const {
  return self_->flops();
}
double ForecastNetwork::flops_of_stage() const {
  return self_->flops_here();
}

}  // namespace zonda::model
