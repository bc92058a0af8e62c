#pragma once
// RegionalModel: a bundle that runs. Its weights are mapped, not loaded; models that share tensors share their memory.
#include <cstddef>
#include <filesystem>
#include <functional>
#include <memory>
#include <span>
#include <string>

#include "inference/bundle/bundle.hpp"
#include "inference/edge/feed/boundary_feed.hpp"
#include "inference/edge/forecast/coastline.hpp"
#include "inference/edge/forecast/regional_forecast.hpp"
#include "inference/edge/runtime/step_engine.hpp"

namespace zonda::edge {

struct RuntimeOptions {
  int threads = 0;                          ///< 0: all cores
  std::shared_ptr<SharedTensors> shared{};  ///< of all models of this process that may share weights; none: its own
};

struct SelfTest {
  double largest = 0;                                   ///< difference from golden/output, normalised
  double tolerance = 0;                                 ///< what the manifest allows
  bool passed() const { return largest <= tolerance; }  // NaN fails
};

/// Steps done, and of how many.
using RunProgress = std::function<void(std::size_t step, std::size_t of)>;
/// Asked before every step.
using RunCancelled = std::function<bool()>;

class RegionalModel {
 public:
  /// Every byte of the bundle is verified. Throws Error(data): no bundle, damaged, or weights that do not fit the
  /// network.
  static std::shared_ptr<RegionalModel> open(const std::filesystem::path& bundle, const RuntimeOptions& options = {});
  /// Another bundle, beside this one: where network and grid are the same, it takes over tables and memory, and only
  /// tensors that differ are read. This model goes on working.
  std::shared_ptr<RegionalModel> sibling(const std::filesystem::path& bundle) const;
  /// What comes ahead of sibling(): reads the manifest, and verifies the tensors that no living model has. Throws
  /// Error(data).
  inference::Bundle prepare(const std::filesystem::path& bundle) const;
  /// The same as of the folder; what has been verified is not verified again.
  std::shared_ptr<RegionalModel> sibling(inference::Bundle bundle) const;

  /// Runs the golden sample.
  SelfTest self_test();
  /// The forecast from the feed's cycle as far as its strips reach, initial state included; SI. Throws Error(data)
  /// where the feed is not this model's or a strip is missing (names the lead), Error(usage) for a level that the
  /// bundle does not have, Error(temporary) when cancelled, Error(numerical) for values that are not finite.
  RegionalForecast run(const BoundaryFeed& feed, int level = 0, const RunProgress& progress = {},
                       const RunCancelled& cancelled = {});
  /// One pass of the network in normalised space: u [input channel, lat, lon], condition [condition size] -> y [output
  /// channel, lat, lon]. `lead`: where the step begins, which chooses the adapters. Throws Error(usage) for a level
  /// that the bundle does not have.
  void pass(std::span<const float> u, std::span<const float> condition, std::span<float> y, int level = 0,
            Duration lead = {});

  /// The region's coast, of the bundle, else from the model's land-sea mask; empty where it has neither. Throws
  /// Error(data).
  std::vector<CoastSegment> coast() const;

  const inference::BundleManifest& manifest() const { return bundle_.manifest(); }
  const std::string& identity() const { return bundle_.identity(); }
  const model::ForecastLayout& layout() const { return layout_; }
  const std::shared_ptr<SharedTensors>& shared() const { return shared_; }
  std::size_t weight_bytes() const { return weights_->bytes(); }
  /// Of them, bytes that no other model of the same SharedTensors had when this one was opened.
  std::size_t bytes_mapped_anew() const { return weights_->mapped_anew(); }
  std::size_t activation_bytes() const { return engine_->memory().activations; }
  bool shares_engine(const RegionalModel& other) const { return engine_ == other.engine_; }

 private:
  RegionalModel(inference::Bundle bundle, std::shared_ptr<SharedTensors> shared, int threads,
                const RegionalModel* relative);
  void require_feed(const BoundaryFeed& feed) const;
  const inference::TokenLevel& token_level(int level) const;

  inference::Bundle bundle_;
  model::ForecastLayout layout_;
  std::shared_ptr<SharedTensors> shared_;
  int threads_;
  std::shared_ptr<const ModelWeights> weights_;
  std::shared_ptr<StepEngine> engine_;
};

}  // namespace zonda::edge
