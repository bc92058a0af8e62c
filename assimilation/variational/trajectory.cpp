#include "assimilation/variational/trajectory.hpp"

#include "core/error.hpp"

namespace zonda::assimilation {

Trajectory::Trajectory(const ForecastModel& model, std::size_t first_step, ConstView start, std::size_t length,
                       std::size_t keep_every)
    : model_(model), first_step_(first_step), length_(length), keep_every_(keep_every) {
  if (keep_every == 0) fail(ErrorKind::usage, "a trajectory that keeps every 0th state, expected 1 or more");
  kept_.emplace_back(start.begin(), start.end());
  Vector state = kept_.front();
  for (std::size_t n = 0; n < length; ++n) {
    model.step(first_step + n, state);
    if ((n + 1) % keep_every == 0) kept_.push_back(state);
  }
}

ConstView Trajectory::at(std::size_t step) const {
  if (step > length_) fail(ErrorKind::failure, "state {} of a trajectory of {} steps", step, length_);
  const std::size_t stretch = step / keep_every_, within = step % keep_every_;
  if (within == 0) return kept_[stretch];
  if (stretch != stretch_ || between_.empty()) between_.clear();
  stretch_ = stretch;
  while (between_.size() < within) {
    between_.push_back(between_.empty() ? kept_[stretch] : between_.back());
    model_.step(first_step_ + stretch * keep_every_ + between_.size() - 1, between_.back());
  }
  return between_[within - 1];
}

}  // namespace zonda::assimilation
