#include "assimilation/variational/variational_cost.hpp"

namespace zonda::assimilation {

VariationalCost::VariationalCost(const Window& window, ConstView background, const Covariance& covariance)
    : window_(window), background_(background.begin(), background.end()), covariance_(covariance) {
  require_size("the background", background.size(), covariance.size());
}

Vector VariationalCost::state(ConstView control) const {
  Vector result(covariance_.size());
  covariance_.square_root(control, result);
  axpy(1, background_, result);
  return result;
}

double VariationalCost::evaluate(ConstView control, View gradient) const {
  const Linearisation about(window_, state(control));
  covariance_.square_root_adjoint(about.forcing(), gradient);
  scale(-1, gradient);
  axpy(1, control, gradient);
  return dot(control, control) / 2 + about.observation_cost();
}

}  // namespace zonda::assimilation
