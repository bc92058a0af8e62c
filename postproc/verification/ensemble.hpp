#pragma once
// Scores of ensembles, point by point.
#include <cstdint>
#include <span>
#include <vector>

namespace zonda::postproc {

/// Fair CRPS (Ferro 2014; Zamo & Naveau 2018): mean |X_i - y| - sum_{i != j} |X_i - X_j| / (2 M (M - 1)), by ranks in
/// O(M log M). One member gives |X - y|. `members` is sorted in place.
double fair_crps(std::span<double> members, double truth);

/// Mean and unbiased variance (ddof 1; 0 for one member) of the members.
struct EnsembleMoments {
  double mean, variance;
  std::size_t size;
  /// Unbiased estimate of the squared error of an infinite ensemble's mean: (mean - truth)^2 - variance / M.
  double debiased_squared_error(double truth) const;
};
EnsembleMoments ensemble_moments(std::span<const double> members);

/// Spread over error, 1 for a reliable ensemble: sqrt(mean variance) / sqrt(mean squared error of the mean) * sqrt((M +
/// 1) / M) (Fortin et al. 2014).
double spread_error_ratio(double mean_variance, double mean_squared_error, std::size_t members);

/// Rank histogram (Talagrand): M + 1 bins; bin r counts truths with r members below. Ties are broken at random, keyed
/// by (seed, index of the sample): the same counts in any order and on any number of ranks.
class RankHistogram {
 public:
  RankHistogram(std::size_t members, std::uint64_t seed) : seed_(seed), counts_(members + 1, 0.0) {}
  void add(std::span<const double> members, double truth, std::uint64_t sample, double weight = 1);
  void merge(const RankHistogram& other);
  std::span<const double> counts() const { return counts_; }

 private:
  std::uint64_t seed_;
  std::vector<double> counts_;
};

}  // namespace zonda::postproc
