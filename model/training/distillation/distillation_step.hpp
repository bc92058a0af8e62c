#pragma once
// The gradient of one batch of a student: one step of it or several, each forced and relaxed at the boundary, scored on
// the interior against the truth and the teacher.
#include <array>
#include <span>
#include <string>
#include <vector>

#include "model/forecast_state/forecast_layout.hpp"
#include "model/network/forecast_network.hpp"
#include "model/training/distillation/feature_map.hpp"
#include "model/training/distillation/field_loss.hpp"

namespace zonda::model {

/// Weights of the terms of a student's loss; 0 leaves one out.
struct DistillLosses {
  double truth = 1;                             ///< squared error of the tendency against the archive's
  double teacher = 0.5;                         ///< against the teacher's
  double features = 0.1;                        ///< of the blocks' tokens, relative to the teacher's power
  double spectral = 0.01;                       ///< of the state's power by bands of wavelength, against the archive's
  std::vector<std::string> spectral_weights{};  ///< of channels within `spectral`, over 1: `q200=3`
};

/// One sample: all on the region, normalised, in memory of the caller.
struct DistillationSample {
  Time time;
  Duration step;
  std::vector<std::span<const float>> truth;                  ///< [count + 2] x(t-d), x(t), x(t+d) ...
  std::vector<std::span<const float>> teacher;                ///< [count] x(t+d) ...
  std::vector<std::vector<std::span<const float>>> features;  ///< [count][block][token, width]; may be empty
  bool host_is_teacher = true;                                ///< whose ring forces the student
};

class DistillationStep {
 public:
  /// Terms of the loss: their means over the steps and the batch, without weights; `total` with them.
  struct Loss {
    double truth = 0, teacher = 0, features = 0, spectral = 0, total = 0;
  };
  /// `batch` samples of `count` steps. Plans the student for it. `channel_weights [channel]`. `maps` may be null where
  /// features do not count. All must outlive this. Throws Error(usage) for spectral weights of channels that are not
  /// there.
  DistillationStep(ForecastNetwork& student, const ForecastStep& step, const DistillLosses& losses,
                   std::vector<float> channel_weights, FeatureMaps* maps, std::size_t batch, std::size_t count);
  ~DistillationStep();
  DistillationStep(const DistillationStep&) = delete;
  DistillationStep& operator=(const DistillationStep&) = delete;

  /// Sets the gradients of student and maps, or with `add` adds to the student's. Throws Error(numerical) naming the
  /// times where the loss is not finite.
  Loss gradient(std::span<const DistillationSample> samples, bool add = false);

 private:
  void forward(std::span<const DistillationSample> samples, std::size_t k, bool collect);
  void advance(std::span<const DistillationSample> samples, std::size_t k);
  void score(std::span<const DistillationSample> samples, std::size_t k, Loss& loss);
  void back(std::span<const DistillationSample> samples, std::size_t k);
  std::vector<float> strip(std::span<const float> state) const;
  Tensor image(std::vector<float>& values, std::size_t channels) const;
  std::size_t state_size() const { return step_.layout().channels.size() * step_.points(); }

  ForecastNetwork& student_;
  const ForecastStep& step_;
  const DistillLosses losses_;
  const std::vector<float> channel_weights_, spectral_weights_;
  FeatureMaps* maps_;
  const std::size_t batch_, count_;
  const Interior interior_;
  const CosineSpectrum spectrum_;
  Arena scratch_;
  // Of all samples, one after the other.
  std::vector<float> input_, output_, input_gradient_, condition_;
  std::vector<std::vector<float>> states_;             // [count + 2]
  std::vector<std::vector<float>> bounded_;            // [count] x(t+d) before relaxation
  std::vector<std::vector<float>> gradients_;          // [count + 2] of states_
  std::vector<std::vector<float>> own_;                // [count] of the losses with respect to bounded_
  std::vector<std::vector<float>> feature_gradients_;  // [block] of the present step
  std::vector<std::vector<float>> wanted_features_;    // [block] of the present step, all samples
  bool collecting_ = false, own_pass_ = false;         // others share the student
  double feature_error_ = 0;
};

}  // namespace zonda::model
