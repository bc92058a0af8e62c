#pragma once
// A micro-batch in a network's memory: what is given of each sample lies in one image, and the network's input, target
// and next state are maps between channels of images.
#include <cstdint>
#include <span>
#include <vector>

#include "model/forecast_state/forecast_layout.hpp"
#include "model/tensor/staging.hpp"
#include "model/training/batch_loader.hpp"

namespace zonda::model {

/// How examples are varied while training.
struct Augmentation {
  double input_noise = 0;       ///< standard deviation of noise on the normalised input states
  bool roll_longitude = false;  ///< turned around the globe by a random number of columns
  std::uint64_t seed = 1;
};

/// Where a sample begins instead of at the archive's states, in memory of the caller.
struct SampleStart {
  const float *previous = nullptr, *current = nullptr;  ///< [channel, row, lon] at t-d and t; null: the archive's
  int lead_steps = 0;                                   ///< steps that led to them
};

class StagedBatch {
 public:
  /// `samples` pass together, `count` steps each; images are of the step's rows.
  StagedBatch(const ForecastStep& step, Memory& memory, std::size_t samples, std::size_t count);

  /// Takes samples `chosen` (one may come more than once). `number`: of the batch's first sample over the whole
  /// phase, key of noise and turns; `times`: the archive's; `starts`: one for each of the batch's samples, or empty.
  void stage(const Batch& batch, std::span<const std::size_t> chosen, std::uint64_t number, std::span<const Time> times,
             const Augmentation& augmentation = {}, std::span<const SampleStart> starts = {});

  std::size_t samples() const { return steps_.size(); }
  Duration step(std::size_t sample) const { return steps_[sample]; }
  std::size_t turned(std::size_t sample) const { return turned_[sample]; }  ///< columns
  /// Days of lead time at which step k of each sample begins, [samples].
  std::vector<double> lead_days(std::size_t k) const;
  /// x(t + (k - 1) d) as given, k = 0 ... count + 1.
  StateView given(std::size_t k) const;
  Tensor condition(std::size_t k) const { return conditions_[k].tensor(); }
  Shape state_shape() const { return image_shape(step_.layout().output_channels()); }
  Shape input_shape() const { return image_shape(step_.layout().input_channels()); }

  /// u of step k from the states before it.
  void assemble(Context& ctx, std::size_t k, const StateView& previous, const StateView& current,
                const Tensor& u) const;
  /// y that leads from `current` to the state given after step k.
  void target(Context& ctx, std::size_t k, const StateView& current, const Tensor& y) const;
  /// The state that y leads to, within its bounds.
  void advance(Context& ctx, const Tensor& y, const StateView& current, const Tensor& next) const;
  /// The adjoint of advance()'s bounds about the state that it gave, in place.
  void bounds_adjoint(Context& ctx, const Tensor& next, const Tensor& dnext) const;
  /// Of the squared error between advance() without bounds and what is given, seen as a function of y through target():
  /// adds to the gradient of x(t+d).
  void target_adjoint(Context& ctx, const Tensor& dy, const Tensor& dnext) const;
  /// dy overwritten; the gradient of x(t) accumulates.
  void advance_adjoint(Context& ctx, const Tensor& dnext, const Tensor& dy, const Tensor& dcurrent) const;
  /// Both gradients accumulate.
  void assemble_adjoint(Context& ctx, const Tensor& du, const Tensor& dprevious, const Tensor& dcurrent) const;

 private:
  Shape image_shape(std::size_t channels) const;
  std::int32_t forcing(std::size_t k) const;
  std::int32_t statics() const;

  const ForecastStep& step_;
  std::size_t count_;
  Staging fields_;  // [m, (count + 2) channel + (count + 1) forcing + static, row, lon]
  std::vector<Staging> conditions_;
  std::vector<Duration> steps_;
  std::vector<std::size_t> turned_;
  std::vector<int> lead_steps_;
};

}  // namespace zonda::model
