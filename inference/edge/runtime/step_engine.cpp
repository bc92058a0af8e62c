#include "inference/edge/runtime/step_engine.hpp"

#include <array>

#include "model/forecast_state/layout_network.hpp"
#include "model/ops/backend.hpp"

namespace zonda::edge {

namespace {

model::Tensor view(std::span<const float> values, const model::Shape& shape) {
  return model::Tensor::of(std::span(const_cast<float*>(values.data()), values.size()), shape);
}

model::Shape image(const Grid& grid, int channels) {
  return {1, channels, static_cast<std::int64_t>(grid.nlat()), static_cast<std::int64_t>(grid.nlon())};
}

}  // namespace

StepEngine::StepEngine(const model::NetworkConfig& config, const model::ForecastLayout& layout, int threads)
    : network_(model::network_of_layout(config, layout, model::make_backend("cpu", threads))) {}

std::size_t StepEngine::lend(const std::shared_ptr<const ModelWeights>& weights) {
  if (present_ && present_->id() == weights->id()) return 0;
  model::ParameterStore& store = network_.parameters();
  std::size_t changed = 0;
  const auto stored = [&](const std::string& name) { return weights->at(name); };
  for (model::ParameterId id = 0; id < static_cast<model::ParameterId>(store.list().size()); ++id) {
    const std::string name = inference::weights_prefix + store.at(id).name;
    const auto same = [&](const std::string& tensor) {
      return present_->at(tensor).bytes.data() == weights->at(tensor).bytes.data();
    };
    const bool quantised = weights->at(name).dtype == model::DType::i8;
    if (present_ && same(name) && (!quantised || same(name + ".scales"))) continue;
    lent_.lend(store, id, stored);
    ++changed;
  }
  present_ = weights;
  return changed;
}

std::size_t StepEngine::take(const std::shared_ptr<const ModelWeights>& weights) {
  const std::lock_guard lock(mutex_);
  return lend(weights);
}

void StepEngine::pass(const std::shared_ptr<const ModelWeights>& weights, std::span<const float> u,
                      std::span<const float> condition, std::span<float> y, Duration lead,
                      const std::optional<model::TokenMerging>& merging) {
  const std::lock_guard lock(mutex_);
  lend(weights);
  if (merging != merging_) {
    network_.set_merging(merging);
    merging_ = merging;
  }
  network_.plan(1, model::Use::inference);
  network_.set_leads(std::array{std::chrono::duration<double, std::ratio<86400>>(lead).count()});
  network_.forward(view(u, image(network_.grid(), network_.input_channels())),
                   view(condition, {1, network_.condition_size()}),
                   model::Tensor::of(y, image(network_.grid(), network_.output_channels())));
}

void StepEngine::rest() {
  const std::lock_guard lock(mutex_);
  network_.release_activations();
}

model::MemoryPlan StepEngine::memory() const {
  const std::lock_guard lock(mutex_);
  return network_.memory(1, model::Use::inference, false);
}

std::int64_t StepEngine::tokens() const {
  return network_.slab().token_count();
}

}  // namespace zonda::edge
