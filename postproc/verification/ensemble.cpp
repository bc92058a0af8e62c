#include "postproc/verification/ensemble.hpp"

#include <algorithm>
#include <cmath>

#include "core/error.hpp"
#include "core/philox.hpp"

namespace zonda::postproc {

double fair_crps(std::span<double> members, double truth) {
  const auto size = static_cast<double>(members.size());
  double distance = 0;
  for (const double x : members) distance += std::abs(x - truth);
  distance /= size;
  if (members.size() < 2) return distance;
  std::sort(members.begin(), members.end());
  // sum_{i != j} |X_i - X_j| = 2 sum_i (2 i - M + 1) X_(i), i from 0; relative to the median against cancellation.
  const double middle = members[members.size() / 2];
  double pairs = 0;
  for (std::size_t i = 0; i < members.size(); ++i)
    pairs += (2 * static_cast<double>(i) - size + 1) * (members[i] - middle);
  return distance - pairs / (size * (size - 1));
}

EnsembleMoments ensemble_moments(std::span<const double> members) {
  double sum = 0;
  for (const double x : members) sum += x;
  const auto size = static_cast<double>(members.size());
  const double mean = sum / size;
  double square = 0;
  for (const double x : members) square += (x - mean) * (x - mean);
  return {mean, members.size() > 1 ? square / (size - 1) : 0.0, members.size()};
}

double EnsembleMoments::debiased_squared_error(double truth) const {
  return (mean - truth) * (mean - truth) - variance / static_cast<double>(size);
}

double spread_error_ratio(double mean_variance, double mean_squared_error, std::size_t members) {
  const auto size = static_cast<double>(members);
  return std::sqrt(mean_variance) / std::sqrt(mean_squared_error) * std::sqrt((size + 1) / size);
}

void RankHistogram::add(std::span<const double> members, double truth, std::uint64_t sample, double weight) {
  if (members.size() + 1 != counts_.size())
    fail(ErrorKind::usage, "rank histogram: {} members given, {} expected", members.size(), counts_.size() - 1);
  std::size_t below = 0, ties = 0;
  for (const double x : members) {
    below += x < truth ? 1 : 0;
    ties += x == truth ? 1 : 0;
  }
  if (ties > 0) below += Philox(seed_, "rank histogram").integer(sample, ties + 1);
  counts_[below] += weight;
}

void RankHistogram::merge(const RankHistogram& other) {
  for (std::size_t i = 0; i < counts_.size(); ++i) counts_[i] += other.counts_.at(i);
}

}  // namespace zonda::postproc
