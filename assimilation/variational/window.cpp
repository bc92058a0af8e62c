#include "assimilation/variational/window.hpp"

#include "core/error.hpp"

namespace zonda::assimilation {

Window::Window(std::shared_ptr<const ForecastModel> model, std::vector<TimeSlot> slots, IncrementModel increments,
               std::size_t first_step, std::size_t keep_every)
    : model_(std::move(model)),
      slots_(std::move(slots)),
      increments_(increments),
      first_step_(first_step),
      keep_every_(keep_every) {
  if (increments_ == IncrementModel::tangent && length() > 0 && !model_->differentiable())
    fail(ErrorKind::usage,
         "increments cannot travel {} steps through a model without tangent and adjoint: let them stay as they are "
         "(3D-FGAT), observe at the window's beginning alone, or take another model",
         length());
  for (std::size_t s = 0; s < slots_.size(); ++s) {
    if (s > 0 && slots_[s].step <= slots_[s - 1].step)
      fail(ErrorKind::usage, "time slots at steps {} and {}, expected in order", slots_[s - 1].step, slots_[s].step);
    slots_[s].observations.check();
    require_size("the state of the observation operator", slots_[s].observations.instrument->state_size(),
                 state_size());
  }
}

std::size_t Window::size() const {
  std::size_t count = 0;
  for (const TimeSlot& slot : slots_) count += slot.observations.size();
  return count;
}

Vector Window::forecast(ConstView state, std::size_t steps) const {
  Vector result(state.begin(), state.end());
  for (std::size_t n = 0; n < steps; ++n) model_->step(first_step_ + n, result);
  return result;
}

Linearisation::Linearisation(const Window& window, ConstView initial_state)
    : window_(window),
      trajectory_(*window.model_, window.first_step_, initial_state, window.length(), window.keep_every_) {
  require_size("the initial state", initial_state.size(), window.state_size());
  for (const TimeSlot& slot : window.slots_)
    departures_.push_back(slot.observations.departures(trajectory_.at(slot.step)));
}

double Linearisation::observation_cost() const {
  double cost = 0;
  for (std::size_t s = 0; s < departures_.size(); ++s) {
    Vector weighted = departures_[s];
    window_.slots_[s].observations.weigh(weighted);
    cost += dot(departures_[s], weighted) / 2;
  }
  return cost;
}

std::vector<Vector> Linearisation::observe(ConstView increment) const {
  Vector at(increment.begin(), increment.end());
  std::vector<Vector> result;
  std::size_t n = 0;
  for (const TimeSlot& slot : window_.slots_) {
    for (; n < slot.step; ++n)
      if (window_.increments_ == IncrementModel::tangent)
        window_.model_->tangent(window_.first_step_ + n, trajectory_.at(n), at);
    result.emplace_back(slot.observations.size());
    slot.observations.instrument->tangent(trajectory_.at(n), at, result.back());
  }
  return result;
}

Vector Linearisation::collect(std::vector<Vector> values) const {
  Vector sensitivity(window_.state_size()), from_slot(window_.state_size());
  for (std::size_t s = window_.slots_.size(); s-- > 0;) {
    const TimeSlot& slot = window_.slots_[s];
    slot.observations.weigh(values[s]);
    slot.observations.instrument->adjoint(trajectory_.at(slot.step), values[s], from_slot);
    axpy(1, from_slot, sensitivity);
    for (std::size_t n = slot.step; n > (s == 0 ? 0 : window_.slots_[s - 1].step); --n)
      if (window_.increments_ == IncrementModel::tangent)
        window_.model_->adjoint(window_.first_step_ + n - 1, trajectory_.at(n - 1), sensitivity);
  }
  return sensitivity;
}

Vector Linearisation::forcing() const {
  return collect(departures_);
}

Vector Linearisation::curvature(ConstView increment) const {
  return collect(observe(increment));
}

}  // namespace zonda::assimilation
