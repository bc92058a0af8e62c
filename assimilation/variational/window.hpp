#pragma once
#include <memory>
#include <vector>

#include "assimilation/interfaces/forecast_model.hpp"
#include "assimilation/interfaces/observations.hpp"
#include "assimilation/variational/trajectory.hpp"

namespace zonda::assimilation {

/// Observations `step` steps after the window's beginning.
struct TimeSlot {
  std::size_t step;
  Observations observations;
};

/// What carries an increment through the window.
enum class IncrementModel {
  tangent,     ///< the model's tangent: 4D-Var
  persistence  ///< it stays as it is: 3D-FGAT, and 3D-Var where all is at step 0
};

/// An assimilation window: model, observations by time, and how increments travel.
class Window {
 public:
  /// `first_step` is the model's number of the window's first step. Linearisations keep every `keep_every`-th state of
  /// their trajectory. Throws Error(usage) unless the slots are in order of time, and where increments need a tangent
  /// that the model does not have; checks each slot's observations.
  Window(std::shared_ptr<const ForecastModel> model, std::vector<TimeSlot> slots,
         IncrementModel increments = IncrementModel::tangent, std::size_t first_step = 0, std::size_t keep_every = 1);
  std::size_t state_size() const { return model_->size(); }
  const std::vector<TimeSlot>& slots() const { return slots_; }
  /// Number of observations.
  std::size_t size() const;
  /// Steps from the beginning to the last slot.
  std::size_t length() const { return slots_.empty() ? 0 : slots_.back().step; }
  /// The state `steps` after `state`.
  Vector forecast(ConstView state, std::size_t steps) const;

 private:
  friend class Linearisation;
  std::shared_ptr<const ForecastModel> model_;
  std::vector<TimeSlot> slots_;
  IncrementModel increments_;
  std::size_t first_step_, keep_every_;
};

/// A window about one trajectory. With G the linearised way from increment to all observations:
class Linearisation {
 public:
  Linearisation(const Window& window, ConstView initial_state);
  /// J_o = 1/2 d^T R^-1 d of the nonlinear departures d
  double observation_cost() const;
  /// G^T R^-1 d
  Vector forcing() const;
  /// G^T R^-1 G increment
  Vector curvature(ConstView increment) const;
  /// G increment, [slot]
  std::vector<Vector> observe(ConstView increment) const;
  /// y - H(M(x)), [slot]
  const std::vector<Vector>& departures() const { return departures_; }

 private:
  Vector collect(std::vector<Vector> weighted) const;
  const Window& window_;
  Trajectory trajectory_;
  std::vector<Vector> departures_;  ///< [slot]
};

}  // namespace zonda::assimilation
