#pragma once
#include "assimilation/interfaces/forecast_model.hpp"

namespace zonda::assimilation {

/// The states of a model from `start` on, by step. Every `keep_every`-th is kept; those between are computed again, and
/// are the same bits, for as long as others of their stretch are asked for. Of a window of n steps
/// n / keep_every + keep_every states are held at a time, least near keep_every = sqrt(n). One thread at a time.
class Trajectory {
 public:
  /// Keeps a reference to the model. `first_step` is the model's number of the first step. Throws Error(usage) where
  /// keep_every is 0.
  Trajectory(const ForecastModel& model, std::size_t first_step, ConstView start, std::size_t length,
             std::size_t keep_every);
  /// The state `step` steps after the start, 0 ... length; valid until another one is asked for.
  ConstView at(std::size_t step) const;
  /// States held at present.
  std::size_t held() const { return kept_.size() + between_.size(); }

 private:
  const ForecastModel& model_;
  std::size_t first_step_, length_, keep_every_;
  std::vector<Vector> kept_;
  mutable std::vector<Vector> between_;  ///< the states after kept_[stretch_]
  mutable std::size_t stretch_ = 0;
};

}  // namespace zonda::assimilation
