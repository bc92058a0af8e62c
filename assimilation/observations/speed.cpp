#include "assimilation/observations/speed.hpp"

#include <cmath>

#include "core/error.hpp"

namespace zonda::assimilation {

Speed::Speed(std::shared_ptr<const ObservationOperator> u, std::shared_ptr<const ObservationOperator> v)
    : u_(std::move(u)), v_(std::move(v)) {
  if (u_->size() != v_->size() || u_->state_size() != v_->state_size())
    fail(ErrorKind::usage, "speed of {} and {} components, expected as many", u_->size(), v_->size());
}

void Speed::apply(ConstView state, View values) const {
  Vector v(size());
  u_->apply(state, values);
  v_->apply(state, v);
  for (std::size_t i = 0; i < size(); ++i) values[i] = std::hypot(values[i], v[i]);
}

void Speed::slopes(ConstView state, View along_u, View along_v) const {
  u_->apply(state, along_u);
  v_->apply(state, along_v);
  for (std::size_t i = 0; i < size(); ++i) {
    const double speed = std::hypot(along_u[i], along_v[i]), inverse = speed > 0 ? 1 / speed : 0;
    along_u[i] *= inverse;
    along_v[i] *= inverse;
  }
}

void Speed::tangent(ConstView state, ConstView perturbation, View values) const {
  Vector along_u(size()), along_v(size()), dv(size());
  slopes(state, along_u, along_v);
  u_->tangent(state, perturbation, values);
  v_->tangent(state, perturbation, dv);
  for (std::size_t i = 0; i < size(); ++i) values[i] = along_u[i] * values[i] + along_v[i] * dv[i];
}

void Speed::adjoint(ConstView state, ConstView values, View sensitivity) const {
  Vector to_u(size()), to_v(size()), through_v(state_size());
  slopes(state, to_u, to_v);
  for (std::size_t i = 0; i < size(); ++i) {
    to_u[i] *= values[i];
    to_v[i] *= values[i];
  }
  u_->adjoint(state, to_u, sensitivity);
  v_->adjoint(state, to_v, through_v);
  axpy(1, through_v, sensitivity);
}

}  // namespace zonda::assimilation
