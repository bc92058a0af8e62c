#include "assimilation/ensemble/stochastic_filter.hpp"

#include <Eigen/Dense>

#include "core/philox.hpp"

namespace zonda::assimilation {
namespace {

/// [row, member]; a column is a member's state or what it observes.
using Matrix = Eigen::MatrixXd;

Eigen::Index index(std::size_t i) {
  return static_cast<Eigen::Index>(i);
}

Matrix centred(const Matrix& columns) {
  return columns.colwise() - columns.rowwise().mean();
}

}  // namespace

void StochasticFilter::analyse(Ensemble& ensemble, const Observations& observations, std::size_t cycle) const {
  ensemble.require_whole("the stochastic filter");
  observations.check();
  const std::size_t members = ensemble.total(), p = observations.size(), size = ensemble.state_size();
  if (p == 0) return;
  const Philox random(seed_, "perturbed observations");
  Matrix states(index(size), index(members)), observed(index(p), index(members)), noise(index(p), index(members));
  for (std::size_t k = 0; k < members; ++k) {
    copy(ensemble.member(k), View(states.col(index(k)).data(), size));
    observations.instrument->apply(ensemble.member(k), View(observed.col(index(k)).data(), p));
    for (std::size_t i = 0; i < p; ++i)
      noise(index(i), index(k)) = observations.errors[i] * random.normal((cycle * members + k) * p + i);
  }
  const Eigen::Map<const Eigen::VectorXd> values(observations.values.data(), index(p)),
      errors(observations.errors.data(), index(p));
  const Matrix anomalies = centred(states), observed_anomalies = centred(observed);
  Matrix innovation = centred(noise) - observed;
  innovation.colwise() += values;
  Matrix total = observed_anomalies * observed_anomalies.transpose();
  total.diagonal() += static_cast<double>(members - 1) * errors.cwiseAbs2();
  states += anomalies * (observed_anomalies.transpose() * total.llt().solve(innovation));
  const Matrix analysis = centred(states);
  Vector before(members), after(members);
  for (std::size_t i = 0; i < size; ++i) {
    const double mean = states.row(index(i)).mean();
    for (std::size_t k = 0; k < members; ++k) {
      before[k] = anomalies(index(i), index(k));
      after[k] = analysis(index(i), index(k));
    }
    inflate(inflation_, before, after);
    for (std::size_t k = 0; k < members; ++k) ensemble.member(k)[i] = mean + after[k];
  }
}

}  // namespace zonda::assimilation
