#include "assimilation/ensemble/optimal_interpolation.hpp"

#include <Eigen/Dense>

namespace zonda::assimilation {

Vector optimal_interpolation(const Covariance& covariance, ConstView background, const Observations& observations) {
  observations.check();
  const std::size_t p = observations.size(), size = background.size();
  require_size("the background", size, covariance.size());
  const auto rows = static_cast<Eigen::Index>(p);
  Vector result(background.begin(), background.end());
  if (p == 0) return result;
  const ObservationOperator& h = *observations.instrument;
  Eigen::MatrixXd to_state(static_cast<Eigen::Index>(size), rows), total(rows, rows);  // B H^T; H B H^T + R
  Vector unit(p), sensitivity(size);
  for (std::size_t i = 0; i < p; ++i) {
    const auto column = static_cast<Eigen::Index>(i);
    unit.assign(p, 0);
    unit[i] = 1;
    h.adjoint(background, unit, sensitivity);
    const View spread(to_state.col(column).data(), size);
    covariance.multiply(sensitivity, spread);
    h.tangent(background, spread, View(total.col(column).data(), p));
    total(column, column) += observations.errors[i] * observations.errors[i];
  }
  const Vector departures = observations.departures(background);
  const Eigen::VectorXd weights = total.llt().solve(Eigen::Map<const Eigen::VectorXd>(departures.data(), rows));
  Eigen::Map<Eigen::VectorXd>(result.data(), static_cast<Eigen::Index>(size)) += to_state * weights;
  return result;
}

}  // namespace zonda::assimilation
