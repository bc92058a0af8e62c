#pragma once
// Fractions skill score (Roberts & Lean 2008).
#include <cstddef>
#include <span>
#include <vector>

namespace zonda::postproc {

/// Share of the `window` x `window` cells around each cell where field >= threshold; cells outside count as no event.
/// `field [rows, columns]`, `window` odd. O(cells) for any window. Throws Error(usage) for an even window.
std::vector<double> event_fractions(std::span<const float> field, std::size_t rows, std::size_t columns,
                                    double threshold, std::size_t window);

/// FSS = 1 - sum (Pf - Po)^2 / (sum Pf^2 + sum Po^2); the sums are kept, so that several fields and ranks merge.
class FractionsSkill {
 public:
  FractionsSkill(double threshold, std::size_t window) : threshold_(threshold), window_(window) {}
  void add(std::span<const float> forecast, std::span<const float> truth, std::size_t rows, std::size_t columns);
  void merge(const FractionsSkill& other);
  /// NaN if neither forecast nor truth ever had the event.
  double score() const { return 1 - difference_ / reference_; }

 private:
  double threshold_;
  std::size_t window_;
  double difference_ = 0, reference_ = 0;
};

}  // namespace zonda::postproc
