#include "assimilation/ensemble/ensemble.hpp"

#include <cmath>

#include "core/error.hpp"

namespace zonda::assimilation {

void Ensemble::forecast(const ForecastModel& model, std::size_t step) {
  for (std::size_t k = 0; k < own_.size(); ++k) model.step(step, member(k));
}

void Ensemble::require_whole(const char* by) const {
  if (!whole() || total_ < 2)
    fail(ErrorKind::usage, "{} needs all members on this rank and at least 2 of them; here are {} of {}", by,
         own_.size(), total_);
}

Vector Ensemble::mean() const {
  require_whole("the ensemble mean");
  Vector result(state_size_);
  for (std::size_t k = 0; k < total_; ++k) axpy(1, member(k), result);
  scale(1 / static_cast<double>(total_), result);
  return result;
}

std::vector<Vector> Ensemble::anomalies() const {
  const Vector centre = mean();
  std::vector<Vector> result;
  for (std::size_t k = 0; k < total_; ++k) result.push_back(difference(member(k), centre));
  return result;
}

double Ensemble::spread() const {
  double sum = 0;
  for (const Vector& anomaly : anomalies()) sum += dot(anomaly, anomaly);
  return std::sqrt(sum / static_cast<double>((total_ - 1) * state_size_));
}

}  // namespace zonda::assimilation
