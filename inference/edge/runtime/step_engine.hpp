#pragma once
// StepEngine: a network of some shape on some grid that computes with the weights of whichever model asks. Models of
// the same shape share one; changing between them replaces the addresses of the tensors in which they differ.
#include <cstddef>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "inference/bundle/lent_parameters.hpp"
#include "inference/edge/runtime/model_weights.hpp"
#include "model/forecast_state/forecast_layout.hpp"
#include "model/network/forecast_network.hpp"

namespace zonda::edge {

class StepEngine {
 public:
  /// `threads` 0: all cores.
  StepEngine(const model::NetworkConfig& config, const model::ForecastLayout& layout, int threads);

  /// u [input channel, lat, lon], condition [condition size] -> y [output channel, lat, lon], normalised, with the
  /// adapters of the lead that the step begins at. With `merging` its blocks see fewer tokens. One at a time; others
  /// wait.
  void pass(const std::shared_ptr<const ModelWeights>& weights, std::span<const float> u,
            std::span<const float> condition, std::span<float> y, Duration lead = {},
            const std::optional<model::TokenMerging>& merging = {});
  /// Lends the weights; returns how many tensors changed.
  std::size_t take(const std::shared_ptr<const ModelWeights>& weights);
  /// Gives back the memory of activations until the next pass.
  void rest();

  /// Bytes of activations during a pass, and of tables.
  model::MemoryPlan memory() const;
  std::int64_t tokens() const;

 private:
  std::size_t lend(const std::shared_ptr<const ModelWeights>& weights);
  mutable std::mutex mutex_;
  model::ForecastNetwork network_;
  inference::LentParameters lent_;
  std::optional<model::TokenMerging> merging_;
  std::shared_ptr<const ModelWeights> present_;  // whose tensors are lent
};

}  // namespace zonda::edge
