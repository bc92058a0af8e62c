#include "assimilation/models/runge_kutta.hpp"

#include <array>

#include "core/error.hpp"

namespace zonda::assimilation {
namespace {

/// Stage s is taken at x + offset[s] h k[s - 1] and enters the step with weight[s] h.
constexpr std::array offset{0.0, 0.5, 0.5, 1.0}, weight{1.0 / 6, 1.0 / 3, 1.0 / 3, 1.0 / 6};

}  // namespace

struct RungeKutta4::Stages {
  std::array<Vector, 4> state;  ///< where each tendency is taken
};

RungeKutta4::RungeKutta4(std::shared_ptr<const Tendency> tendency, double time_step)
    : tendency_(std::move(tendency)), h_(time_step) {
  if (!(time_step > 0)) fail(ErrorKind::usage, "time step {}, expected > 0", time_step);
}

void RungeKutta4::step(std::size_t, View state) const {
  require_size("the model's state", state.size(), size());
  const Vector start(state.begin(), state.end());
  Vector at = start, rate(size());
  for (std::size_t s = 0; s < 4; ++s) {
    if (s > 0)
      for (std::size_t i = 0; i < at.size(); ++i) at[i] = start[i] + offset[s] * h_ * rate[i];
    tendency_->evaluate(at, rate);
    axpy(weight[s] * h_, rate, state);
  }
}

RungeKutta4::Stages RungeKutta4::stages(ConstView state) const {
  require_size("the model's state", state.size(), size());
  Stages result;
  Vector rate(size());
  for (std::size_t s = 0; s < 4; ++s) {
    result.state[s].assign(state.begin(), state.end());
    if (s > 0) axpy(offset[s] * h_, rate, result.state[s]);
    if (s < 3) tendency_->evaluate(result.state[s], rate);
  }
  return result;
}

void RungeKutta4::tangent(std::size_t, ConstView state, View perturbation) const {
  const Stages forward = stages(state);
  const Vector start(perturbation.begin(), perturbation.end());
  Vector at = start, rate(size());
  for (std::size_t s = 0; s < 4; ++s) {
    if (s > 0)
      for (std::size_t i = 0; i < at.size(); ++i) at[i] = start[i] + offset[s] * h_ * rate[i];
    tendency_->tangent(forward.state[s], at, rate);
    axpy(weight[s] * h_, rate, perturbation);
  }
}

void RungeKutta4::adjoint(std::size_t, ConstView state, View sensitivity) const {
  const Stages forward = stages(state);
  const Vector end(sensitivity.begin(), sensitivity.end());
  Vector to_rate(size()), to_state(size());
  for (std::size_t s = 4; s-- > 0;) {
    const double through_next = s < 3 ? offset[s + 1] * h_ : 0;
    for (std::size_t i = 0; i < end.size(); ++i) to_rate[i] = weight[s] * h_ * end[i] + through_next * to_state[i];
    tendency_->adjoint(forward.state[s], to_rate, to_state);
    axpy(1, to_state, sensitivity);
  }
}

}  // namespace zonda::assimilation
